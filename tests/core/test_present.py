from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from core.evidence import Faithfulness, FieldEffect, InteractionEvidence, PairEvidence
from core.metrics import evaluate
from core.present import (
    comparison_table,
    comparison_words,
    evidence_table,
    faithfulness_words,
    field_bars,
    gains_chart,
    importance_bars,
    interaction_graph,
    interaction_heat_map,
    metrics_table,
    pair_heat_map,
    precision_recall_chart,
    reliability_chart,
    roc_chart,
    runs_table,
    terms_table,
    training_chart,
    verdict,
    waterfall,
)
from core.quality import Curve, PairedComparison
from crosslens import (
    Contributions,
    FieldImportance,
    FitProgress,
    InteractionTerm,
    InteractionTerms,
    PairInteractions,
)
from crosslens.runs import Metric, RunRecord, RunStatus


def _pair(first: str, second: str, effect: float, *, supported: bool) -> PairEvidence:
    q = 0.01 if supported else 0.6
    return PairEvidence((first, second), effect, effect - 0.1, effect + 0.1, 0.001, 0.0, 0.002, q, q, supported)


EVIDENCE = InteractionEvidence(
    fields=("age", "brand", "region"),
    pairs=(
        _pair("region", "brand", 0.4, supported=True),
        _pair("age", "brand", 0.6, supported=False),
        _pair("age", "region", 0.001, supported=False),
    ),
    rows=1234,
    background=4,
    method="Second differences.",
    meaning="",
)
RUN = RunRecord("r1", "arm-net", "ARM-Net", RunStatus.FINISHED, datetime(2026, 1, 2, tzinfo=UTC), "", seconds=12.34)


def _quality(seed: int = 0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 1, 400)
    return evaluate(rng.random(400) < 1 / (1 + np.exp(-logits)), logits)


def _comparison(difference: float, low: float, high: float, metric: str = "auc") -> PairedComparison:
    return PairedComparison(metric, 0.7, 0.7 - difference, difference, low, high, 0.3, 100)


def test_the_heat_map_is_symmetric_and_greys_what_is_not_supported():
    found = interaction_heat_map(EVIDENCE)
    assert found.rows == found.columns == ("region", "brand", "age")
    assert found.values == ((None, 0.4, 0.001), (0.4, None, 0.6), (0.001, 0.6, None))
    assert found.greyed == ((False, False, True), (False, False, True), (True, True, False))
    assert "1,234 held-out rows" in found.note


def test_the_graph_leaves_out_what_is_hardly_used():
    effects = (FieldEffect("brand", 2.0, 0, 0, 0, True), FieldEffect("region", 1.0, 0, 0, 0, True))
    graph = interaction_graph(EVIDENCE, effects)
    assert graph.nodes == (("region", 0.5), ("brand", 1.0), ("age", 0.0))
    assert [(edge.first, edge.second, edge.greyed) for edge in graph.edges] == [
        ("region", "brand", False), ("age", "brand", True)
    ]  # fmt: skip
    assert [edge.strength for edge in graph.edges] == pytest.approx([0.4 / 0.6, 1.0])


def test_the_evidence_table_ranks_and_judges_in_words():
    table = evidence_table(EVIDENCE, limit=2)
    assert table.rows[0] == (
        1, "region × brand", 0.4, "[0.300, 0.500]", 0.001, "[0.00000, 0.00200]", "0.010", "supported"
    )  # fmt: skip
    assert table.greyed == (False, True)
    assert table.note.endswith("1 weaker pair left out.")
    assert [verdict(pair) for pair in EVIDENCE.pairs] == ["supported", "not supported", "hardly used"]


def test_field_bars_are_longest_first():
    bars = field_bars((FieldEffect("a", 0.1, 0, 0, 0, False), FieldEffect("b", 0.5, 0, 0, 0, True)))
    assert (bars.labels, bars.values, bars.greyed) == (("b", "a"), (0.5, 0.1), (False, True))


def test_what_a_model_publishes_is_labelled_as_that():
    importance = FieldImportance(("a", "b"), np.array([1.0, 3.0]), "sum of |v|", "larger is used more", 50)
    bars = importance_bars(importance)
    assert bars.labels == ("b", "a") and "publishes" in bars.title
    assert bars.note == "Sum of |v|. Larger is used more. 50 rows."
    matrix = PairInteractions(("a", "b"), np.array([[0.0, 2.0], [2.0, 0.0]]), "SHAP", "", 9)
    assert pair_heat_map(matrix).values == ((None, 2.0), (2.0, None))
    terms = InteractionTerms((InteractionTerm(("a", "b"), 0.5, 0.2), InteractionTerm(("a",), 0.1, 0.3)), "gates", "", 9)
    assert terms_table(terms, limit=1).rows == ((1, "a × b", 2, 0.5, 0.2),)


def _contributions(count: int) -> Contributions:
    values = np.linspace(1.0, -0.5, count)[None, :]
    return Contributions(tuple(f"f{place}" for place in range(count)), values, np.array([-2.0]),
                         -2.0 + values.sum(axis=1), "by hand")  # fmt: skip


def test_the_waterfall_adds_up_and_folds_small_steps():
    contributions = _contributions(16)
    found = waterfall(contributions, 0, {"f0": "shoes", "f1": None}, most=5)
    assert [label for label, _ in found.steps] == ["f0 = shoes", "f1 = missing", "f2", "f3", "12 other fields"]
    assert found.baseline + sum(step for _, step in found.steps) == pytest.approx(found.total)


def test_the_waterfall_shows_every_field_when_they_fit():
    assert len(waterfall(_contributions(5), 0, most=5).steps) == 5


def test_charts_carry_the_figure_in_the_legend_and_chance_as_reference():
    quality = _quality()
    chart = roc_chart({"ARM-Net": quality})
    assert chart.series[0].name == f"ARM-Net ({quality.metric('auc').value:.3f})"
    assert chart.series[-1].reference and chart.series[0].x == quality.roc.x
    assert precision_recall_chart({"m": quality}).series[-1].y == (quality.positives / 400,) * 2
    assert gains_chart({"m": quality}).series[0].name == "m"


def test_the_reliability_chart_rises_in_the_predicted_rate_and_has_bands():
    series = reliability_chart({"m": _quality()}).series[0]
    assert list(series.x) == sorted(series.x) and series.points
    assert all(low <= y <= high for low, y, high in zip(series.low, series.y, series.high, strict=True))


def test_a_quality_without_curves_makes_a_chart_of_references_only():
    empty = evaluate([0, 0], [0.0, 1.0])
    assert [series.reference for series in roc_chart({"m": empty}).series] == [True]


def test_the_training_chart_shows_both_losses_and_the_best_epoch():
    history = [
        FitProgress(epoch, 5, 1, 1, loss=1 / epoch, metrics={"loss": 1.1 / epoch, "auc": 0.7}, best_epoch=2)
        for epoch in (1, 2)
    ]
    chart = training_chart([*history, FitProgress(3, 5, 0, 1)])
    assert [(series.name, series.x) for series in chart.series] == [
        ("training", (1.0, 2.0)), ("validation", (1.0, 2.0)), ("best epoch", (2.0, 2.0))
    ]  # fmt: skip
    assert [series.name for series in training_chart(history, "auc").series] == ["validation", "best epoch"]
    assert training_chart([]).series == ()


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        (_comparison(-0.002, -0.006, 0.003), "no real difference: −0.002 [−0.006, 0.003]"),
        (_comparison(0.02, 0.01, 0.03), "A is better: +0.020 [0.010, 0.030]"),
        (_comparison(-0.02, -0.03, -0.01), "B is better: −0.020 [−0.030, −0.010]"),
        (_comparison(-0.02, -0.03, -0.01, "log_loss"), "A is better: −0.020 [−0.030, −0.010]"),
    ],
)
def test_a_comparison_says_who_is_better_or_that_nobody_is(comparison, words):
    assert comparison_words("A", "B", comparison) == words
    assert comparison_table([("A", "B", comparison)]).rows[0][-1] == words.split(":")[0]


def test_faithfulness_is_said_in_words():
    curve = Curve((0.0, 1.0), (0.0, 1.0))
    good = Faithfulness(0.2, 0.1, 0.3, curve, curve, curve, curve, 500)
    assert faithfulness_words(good).startswith("Faithfulness 0.200 [0.100, 0.300] on 500 rows")
    assert "do not rely" in faithfulness_words(replace(good, low=-0.1))
    assert "less than random" in faithfulness_words(replace(good, low=-0.3, high=-0.1))


def test_runs_without_figures_have_dashes_and_not_zeros():
    measured = replace(RUN, metrics={"auc": Metric("auc", 0.75, 0.7, 0.8, 100, 9)})
    table = runs_table([measured, replace(RUN, status=RunStatus.FAILED, seconds=None)])
    assert table.rows[0] == ("r1", "ARM-Net", "0.750 [0.700, 0.800]", None, None, 100, 12.34, "finished")
    assert table.rows[1][2:] == (None, None, None, None, None, "failed")


def test_the_metrics_table_has_a_column_for_each_model():
    table = metrics_table({"A": _quality(), "B": _quality(1)})
    assert [column.name for column in table.columns] == ["Metric", "A", "B", "Better"]
    assert table.rows[0][0] == "AUC" and table.rows[0][-1] == "higher"
    assert table.rows[-2][:2] == ("Rows", "400")


def test_pictures_need_no_heavy_library():
    code = "import sys, core.present, core.report; print([m for m in ('scipy', 'torch', 'jinja2') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]", found.stdout
