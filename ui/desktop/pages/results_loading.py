"""What the Results page reads from run folders, off the GUI's thread."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PySide6.QtCore import QObject, Qt, QThreadPool, Signal

from core.evidence import Faithfulness, FieldEffect, InteractionEvidence
from core.funnel import FunnelReport
from core.metrics import compare_auc, compare_log_loss
from core.outputs import output_title
from core.quality import PairedComparison, Quality
from core.run_folder import RunFacts, RunFolder
from crosslens.errors import DataError, UserError
from crosslens.explanations import FieldImportance, InteractionTerms, PairInteractions
from crosslens.models import FitProgress
from crosslens.runs import RunRecord

from ..worker_client import Failure


@dataclass(frozen=True, slots=True)
class RunContent:
    """Everything small a run has on disk; None is what the model did not offer or the run did not reach."""

    facts: RunFacts | None
    quality: Quality | None
    history: tuple[FitProgress, ...]
    evidence: InteractionEvidence | None
    effects: tuple[FieldEffect, ...]
    importance: FieldImportance | None
    terms: InteractionTerms | None
    pairs: PairInteractions | None
    faithfulness: Faithfulness | None
    output: str = ""
    qualities: Mapping[str, Quality] = field(default_factory=dict)
    funnel: FunnelReport | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return what the model predicts."""
        return self.facts.predicted if self.facts is not None else ()


def load_run(path: Path, output: str = "") -> RunContent:
    """Read a run folder, and of a funnel model what is known about one output: the first, unless it has the named one.

    ProjectError says which file is damaged.
    """
    run = RunFolder(path)
    facts = run.facts() if (path / "facts.json").exists() else None
    outputs = facts.predicted if facts is not None else ()
    chosen = output if output in outputs else next(iter(outputs), "")
    folder = run.output(chosen)
    qualities = {name: run.output(name).quality("test") for name in outputs}
    return RunContent(
        output=chosen,
        qualities={name: quality for name, quality in qualities.items() if quality is not None},
        funnel=run.funnel(),
        facts=facts,
        quality=folder.quality("test"),
        history=run.history(),
        evidence=folder.evidence(),
        effects=folder.field_effects(),
        importance=folder.importance(),
        terms=folder.terms(),
        pairs=folder.pair_interactions(),
        faithfulness=folder.faithfulness(),
    )


def load_predictions(path: Path, output: str = "") -> pa.Table:
    """Read the test rows of a run, or of one of its outputs; empty when it has none."""
    table = RunFolder(path).output(output).predictions()
    return table.combine_chunks() if table is not None else pa.table({})


def first_output(path: Path) -> str:
    """Return what a run predicts, or the first thing it does."""
    return RunFolder(path).facts().predicted[0]


def load_faithfulness(paths: Mapping[str, Path]) -> dict[str, Faithfulness | None]:
    """Read one figure of each run."""
    return {run: RunFolder(path).faithfulness() for run, path in paths.items()}


def unique_names(runs: Sequence[RunRecord]) -> dict[str, str]:
    """Return a name for each run id: the model's title, numbered where several runs share it."""
    titles = [run.title or run.model for run in runs]
    names: dict[str, str] = {}
    for place, (run, title) in enumerate(zip(runs, titles, strict=True)):
        number = titles[: place + 1].count(title)
        names[run.id] = f"{title} ({number})" if titles.count(title) > 1 else title
    return names


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side: paired differences (first, second, result), their qualities and their evidence by name."""

    pairs: tuple[tuple[str, str, PairedComparison], ...]
    qualities: Mapping[str, Quality]
    evidence: Mapping[str, InteractionEvidence]


def compare_runs(paths: Sequence[tuple[str, Path]], output: str = "") -> Comparison:
    """Compare every two of the named runs on the test rows of one output (empty: what each predicts first).

    DataError when those are not the same rows, or a run does not predict the output.
    """
    contents = {name: load_run(path, output) for name, path in paths}
    outputs = {name: content.output for name, content in contents.items()}
    _check_same_output(outputs, output)
    scores = {name: _scores(path, outputs[name]) for name, path in paths}
    pairs: list[tuple[str, str, PairedComparison]] = []
    for (first, one), (second, two) in itertools.combinations(scores.items(), 2):
        _check_same_rows(first, one, second, two)
        pairs += [
            (first, second, compare(one.labels, one.logits, two.logits)) for compare in (compare_auc, compare_log_loss)
        ]
    return Comparison(
        tuple(pairs),
        {name: content.quality for name, content in contents.items() if content.quality is not None},
        {name: content.evidence for name, content in contents.items() if content.evidence is not None},
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    rows: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    logits: np.ndarray[Any, Any]


def _scores(path: Path, output: str) -> _Scores:
    table = load_predictions(path, output)
    probability = np.clip(table["probability"].to_numpy(), 1e-15, 1 - 1e-15)
    return _Scores(table["row"].to_numpy(), table["label"].to_numpy(), np.log(probability) - np.log1p(-probability))


def _check_same_output(outputs: Mapping[str, str], wanted: str) -> None:
    wanted = wanted or next(iter(outputs.values()), "")
    for name, output in outputs.items():
        if output != wanted:
            raise DataError(
                f"{name} does not predict {output_title(wanted)}.",
                why=f"It predicts {output_title(output)}; figures of different outputs mean nothing side by side.",
                do="Choose another output, or compare runs that predict the same.",
            )


def _check_same_rows(first: str, one: _Scores, second: str, two: _Scores) -> None:
    if not (np.array_equal(one.rows, two.rows) and np.array_equal(one.labels, two.labels)):
        raise DataError(
            f"{first} and {second} were tested on different rows.",
            why="Their data, split or seed differ, so a difference of their figures would mean nothing.",
            do="Train both models together on the Train page.",
        )


class Background(QObject):
    """Runs functions on threads of its own and brings their results back to the GUI's thread.

    A new question about a topic makes the former one's answer void. `readingChanged` says whether anything is read.
    """

    readingChanged = Signal(bool)
    _ended = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._numbers = itertools.count()
        self._wanted: dict[str, int] = {}
        self._open: set[int] = set()
        self._ended.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self.destroyed.connect(self._pool.clear)

    def ask(
        self,
        topic: str,
        work: Callable[[], Any],
        then: Callable[[Any], None],
        fail: Callable[[UserError | Failure], None],
    ) -> None:
        """Run `work` elsewhere, then call `then` with its result or `fail` with what went wrong, here."""
        number = self._wanted[topic] = next(self._numbers)
        self._open.add(number)
        self.readingChanged.emit(True)

        def task() -> None:
            result, error = _attempt(work)
            self._ended.emit((topic, number, result, error, then, fail))

        self._pool.start(task)

    def forget(self, topic: str) -> None:
        """Let the answer about a topic go."""
        self._wanted.pop(topic, None)

    def wait(self) -> None:
        """Wait until all work is done; results come with the next turn of the event loop."""
        self._pool.waitForDone()

    def _deliver(self, outcome: tuple[Any, ...]) -> None:
        topic, number, result, error, then, fail = outcome
        self._open.discard(number)
        self.readingChanged.emit(bool(self._open))
        if self._wanted.get(topic) != number:
            return
        if error is None:
            then(result)
        else:
            fail(error)


def _attempt(work: Callable[[], Any]) -> tuple[Any, UserError | Failure | None]:
    try:
        return work(), None
    except UserError as error:
        return None, error
    except Exception as error:  # noqa: BLE001 - it would vanish with its thread; it is shown like a worker's
        what = f"Reading the run failed: {error}"
        return None, Failure(what, details=traceback.format_exc(), internal=True)
