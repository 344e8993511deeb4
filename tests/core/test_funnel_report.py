"""A report about a funnel: every output on rows of its own, the stages, and who is left to learn from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from core.display import Table
from core.funnel import Delay, FunnelReport, FunnelTimes, StageTimes, funnel_report
from core.funnel_views import delays_table, output_words, outputs_table, selection_table, stage_bars, stages_table
from core.metrics import FEW_LABELS, evaluate
from core.outputs import BOTH, CLICK, CONVERSION, exported
from core.report import Heading
from core.report.build import RunInputs, build_report
from core.report.html import render_html
from core.report.inputs import ScoredRows, by_output, compared
from crosslens.plain import from_plain, to_plain

from .analytic import rows
from .test_report import OTHER, RUN, _inputs, _pictures, _texts

NAMES = {"impressions": "impressions", "click": "clicks", "conversion": "conversions"}


def view(run: RunInputs, output: str, count: int, positives: int, seed: int) -> RunInputs:
    """One output of a run: `positives` of `count` rows, predicted with some skill."""
    draws = np.random.default_rng(seed)
    labels = (np.arange(count) < positives).astype(np.float64)
    logits = labels + draws.normal(size=count)
    test = ScoredRows(np.arange(count), labels, 1 / (1 + np.exp(-logits)))
    quality = evaluate(labels, logits, task=output)
    return replace(run, output=output, quality=quality, validation=quality, test=test, evidence=None, effects=())


def report() -> FunnelReport:
    labels = {"click": np.array([1, 1, 0, 0] * 50, np.float32), "conversion": np.array([1, 0, 0, 0] * 50, np.float32)}
    test = rows(200).with_labels(labels)
    chances = {"click": np.linspace(0.1, 0.9, 200), "conversion": np.full(200, 0.5)}
    times = FunnelTimes((StageTimes("click", "conversion", np.arange(100.0), 1e9),))
    return funnel_report(NAMES, labels, test, chances, times=times)


@pytest.fixture(scope="module")
def funnel_run() -> RunInputs:
    further = (view(RUN, CONVERSION, 300, 80, 1), view(RUN, BOTH, 3000, 40, 2))
    return replace(RUN, output=CLICK, further=further, funnel=report())


def test_outputs_are_never_pooled(funnel_run: RunInputs) -> None:
    found = by_output({"LightGBM": OTHER, "ESMM": funnel_run})
    assert {output: tuple(runs) for output, runs in found.items()} == {
        CLICK: ("LightGBM", "ESMM"), CONVERSION: ("ESMM",), BOTH: ("ESMM",),
    }  # fmt: skip


def test_a_model_of_clicks_is_compared_with_the_clicks_of_a_funnel_and_with_nothing_else(funnel_run: RunInputs) -> None:
    runs = by_output({"LightGBM": OTHER, "ESMM": funnel_run})
    assert [(a, b) for a, b, _ in compared(runs[CLICK])] == [("LightGBM", "ESMM")] * 2
    assert compared(runs[CONVERSION]) == []
    twin = replace(funnel_run, further=(view(RUN, CONVERSION, 300, 80, 9),))
    both = by_output({"ESMM": funnel_run, "Twin": twin})
    assert {result.rows for _, _, result in compared(both[CONVERSION])} == {300}


def test_a_report_of_a_funnel_tells_of_every_output_and_of_the_stages(funnel_run: RunInputs) -> None:
    document = build_report(_inputs(funnel_run, OTHER))
    headings = [block.text for block in document.blocks if isinstance(block, Heading)]
    assert [name for name in headings if name in ("pCTR", "pCVR", "pCTCVR")] == ["pCTR", "pCVR", "pCTCVR"]
    assert "The funnel" in headings
    titles = [table.title for table in _pictures(document, "table")]
    assert {"Stages", "How long it takes", "What is predicted, each on rows of its own"} <= set(titles)
    assert "pCVR: the chance of a conversion once clicked, measured on clicked rows." in _texts(document)
    assert "Stages" in render_html(document)


def test_warnings_of_an_output_name_it(funnel_run: RunInputs) -> None:
    assert "ARM-Net, pCTCVR: Only 40 positive rows" in _texts(build_report(_inputs(funnel_run, sections=("summary",))))


def test_a_report_without_a_funnel_is_as_it_was() -> None:
    document = build_report(_inputs(RUN, OTHER))
    assert "The funnel" not in [block.text for block in document.blocks if isinstance(block, Heading)]
    assert "pCTR" not in _texts(document)


def test_outputs_with_few_positives_are_grey(funnel_run: RunInputs) -> None:
    table = outputs_table({"ESMM": {each.about: each.quality for each in funnel_run.views}})
    assert table.greyed == (False, False, True)
    assert [row[:2] for row in table.rows][1:] == [
        ("pCVR", "80 of 300 clicked rows"), ("pCTCVR", "40 of 3,000 rows"),
    ]  # fmt: skip
    assert str(FEW_LABELS) in table.note
    both = outputs_table({name: {CLICK: funnel_run.quality} for name in ("ESMM", "LightGBM")})
    assert [row[:2] for row in both.rows] == [("ESMM", "pCTR"), ("LightGBM", "pCTR")]


def test_the_stages_have_rates_with_intervals() -> None:
    table = stages_table(report())
    assert table.rows[0] == ("impressions", 200, None, None)
    assert table.rows[2] == ("conversions", 50, "50.00 % [40.38, 59.62]", "25.00 % [19.51, 31.43]")
    assert stage_bars(report()).values == (200.0, 100.0, 50.0)


def test_delays_are_told_with_what_may_still_come() -> None:
    table = delays_table(replace(report(), late=0.031))
    assert isinstance(table, Table)
    assert table.rows[0][:2] == ("click", "conversion")
    assert "3.1 %" in table.note
    assert delays_table(FunnelReport(report().stages)) is None


def test_days_are_told_as_days() -> None:
    slow = FunnelReport(report().stages, (Delay("click", "conversion", 90.0, 3 * 86_400, 5),))
    table = delays_table(slow)
    assert table is not None
    assert table.rows[0][2:] == ("1 min 30 s", "3.0 days", 5)


def test_the_selection_says_whether_pcvr_is_right_where_it_can_be_checked() -> None:
    selection = report().selection
    assert selection is not None
    assert "within the interval of the observed rate" in selection_table(selection).note
    wrong = replace(selection, pcvr_clicked=0.9)
    assert "+40.0 percentage points from the observed rate" in selection_table(wrong).note


def test_the_report_of_a_funnel_survives_json() -> None:
    assert from_plain(FunnelReport, to_plain(report())) == report()


def test_exported_predictions_say_what_every_column_is_about() -> None:
    table = pa.table({"row": [1], "label": [1.0], "probability": [0.2], "probability_click": [0.5], "x": ["a"]})
    assert exported(table, CONVERSION).column_names == [
        "row", "label_conversion", "probability_conversion", "probability_click", "x",
    ]  # fmt: skip
    plain = table.select(["row", "label", "probability", "x"])
    assert exported(plain, CLICK).column_names == plain.column_names


@pytest.mark.parametrize("output", [CLICK, CONVERSION, BOTH])
def test_an_output_says_what_it_means_and_where_it_is_measured(output: str) -> None:
    assert "measured on" in output_words(output)
    assert output_words("next_item") == ""
