"""A model of Crosslens as the app trains it: one `fit`, held at the end of every epoch until its next turn comes."""

from __future__ import annotations

import queue
import resource
import threading
import time
from typing import Any

import numpy as np
from protocol import Rows, Turns, areas, read_arguments

from crosslens import (
    EncodedDataset,
    EncodedField,
    EncodedSchema,
    FieldKind,
    FitContext,
    FitProgress,
    FittedModel,
    TrainingData,
    parameters_from_plain,
)
from plugins import builtin_plugins


class Fit(threading.Thread):
    """A training that goes on for an epoch at a time."""

    def __init__(self, settings: dict[str, Any], data: TrainingData) -> None:
        super().__init__(daemon=True)
        self.settings, self.data = settings, data
        self.go, self.done = threading.Semaphore(0), queue.SimpleQueue[FitProgress | FittedModel | Exception]()

    def run(self) -> None:
        """Train; every epoch waits to be asked for."""
        spec = next(
            spec
            for _, module in builtin_plugins()
            for spec in module.crosslens_register_models()
            if spec.id == self.settings["model"]
        )
        parameters = parameters_from_plain(spec.parameters, self.settings["parameters"])
        context = FitContext(seed=self.settings["seed"], threads=self.settings["threads"], progress=self._heard)
        estimator = spec.build(parameters)
        self.go.acquire()
        try:
            self.done.put(estimator.fit(self.data, context))
        except Exception as error:  # noqa: BLE001 -- told to the one who asks, whatever it is
            self.done.put(error)

    def _heard(self, progress: FitProgress) -> None:
        if progress.metrics:
            self.done.put(progress)
            if progress.epoch < self.settings["epochs"]:
                self.go.acquire()


def main() -> None:
    """Train in one thread, talk in the other."""
    parts, sizes, settings = read_arguments()
    train, schema = parts["train"], _schema(sizes, parts["train"])
    data = TrainingData(_dataset(schema, train), _dataset(schema, parts["validation"]))
    fit = Fit(settings, data)
    fit.start()
    turns, model = Turns(), None
    turns.answer(ready=True)
    while (question := turns.next())["do"] != "end":
        if question["do"] == "train":
            processor = time.process_time()
            fit.go.release()
            progress = _next(fit)
            assert isinstance(progress, FitProgress)
            seconds = len(train) / progress.rows_per_second
            used = {"processor": time.process_time() - processor, "peak_mb": _peak()}
            turns.answer(seconds=seconds, rows=len(train), **used)
            continue
        if model is None:
            model = _next(fit)
        assert not isinstance(model, FitProgress)
        rows = parts[question.get("part", "validation")]
        asked = _dataset(schema, rows)
        asked = _large(asked, settings["big_rows"]) if question.get("big") else asked
        started = time.perf_counter()
        scores = {name: np.asarray(logit) for name, logit in model.predict(asked).logits.items()}
        turns.answer(seconds=time.perf_counter() - started, rows=len(asked), auc=areas(scores, rows))


def _peak() -> float:
    """Return the most memory this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _next(fit: Fit) -> FitProgress | FittedModel:
    found = fit.done.get()
    if isinstance(found, Exception):
        raise found
    return found


def _schema(sizes: np.ndarray, rows: Rows) -> EncodedSchema:
    fields = [EncodedField(f"c{place}", FieldKind.CATEGORICAL, int(size)) for place, size in enumerate(sizes)]
    fields += [EncodedField(f"v{place}", FieldKind.NUMERICAL) for place in range(rows.values.shape[1])]
    return EncodedSchema(tuple(fields), tuple(rows.labels))


def _dataset(schema: EncodedSchema, rows: Rows) -> EncodedDataset:
    ids = (rows.ids + schema.offsets).astype(np.int32)
    return EncodedDataset(schema, ids, rows.values, rows.labels)


def _large(data: EncodedDataset, rows: int) -> EncodedDataset:
    return data.with_features(
        np.resize(data.ids, (rows, data.ids.shape[1])), np.resize(data.values, (rows, data.values.shape[1]))
    )


if __name__ == "__main__":
    main()
