"""A run on disk: every value comes back as it was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.commands import Finding
from core.evidence import FieldEffect, InteractionEvidence, PairEvidence
from core.quality import Curve, Quality, ReliabilityBin
from core.run_folder import RunFacts, RunFolder
from crosslens import Contributions, FieldImportance, FitProgress, InteractionTerm, InteractionTerms
from crosslens.relational import ColumnRef, Snapshot
from crosslens.runs import Metric


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def facts() -> RunFacts:
    snapshot = Snapshot(Path("/p/a.arrow"), (ColumnRef("t", "ü.x"),), 10, "f", "k", "SELECT 1", "shop.db")
    return RunFacts(
        "m", "M", "1", snapshot, "encoded-1", 7, 1, 2, ("t.x",), "click", {"python": "3"}, 2, {"train": 1.5},
        (Finding("warn", "look", ("t.x",)),),
    )  # fmt: skip


def test_facts_and_recipe_come_back(run: RunFolder) -> None:
    run.save_facts(facts())
    run.save_recipe('title = "Größe"')
    assert run.facts() == facts()
    assert run.recipe_toml() == 'title = "Größe"'


def test_history_grows_with_every_epoch(run: RunFolder) -> None:
    assert run.history() == ()
    epochs = tuple(FitProgress(n, 3, 5, 5, 100.0, 0.5, {"auc": 0.7}, best_epoch=1) for n in (1, 2))
    run.save_history(epochs)
    assert run.history() == epochs


def test_quality_is_kept_per_part(run: RunFolder) -> None:
    curve = Curve((0.0, 1.0), (0.0, 1.0))
    bins = (ReliabilityBin(0.1, 0.2, 0.1, 0.3, 9),)
    quality = Quality("click", 9, 2, (Metric("auc", 0.7, 0.6, 0.8, 9, 2),), curve, curve, curve, bins, ("few",))
    run.save_quality("test", quality)
    assert run.quality("test") == quality
    assert run.quality("validation") is None


def test_what_was_not_explained_is_none(run: RunFolder) -> None:
    assert (run.importance(), run.terms(), run.pair_interactions(), run.contributions()) == (None,) * 4
    assert (run.evidence(), run.field_effects(), run.faithfulness(), run.predictions()) == (None, (), None, None)


def test_explanations_come_back_with_their_numbers(run: RunFolder) -> None:
    run.save_explanation(FieldImportance(("a", "b"), np.array([1.0, 2.0]), "method", "meaning", 5))
    run.save_explanation(InteractionTerms((InteractionTerm(("a", "b"), 0.5, 1.5),), "method", "meaning", 5))
    importance, terms = run.importance(), run.terms()
    assert importance is not None
    assert importance.values.tolist() == [1.0, 2.0]
    assert terms is not None
    assert terms.terms[0].order == 2


def test_contributions_keep_every_digit(run: RunFolder) -> None:
    values = np.random.default_rng(0).normal(size=(4, 2))
    baseline = np.full(4, -2.0)
    run.save_explanation(Contributions(("a", "b"), values, baseline, baseline + values.sum(1), "exact"))
    found = run.contributions()
    assert found is not None
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_array_equal(found.logits, found.baseline + found.values.sum(1))


def test_evidence_and_effects_travel_together(run: RunFolder) -> None:
    pair = PairEvidence(("a", "b"), 0.5, 0.4, 0.6, 0.01, 0.001, 0.02, 0.01, 0.02, True)
    evidence = InteractionEvidence(("a", "b"), (pair,), 100, 8, "second differences", "more is stronger")
    effects = (FieldEffect("a", 0.5, 0.01, 0.0, 0.02, True),)
    run.save_evidence(evidence, effects)
    assert run.evidence() == evidence
    assert run.field_effects() == effects


def test_predictions_know_their_snapshot_rows(run: RunFolder) -> None:
    run.save_predictions(pa.table({"row": pa.array([5, 3]), "label": [0.0, 1.0], "probability": [0.1, 0.9]}))
    assert run.test_rows().tolist() == [5, 3]


def test_a_checkpoint_survives_a_crash_while_the_next_is_written(run: RunFolder) -> None:
    checkpoints = run.checkpoints
    checkpoints.save(lambda folder: (folder / "state").write_text("1", encoding="utf-8") and None)

    def crash(folder: Path) -> None:
        (folder / "state").write_text("2", encoding="utf-8")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(crash)
    latest = checkpoints.latest()
    assert latest is not None
    assert (latest / "state").read_text(encoding="utf-8") == "1"
    checkpoints.clear()
    assert checkpoints.latest() is None
