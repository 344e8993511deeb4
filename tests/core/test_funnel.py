"""The funnel in figures: stages, delays, and how far clicked rows stand for all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.funnel import FunnelTimes, Rate, StageTimes, effective_size, funnel_report
from core.metrics import wilson
from crosslens import EncodedDataset
from crosslens.data import Float64Array

from .analytic import rows

NAMES = {"impressions": "shown", "click": "clicked", "conversion": "bought"}


def labelled(y: list[float], z: list[float]) -> EncodedDataset:
    labels = {"click": np.array(y, np.float32), "conversion": np.array(z, np.float32)}
    return rows(len(y)).with_labels(labels)


def times(seconds: list[float], last: float) -> FunnelTimes:
    return FunnelTimes((StageTimes("click", "conversion", np.array(seconds), last),))


TEST = labelled([1, 1, 0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 1, 0, 0, 0])
EVEN: dict[str, Float64Array] = {"click": np.full(8, 0.25), "conversion": np.full(8, 0.5)}


def test_stages_are_counted_on_the_stage_before_and_on_the_first() -> None:
    report = funnel_report(NAMES, TEST.labels, TEST, EVEN, times=FunnelTimes())
    assert [(stage.name, stage.count) for stage in report.stages] == [("shown", 8), ("clicked", 3), ("bought", 1)]
    first, clicks, bought = report.stages
    assert (first.of_previous, first.of_first) == (None, None)
    assert clicks.of_previous == clicks.of_first == Rate(3 / 8, *wilson(3, 8))
    assert bought.of_previous == Rate(1 / 3, *wilson(1, 3))
    assert bought.of_first == Rate(1 / 8, *wilson(1, 8))


def test_conversions_without_a_click_are_told_and_not_counted() -> None:
    report = funnel_report(NAMES, TEST.labels, TEST, EVEN, times=FunnelTimes())
    assert any("1 conversions have no click" in warning for warning in report.warnings)


def test_delays_have_a_median_and_a_ninetieth_percentile() -> None:
    (delay,) = funnel_report(NAMES, TEST.labels, TEST, EVEN, times=times(list(range(11)), 0.0)).delays
    assert (delay.median, delay.p90, delay.rows) == (5.0, 9.0, 11)


def test_stages_without_a_measured_time_have_no_delay() -> None:
    report = funnel_report(NAMES, TEST.labels, TEST, EVEN, times=FunnelTimes((), "No times."))
    assert (report.delays, report.delays_unknown) == ((), "No times.")


def test_the_selection_compares_clicked_rows_with_all_of_them() -> None:
    chances = {"click": np.array([0.5, 0.25, *[0.1] * 5, 0.5]), "conversion": np.array([0.8, 0.2, *[0.3] * 5, 0.2])}
    selection = funnel_report(NAMES, TEST.labels, TEST, chances, times=FunnelTimes()).selection
    assert selection is not None
    assert (selection.rows, selection.clicked) == (8, 3)
    assert selection.pctr_all == pytest.approx(1.75 / 8)
    assert selection.pctr_clicked == pytest.approx(1.25 / 3)
    assert selection.pcvr_clicked == pytest.approx(0.4)
    assert selection.effective == pytest.approx((2 + 4 + 2) ** 2 / (4 + 16 + 4))
    assert selection.observed.value == pytest.approx(1 / 3)


def test_a_model_without_pctr_or_without_clicked_test_rows_has_no_selection() -> None:
    nobody = labelled([0, 0], [0, 0])
    assert (
        funnel_report(NAMES, TEST.labels, TEST, {"conversion": EVEN["conversion"]}, times=FunnelTimes()).selection
        is None
    )
    chances = {"click": np.full(2, 0.1), "conversion": np.full(2, 0.1)}
    assert funnel_report(NAMES, nobody.labels, nobody, chances, times=FunnelTimes()).selection is None


@given(st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=30))
def test_the_effective_size_lies_between_one_and_the_number_of_rows(chances: list[float]) -> None:
    size = effective_size(np.array(chances))
    assert 1 - 1e-9 <= size <= len(chances) * (1 + 1e-9)
    assert effective_size(np.full(7, chances[0])) == pytest.approx(7)


def test_conversions_that_may_still_come_are_counted_from_the_delays() -> None:
    """Clicked test rows at 0, 50 and 90 of 100 seconds; of four delays none, one and two take longer."""
    shown = np.array([0.0, 50, 0, 0, 0, 0, 0, 90])
    report = funnel_report(NAMES, TEST.labels, TEST, EVEN, times=times([1, 5, 20, 60], 100.0), shown_at=shown)
    assert report.late == pytest.approx((0 / 4 + 1 / 4 + 2 / 4) / 3)
    assert any("still to come" in warning for warning in report.warnings)


def test_without_times_nothing_is_said_about_conversions_to_come() -> None:
    assert funnel_report(NAMES, TEST.labels, TEST, EVEN, times=times([1.0], 5.0)).late is None
    assert funnel_report(NAMES, TEST.labels, TEST, EVEN, times=FunnelTimes(), shown_at=np.zeros(8)).late is None


def test_clicked_rows_of_a_special_kind_are_told() -> None:
    chances = {"click": np.where(TEST.target > 0.5, 0.9, 0.01), "conversion": np.full(8, 0.3)}
    report = funnel_report(NAMES, TEST.labels, TEST, chances, times=FunnelTimes())
    assert any("special kind" in warning for warning in report.warnings)
    alike = funnel_report(NAMES, TEST.labels, TEST, EVEN, times=FunnelTimes())
    assert not any("special kind" in warning for warning in alike.warnings)


def test_a_rate_of_no_rows_is_no_rate() -> None:
    assert Rate.of(0, 0) is None
