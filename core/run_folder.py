"""One run on disk: what was trained, how good it is, and why; written by the job, read by every view.

runs/<id>/
  recipe.toml            the recipe of this one model
  facts.json             RunFacts: rows, split, versions, seconds
  encoders.json          vocabularies and scales, to read new rows the same way
  model/                 what FittedModel.save wrote
  history.json           FitProgress of every epoch
  quality-test.json, quality-validation.json
  importance.json, terms.json, pairs.json, contributions.npz, contributions.json
  evidence.json, field-effects.json, faithfulness.json
  predictions.parquet    the test rows: raw fields, label, probability
  funnel.json            of a funnel model: counts, rates, delays, selection
  outputs/<name>/        quality, explanations, evidence and predictions of each further output, under the same names
  checkpoint/            only while training or interrupted
  log.txt
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crosslens.data import Int64Array
from crosslens.explanations import Contributions, Explanation, FieldImportance, InteractionTerms, PairInteractions
from crosslens.models import FitProgress
from crosslens.relational import Snapshot

from .commands import Finding
from .evidence import Faithfulness, FieldEffect, InteractionEvidence
from .files import read_json, replace_file, replace_folder, write_json, write_text
from .funnel import FunnelReport
from .quality import Quality

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run rests on. `encoded` names the folder of the encoded arrays below the project's data folder.

    `label` is what is predicted, or the first of the `outputs` where a model has several. `device` is where the model
    was trained, "" for models that know no other than the processor.
    """

    model: str
    model_title: str
    model_version: str
    snapshot: Snapshot
    encoded: str
    rows_train: int
    rows_validation: int
    rows_test: int
    fields: tuple[str, ...]
    label: str
    versions: Mapping[str, str]
    threads: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    device: str = ""

    @property
    def predicted(self) -> tuple[str, ...]:
        """Return the outputs of the model, the one in the run folder itself first."""
        return self.outputs or (self.label,)


@dataclass(frozen=True, slots=True)
class _History:
    epochs: tuple[FitProgress, ...]


@dataclass(frozen=True, slots=True)
class _FieldEffects:
    effects: tuple[FieldEffect, ...]


@dataclass(frozen=True, slots=True)
class _ContributionFacts:
    fields: tuple[str, ...]
    method: str
    task: str


class OutputFolder:
    """How good one output of a model is, and why; readers return None for what the model did not offer."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save_quality(self, part: str, quality: Quality) -> None:
        """Keep the quality on "test" or "validation"."""
        write_json(self.path / f"quality-{part}.json", quality)

    def quality(self, part: str = "test") -> Quality | None:
        """Return the quality on "test" or "validation"."""
        return self._read(f"quality-{part}.json", Quality)

    def save_explanation(self, explanation: Explanation) -> None:
        """Keep an explanation under the name of its kind."""
        if isinstance(explanation, Contributions):
            self._save_contributions(explanation)
        elif isinstance(explanation, FieldImportance):
            write_json(self.path / "importance.json", explanation)
        elif isinstance(explanation, InteractionTerms):
            write_json(self.path / "terms.json", explanation)
        else:
            write_json(self.path / "pairs.json", explanation)

    def importance(self) -> FieldImportance | None:
        """Return the field importance as the model's paper publishes it."""
        return self._read("importance.json", FieldImportance)

    def terms(self) -> InteractionTerms | None:
        """Return the interaction terms as the model's paper publishes them."""
        return self._read("terms.json", InteractionTerms)

    def pair_interactions(self) -> PairInteractions | None:
        """Return the pair matrix as the model computes it."""
        return self._read("pairs.json", PairInteractions)

    def contributions(self) -> Contributions | None:
        """Return the contributions of the explained test rows (the first rows of `predictions`)."""
        facts = self._read("contributions.json", _ContributionFacts)
        if facts is None:
            return None
        with np.load(self.path / "contributions.npz", allow_pickle=False) as arrays:
            return Contributions(
                fields=facts.fields,
                values=arrays["values"],
                baseline=arrays["baseline"],
                logits=arrays["logits"],
                method=facts.method,
                task=facts.task,
            )

    def save_evidence(self, evidence: InteractionEvidence, effects: tuple[FieldEffect, ...]) -> None:
        """Keep what was found at the output."""
        write_json(self.path / "evidence.json", evidence)
        write_json(self.path / "field-effects.json", _FieldEffects(effects))

    def evidence(self) -> InteractionEvidence | None:
        """Return the interactions proved at the output."""
        return self._read("evidence.json", InteractionEvidence)

    def field_effects(self) -> tuple[FieldEffect, ...]:
        """Return the effect of every field at the output; empty if it was not measured."""
        found = self._read("field-effects.json", _FieldEffects)
        return found.effects if found else ()

    def save_faithfulness(self, faithfulness: Faithfulness) -> None:
        """Keep the faithfulness of the contributions."""
        write_json(self.path / "faithfulness.json", faithfulness)

    def faithfulness(self) -> Faithfulness | None:
        """Return the faithfulness of the contributions."""
        return self._read("faithfulness.json", Faithfulness)

    def save_predictions(self, table: pa.Table) -> None:
        """Keep the predictions of the test rows."""
        replace_file(self.path / "predictions.parquet", lambda path: pq.write_table(table, path))

    def predictions(self) -> pa.Table | None:
        """Return the test rows: "row" (in the snapshot), "label", "probability", then the fields as read."""
        path = self.path / "predictions.parquet"
        return pq.read_table(path) if path.exists() else None

    def test_rows(self) -> Int64Array:
        """Return the snapshot rows of the predictions."""
        table = pq.read_table(self.path / "predictions.parquet", columns=["row"])
        return np.asarray(table["row"].to_numpy(), dtype=np.int64)

    def _save_contributions(self, explanation: Contributions) -> None:
        facts = _ContributionFacts(explanation.fields, explanation.method, explanation.task)

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.savez(file, values=explanation.values, baseline=explanation.baseline, logits=explanation.logits)

        replace_file(self.path / "contributions.npz", write)
        write_json(self.path / "contributions.json", facts)

    def _read(self, name: str, kind: type[T]) -> T | None:
        path = self.path / name
        return read_json(path, kind) if path.exists() else None


class RunFolder(OutputFolder):
    """Typed access to one run folder; what it holds about an output is about the first one."""

    @property
    def model_folder(self) -> Path:
        """Return where the trained model is."""
        return self.path / "model"

    @property
    def encoders_file(self) -> Path:
        """Return where the encoders are."""
        return self.path / "encoders.json"

    @property
    def log_file(self) -> Path:
        """Return where the log of the training is."""
        return self.path / "log.txt"

    @property
    def checkpoints(self) -> FolderCheckpoints:
        """Return the run's checkpoints."""
        return FolderCheckpoints(self.path / "checkpoint")

    def save_recipe(self, toml: str) -> None:
        """Keep the recipe."""
        write_text(self.path / "recipe.toml", toml)

    def recipe_toml(self) -> str:
        """Return the recipe as TOML."""
        return (self.path / "recipe.toml").read_text(encoding="utf-8")

    def save_facts(self, facts: RunFacts) -> None:
        """Keep the facts."""
        write_json(self.path / "facts.json", facts)

    def facts(self) -> RunFacts:
        """Return the facts; ProjectError if the run has none yet."""
        return read_json(self.path / "facts.json", RunFacts)

    def save_history(self, epochs: tuple[FitProgress, ...]) -> None:
        """Keep the progress of every epoch."""
        write_json(self.path / "history.json", _History(epochs))

    def history(self) -> tuple[FitProgress, ...]:
        """Return the progress of every epoch; empty if there is none."""
        found = self._read("history.json", _History)
        return found.epochs if found else ()

    def output(self, name: str = "") -> OutputFolder:
        """Return what is known about an output: its own folder, or this one for the first or an unnamed output."""
        path = self.path / "outputs" / name
        return OutputFolder(path) if name and path.exists() else self

    def new_output(self, name: str) -> OutputFolder:
        """Return the folder of a further output, made if need be."""
        folder = OutputFolder(self.path / "outputs" / name)
        folder.path.mkdir(parents=True, exist_ok=True)
        return folder

    def save_funnel(self, report: FunnelReport) -> None:
        """Keep what a funnel model tells of its funnel."""
        write_json(self.path / "funnel.json", report)

    def funnel(self) -> FunnelReport | None:
        """Return what a funnel model told of its funnel."""
        return self._read("funnel.json", FunnelReport)


class FolderCheckpoints:
    """Checkpoints in one folder that is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, write: Callable[[Path], None]) -> None:
        """Replace the checkpoint; a crash in between leaves the one before."""
        replace_folder(self._path, write)

    def latest(self) -> Path | None:
        """Return the folder of the last complete checkpoint."""
        previous = self._path.with_name(f".{self._path.name}.previous")
        return next((path for path in (self._path, previous) if path.exists()), None)

    def clear(self) -> None:
        """Forget the checkpoint: the run is complete."""
        for path in (self._path, self._path.with_name(f".{self._path.name}.previous")):
            shutil.rmtree(path, ignore_errors=True)
