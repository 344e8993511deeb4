from __future__ import annotations

import math

import pytest

from core.display import Align, TableColumn
from core.formats import (
    counted,
    enumerated,
    format_cell,
    format_interval,
    format_metric,
    format_number,
    format_percent,
    format_q,
    format_seconds,
    format_signed,
)
from crosslens.runs import Metric


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.12345, None, "0.123"),
        (-0.12345, 2, "−0.12"),
        (1234.5678, None, "1,235"),
        (12.345, None, "12.3"),
        (0.0, None, "0"),
        (-0.0001, 2, "0.00"),
        (0.00001234, None, "1.2e−05"),
        (2_500_000.0, 0, "2,500,000"),
        (math.nan, None, "–"),
        (math.inf, 2, "–"),
    ],
)
def test_numbers_read_alike_everywhere(value, decimals, text):
    assert format_number(value, decimals) == text


@pytest.mark.parametrize(("value", "text"), [(0.5, "+0.500"), (-0.5, "−0.500"), (0.0, "0.000"), (1e-9, "0.000")])
def test_a_sign_is_shown_only_where_there_is_something(value, text):
    assert format_signed(value, 3) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (3840, "1 h 4 min")],
)
def test_durations_are_told_in_fitting_units(seconds, text):
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(0.0, "< 0.001"), (0.00099, "< 0.001"), (0.0123, "0.012"), (1.0, "1.000")])
def test_q_values_never_claim_to_be_zero(value, text):
    assert format_q(value) == text


def test_a_metric_brings_its_interval():
    assert format_metric(Metric("auc", 0.7412, 0.7249, 0.7561, 100, 10)) == "0.741 [0.725, 0.756]"
    assert format_interval(-0.0061, 0.003, 3) == "[−0.006, 0.003]"
    assert format_percent(0.1234) == "12.3 %"


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (None, TableColumn("x"), "–"),
        (True, TableColumn("x"), "yes"),
        ("text", TableColumn("x", decimals=2), "text"),
        (12345, TableColumn("x", Align.RIGHT), "12,345"),
        (0.5, TableColumn("x", percent=True), "50.0 %"),
        (0.5, TableColumn("x", decimals=1), "0.5"),
    ],
)
def test_cells_follow_their_column(value, column, text):
    assert format_cell(value, column) == text


def test_words_agree_with_their_number():
    assert [counted(count, "pair") for count in (0, 1, 1200)] == ["0 pairs", "1 pair", "1,200 pairs"]
    assert [enumerated(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
