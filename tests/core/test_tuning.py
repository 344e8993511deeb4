"""A search over parameters as a value: what may be tried, which trial is best, when a training is left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.present_tuning import importance_bars, parameter_text, progress_chart, trials_table
from core.tuning import (
    Range,
    Trial,
    TrialState,
    Tuning,
    falls_behind,
    load_tuning,
    save_tuning,
    search_space,
    tuning_folder,
    tunings,
)
from crosslens import DataError, ProjectError, parameter


@dataclass(frozen=True, slots=True)
class Searched:
    rate: float = parameter(0.1, label="Rate", minimum=0.0, maximum=1.0, logarithmic=True, search=(0.01, 0.5))
    width: int = parameter(8, label="Width", minimum=1, maximum=64, search=(4, 32))
    layers: tuple[int, ...] = parameter((64,), label="Layers", minimum=1, search=((64,), (128, 64)))
    length: int = parameter(20, label="Length", minimum=1, search=(10, 20, 50))
    kept: int = parameter(3, label="Kept", minimum=1)


@dataclass(frozen=True, slots=True)
class Fixed:
    width: int = parameter(8, label="Width", minimum=1)


def tuning(*trials: Trial, rises: bool = False) -> Tuning:
    return Tuning("tune-1", "m", "Model", "", "log loss", rises, datetime(2026, 1, 1, tzinfo=UTC), trials)


def trial(number: int, value: float | None, state: TrialState = TrialState.FINISHED) -> Trial:
    return Trial(number, {"rate": 0.1 * (number + 1)}, state, value, 1.5, 3)


def test_only_parameters_with_a_search_range_are_searched() -> None:
    assert search_space(Searched) == (
        Range("rate", float, 0.01, 0.5, logarithmic=True),
        Range("width", int, 4, 32),
        Range("layers", tuple, choices=((64,), (128, 64))),
        Range("length", int, choices=(10, 20, 50)),
    )


def test_a_model_without_ranges_says_that_there_is_nothing_to_search() -> None:
    with pytest.raises(DataError, match="declares no ranges"):
        search_space(Fixed)


@pytest.mark.parametrize(("rises", "best"), [(False, 2), (True, 0)])
def test_the_best_trial_is_the_finished_one_with_the_best_value(rises: bool, best: int) -> None:
    found = tuning(trial(0, 0.5), trial(1, None, TrialState.FAILED), trial(2, 0.3), trial(3, 0.1, TrialState.PRUNED))
    chosen = tuning(*found.trials, rises=rises).best
    assert chosen is not None
    assert chosen.number == best


def test_a_search_without_a_finished_trial_has_no_best() -> None:
    assert tuning(trial(0, None, TrialState.FAILED)).best is None


OTHERS = [(0.5, 0.4, 0.3, 0.3)] * 5


@pytest.mark.parametrize(
    ("curve", "left"),
    [
        ((0.6, 0.5, 0.6, 0.7), True),  # stale, and worse than the median
        ((0.9, 0.8, 0.7, 0.6), False),  # worse, but still improving
        ((0.5, 0.2, 0.6, 0.7), False),  # stale, but better than the median
        ((0.6, 0.7), False),  # too early to tell
    ],
)
def test_a_training_is_left_when_it_is_stale_and_behind(curve: tuple[float, ...], left: bool) -> None:
    assert falls_behind(curve, OTHERS, rises=False, warm_up=2) is left


def test_a_training_is_not_left_before_five_others_have_come_so_far() -> None:
    assert not falls_behind((0.6, 0.5, 0.6, 0.7), OTHERS[:4], rises=False, warm_up=2)


def test_a_search_is_kept_whole_and_listed(tmp_path: Path) -> None:
    kept = tuning(trial(0, 0.5))
    save_tuning(tuning_folder(tmp_path, kept.id), kept)
    assert load_tuning(tuning_folder(tmp_path, kept.id)) == kept
    assert tunings(tmp_path) == (kept,)


@pytest.mark.parametrize("name", ["", "../runs", "a/b"])
def test_the_name_of_a_search_cannot_lead_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProjectError, match="not the name of a search"):
        tuning_folder(tmp_path, name)


def test_the_table_begins_with_the_best_trial_and_ends_with_failed_ones() -> None:
    failed = Trial(0, {"rate": 0.1}, TrialState.FAILED, None, error="It would not.")
    shown = trials_table(tuning(failed, trial(1, 0.5), trial(2, 0.3)), {"rate": "Rate"})
    assert [row[0] for row in shown.rows] == [3, 2, 1]
    assert shown.rows[2][2] == "It would not."
    assert [column.name for column in shown.columns][-1] == "Rate"
    assert shown.greyed == (False, False, True)


def test_the_best_value_so_far_never_gets_worse() -> None:
    chart = progress_chart(tuning(trial(0, 0.5), trial(1, 0.7), trial(2, 0.3)))
    assert chart.series[1].y == (0.5, 0.5, 0.3)


def test_importance_is_shown_by_label_with_the_largest_first() -> None:
    found = Tuning(**{**_plain(tuning()), "importance": {"rate": 0.2, "width": 0.8}})
    bars = importance_bars(found, {"rate": "Rate", "width": "Width"})
    assert bars.labels == ("Width", "Rate")


def _plain(value: Tuning) -> dict[str, object]:
    return {name: getattr(value, name) for name in Tuning.__dataclass_fields__}


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (True, "yes"), (0.000123456, "0.0001235"), ([64, 32], "64, 32"), (7, "7")]
)
def test_values_are_shown_as_people_write_them(value: object, text: str) -> None:
    assert parameter_text(value) == text
