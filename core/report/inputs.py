"""What a report is made of: the runs with everything that was measured, read from their folders."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from crosslens.data import Float64Array, Int64Array
from crosslens.explanations import FieldImportance, InteractionTerms, PairInteractions
from crosslens.models import FitProgress, Output
from crosslens.runs import RunRecord

from ..evidence import Faithfulness, FieldEffect, InteractionEvidence
from ..funnel import FunnelReport
from ..metrics import compare_auc, compare_log_loss
from ..quality import PairedComparison, Quality
from ..run_folder import OutputFolder, RunFacts, RunFolder


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRows:
    """The test rows of a run, (N,): their numbers in the snapshot, labels, and probabilities."""

    rows: Int64Array
    labels: Float64Array
    probabilities: Float64Array

    def logits(self) -> Float64Array:
        """Return the logits, as far as float64 can tell them from the probabilities."""
        p = np.clip(self.probabilities, 1e-300, 1.0 - 1e-16)
        return np.asarray(np.log(p) - np.log1p(-p))

    def same_rows(self, other: ScoredRows) -> bool:
        """Whether both are the same rows with the same labels."""
        return np.array_equal(self.rows, other.rows) and np.array_equal(self.labels, other.labels)


@dataclass(frozen=True, slots=True, eq=False)
class RunInputs:
    """One run with everything that was measured about an output; None or empty where the model does not offer it.

    `further` are the other outputs of a funnel model, and `funnel` what it tells of its funnel.
    """

    record: RunRecord
    facts: RunFacts
    recipe: str
    quality: Quality
    validation: Quality | None = None
    history: tuple[FitProgress, ...] = ()
    evidence: InteractionEvidence | None = None
    effects: tuple[FieldEffect, ...] = ()
    importance: FieldImportance | None = None
    terms: InteractionTerms | None = None
    pairs: PairInteractions | None = None
    faithfulness: Faithfulness | None = None
    test: ScoredRows | None = None
    output: str = ""
    further: tuple[RunInputs, ...] = ()
    funnel: FunnelReport | None = None

    @classmethod
    def read(cls, record: RunRecord, folder: RunFolder) -> RunInputs:
        """Read a finished run; ProjectError if its files are gone."""
        facts = folder.facts()
        first, *others = (cls._read(record, facts, name, folder.output(name), folder) for name in facts.predicted)
        return replace(first, further=tuple(others), funnel=folder.funnel())

    @classmethod
    def _read(cls, record: RunRecord, facts: RunFacts, output: str, folder: OutputFolder, run: RunFolder) -> RunInputs:
        quality = folder.quality("test")
        assert quality is not None, "a run with results has its test quality"
        return cls(
            record=record,
            facts=facts,
            output=output,
            recipe=run.recipe_toml(),
            quality=quality,
            validation=folder.quality("validation"),
            history=run.history(),
            evidence=folder.evidence(),
            effects=folder.field_effects(),
            importance=folder.importance(),
            terms=folder.terms(),
            pairs=folder.pair_interactions(),
            faithfulness=folder.faithfulness(),
            test=_test_rows(folder),
        )

    @property
    def about(self) -> str:
        """Return what is predicted."""
        return self.output or self.facts.label

    @property
    def views(self) -> tuple[RunInputs, ...]:
        """Return the run output by output."""
        return (self, *self.further)

    def validation_auc(self) -> float:
        """Return the AUC on the validation rows, which chooses between models; 0 where it could not be measured."""
        metrics = self.validation.metrics if self.validation else ()
        return next((metric.value for metric in metrics if metric.name == "auc"), 0.0)


def _test_rows(folder: OutputFolder) -> ScoredRows | None:
    table = folder.predictions()
    if table is None:
        return None
    rows, labels, probabilities = (table[name].to_numpy() for name in ("row", "label", "probability"))
    return ScoredRows(rows.astype(np.int64), labels.astype(np.float64), probabilities.astype(np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class ReportInputs:
    """Title, notes and runs. `sections` chooses and names sections to include; empty means all of them."""

    title: str
    created: datetime
    runs: tuple[RunInputs, ...]
    notes: str = ""
    sections: tuple[str, ...] = field(default=())

    def named_runs(self) -> Mapping[str, RunInputs]:
        """Return the runs by the title of their model, numbered where a model occurs twice."""
        titles = [run.facts.model_title for run in self.runs]
        counts, seen, named = Counter(titles), Counter[str](), {}
        for title, run in zip(titles, self.runs, strict=True):
            seen[title] += 1
            named[f"{title} ({seen[title]})" if counts[title] > 1 else title] = run
        return named


def by_output(runs: Mapping[str, RunInputs]) -> Mapping[str, Mapping[str, RunInputs]]:
    """Return, for every output that some run predicts, the runs that do, by name; clicks come first."""
    names = dict.fromkeys(view.about for run in runs.values() for view in run.views)
    order = [output.value for output in Output if output.value in names]
    return {
        output: {name: view for name, run in runs.items() for view in run.views if view.about == output}
        for output in dict.fromkeys((*order, *names))
    }


def compared(runs: Mapping[str, RunInputs]) -> Sequence[tuple[str, str, PairedComparison]]:
    """Return paired comparisons of all runs that share data and test rows: AUC and log loss."""
    found = []
    for (first, a), (second, b) in itertools.combinations(runs.items(), 2):
        if a.test is None or b.test is None or not _comparable(a, b):
            continue
        logits = a.test.logits(), b.test.logits()
        if 0 < a.test.labels.sum() < len(a.test.labels):
            found.append((first, second, compare_auc(a.test.labels, *logits)))
        found.append((first, second, compare_log_loss(a.test.labels, *logits)))
    return found


def _comparable(a: RunInputs, b: RunInputs) -> bool:
    same = a.record.data_fingerprint == b.record.data_fingerprint and a.about == b.about
    return same and a.test is not None and b.test is not None and a.test.same_rows(b.test)
