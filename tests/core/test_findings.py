"""What is found before training."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from core.commands import Finding
from core.findings import MOST_ROWS, auc, check, check_profiles
from crosslens import FieldKind
from crosslens.relational import ColumnProfile, ColumnType, QuerySpec, TableRef

from .snapshots import fields, ref, snapshot

N = 1000
RNG = np.random.default_rng(5)
Y = RNG.integers(0, 2, N)
NOISE = RNG.normal(size=N)
COLOUR = np.array(["red", "green", "blue"])[RNG.integers(0, 3, N)]


def found(meaning: str = "feature", **columns: Any) -> tuple[Finding, ...]:
    """Check label y with one column x."""
    table, refs = snapshot(**{"y": Y} | columns)
    return check(table, refs, fields(y="click", x=meaning))


@pytest.mark.parametrize(("meaning", "values"), [("numerical feature", NOISE), ("feature", COLOUR)])
def test_honest_columns_raise_no_alarm(meaning: str, values: Any) -> None:
    assert found(meaning, x=values) == ()


@pytest.mark.parametrize(
    ("meaning", "values"),
    [
        ("feature", Y),
        ("feature", np.where(Y, "deal", "none")),
        ("feature", np.where(Y, COLOUR, "never shown")),
        ("numerical feature", Y + 0.01 * NOISE),
        ("numerical feature", -Y + 0.01 * NOISE),
        ("numerical feature", np.where(Y, 0, np.sign(NOISE) * 9) + 0.01 * NOISE),
        ("numerical feature", (Y * 2).astype(str)),
    ],
)
def test_a_column_that_gives_the_label_away_is_named(meaning: str, values: Any) -> None:
    (finding,) = found(meaning, x=values)
    assert finding.severity == "warn"
    assert finding.message.startswith("x alone tells y with an AUC of ")
    assert finding.columns == ("x",)


def test_numbers_that_are_none_are_no_values() -> None:
    (finding,) = found("numerical feature", x=np.full(N, np.nan))
    assert (finding.check, finding.message) == ("empty", "x has no value in any row and will be left out.")


@pytest.mark.parametrize("meaning", ["feature", "numerical feature"])
def test_a_column_that_is_missing_just_when_nothing_happened_is_named(meaning: str) -> None:
    (finding,) = found(meaning, x=pa.array(np.round(NOISE), mask=Y == 0))
    assert finding.message.startswith("Whether x is missing gives y away (AUC 1.000).")


def test_a_column_filled_only_after_some_of_the_events_is_named() -> None:
    some = (Y == 1) & (RNG.random(N) < 0.2)
    (finding,) = found(x=np.where(some, "SPRING", None).tolist())
    assert finding.message.startswith(f"All {some.sum()} rows with x have y.")


def test_a_few_rows_that_happen_to_agree_are_no_leak() -> None:
    few = np.isin(np.arange(N), np.flatnonzero(Y)[:10])
    assert found(x=np.where(few, "SPRING", None).tolist()) == ()


def test_identifiers_of_single_rows_are_useless_but_leak_nothing() -> None:
    (finding,) = found(x=np.arange(N))
    assert finding.message == "x is different in almost every row and says nothing."
    assert found("numerical feature", x=RNG.permutation(N)) == ()


@pytest.mark.parametrize(
    ("values", "message"),
    [(pa.nulls(N, pa.string()), "has no value in any row"), (["same"] * N, "has the same value in every row")],
)
def test_columns_that_say_nothing_are_named(values: Any, message: str) -> None:
    (finding,) = found(x=values)
    assert message in finding.message


def test_a_column_of_one_value_and_missing_ones_says_something() -> None:
    assert found(x=np.where(NOISE > 0, "yes", None).tolist()) == ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1] * N, "y is 1 in every row"),
        ([None, *Y[1:].tolist()], "y is missing in 1 of 1,000 rows"),
        (COLOUR, "3 different values"),
    ],
)
def test_a_label_that_cannot_be_learned_stops(values: Any, message: str) -> None:
    (finding,) = found(x=COLOUR, y=values)
    assert (finding.severity, finding.columns) == ("stop", ("y",))
    assert message in finding.message


@pytest.mark.parametrize(
    ("meaning", "values", "message"),
    [
        ("text feature", COLOUR, "x, which is free text"),
        ("numerical feature", COLOUR, "x is set to numerical, but most of its values are text"),
        ("timestamp feature", COLOUR, "x holds nothing that reads like a date or time"),
        ("timestamp feature", Y == 1, "x holds nothing that reads like a date or time"),
        ("numerical feature", [["a"], ["b"]] * 500, "x holds several values in a row"),
        ("categorical feature", [["a"], ["b"]] * 500, "x holds several values in a row"),
        ("timestamp feature", [["a"], ["b"]] * 500, "x holds several values in a row"),
        ("multi-valued feature", NOISE, "x holds one value in a row, not several"),
    ],
)
def test_columns_that_models_cannot_read_as_told_stop(meaning: str, values: Any, message: str) -> None:
    (finding,) = found(meaning, x=values)
    assert (finding.severity, finding.check, finding.columns) == ("stop", "unreadable", ("x",))
    assert message in finding.message


@pytest.mark.parametrize(
    ("meaning", "values"),
    [
        ("timestamp feature", (np.datetime64("2026-01-01") + RNG.integers(0, 300, N)).astype("datetime64[us]")),
        ("timestamp feature", RNG.integers(1.6e9, 1.7e9, N)),
        ("numerical feature", np.where(NOISE > 1, "unknown", RNG.integers(0, 99, N).astype(str))),
        ("multi-valued feature", [["a", "b"], ["b"], [], None] * 250),
        ("multi-valued feature", ["a,b", "b", "", None] * 250),
    ],
)
def test_times_and_several_values_can_be_read(meaning: str, values: Any) -> None:
    assert found(meaning, x=values) == ()


SPELT = np.array(["admin.", "clerk", "nurse", "C", "C++"])[RNG.integers(0, 5, N)]


def test_values_that_differ_in_capitals_spaces_or_a_stop_are_noted() -> None:
    (finding,) = found(x=np.where(np.arange(N) < 7, "Admin", SPELT))
    assert (finding.severity, finding.check, finding.rows) == ("note", "spelling", 7)
    assert "One value of x is spelt in several ways, such as 'admin.' in " in finding.message
    (finding,) = found(x=np.where(np.arange(N) < 7, " nurse", np.where(np.arange(N) < 9, "CLERK", SPELT)))
    assert finding.message.startswith("2 values of x are spelt in several ways, such as 'clerk' in ")


def test_other_values_are_different_values() -> None:
    assert found(x=SPELT) == ()


VALUES = {
    "numbers": st.one_of(st.none(), st.floats(width=32)),
    "whole": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    "texts": st.one_of(st.none(), st.text(max_size=4), st.sampled_from(["2026-01-01", "1", "a|b"])),
    "truths": st.one_of(st.none(), st.booleans()),
    "dates": st.one_of(st.none(), st.dates()),
    "times": st.one_of(st.none(), st.datetimes()),
    "lists": st.one_of(st.none(), st.lists(st.one_of(st.none(), st.sampled_from("abc")), max_size=3)),
}
TYPES = {
    "numbers": pa.float64(), "whole": pa.int64(), "texts": pa.string(), "truths": pa.bool_(), "dates": pa.date32(),
    "times": pa.timestamp("us"), "lists": pa.list_(pa.string()),
}  # fmt: skip


ROLES = ["feature", "feature", "ignore", "user", "item", "weight"]


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.data())
def test_whatever_the_rows_hold_the_check_answers(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 40))
    drawn = {name: data.draw(st.lists(values, min_size=count, max_size=count)) for name, values in VALUES.items()}
    kinds = {name: data.draw(st.sampled_from([kind.value for kind in FieldKind])) for name in VALUES}
    roles = {
        name: data.draw(st.sampled_from(["feature", "feature", "ignore", "user", "item", "weight"])) for name in VALUES
    }
    columns = {name: pa.array(values, TYPES[name]) for name, values in drawn.items()}
    labels = data.draw(st.lists(st.sampled_from([0, 1, None]), min_size=count, max_size=count))
    table, refs = snapshot(y=pa.array(labels, pa.int64()), **columns)
    schema = fields(y="click", **{name: f"{kinds[name]} {roles[name]}" for name in VALUES})
    time = data.draw(st.sampled_from([None, *(ref(name) for name in VALUES)]))
    findings = check(table, refs, schema, query=QuerySpec(TableRef("t"), refs, time=time), moment="before it")
    assert {each.severity for each in findings} <= {"stop", "warn", "note"}
    assert all(each.message.endswith((".", "?")) and each.check for each in findings)


def test_no_label_stops() -> None:
    table, refs = snapshot(x=COLOUR)
    assert [finding.severity for finding in check(table, refs, fields(x="feature"))] == ["stop"]


@pytest.mark.parametrize(("positives", "word"), [(49, "positive"), (N - 49, "negative")])
def test_few_rows_of_a_kind_are_said(positives: int, word: str) -> None:
    (finding,) = found(x=COLOUR, y=np.arange(N) < positives)
    assert finding.message.startswith(f"Only 49 of 1,000 rows are {word} for y")


def test_fifty_of_a_kind_are_enough() -> None:
    assert found(x=COLOUR, y=RNG.permutation(N) < 50) == ()


def test_a_guessed_label_is_noted_and_bad_weights_stop() -> None:
    table, refs = snapshot(y=np.where(RNG.random(N) < 0.3, "sold", "kept"), x=COLOUR, w=-np.ones(N))
    findings = check(table, refs, fields(y="click", x="feature", w="numerical weight"))
    assert [finding.severity for finding in findings] == ["stop", "note"]
    assert "'sold' counts as click" in findings[1].message


def test_large_snapshots_are_sampled_and_quick() -> None:
    rows = 3 * MOST_ROWS
    label = np.random.default_rng(0).integers(0, 2, rows)
    started = time.perf_counter()
    (finding,) = found(x=label, y=label)
    assert "AUC of 1.000" in finding.message
    assert time.perf_counter() - started < 3


def test_auc_counts_ties_half() -> None:
    labels = np.array([1, 0, 1, 0], np.float32)
    assert auc(labels, np.array([3.0, 1.0, 2.0, 2.0])) == pytest.approx(3.5 / 4)
    assert auc(np.ones(3, np.float32), np.arange(3.0)) == 0.5


def profile(name: str, *, rows: int = 1000, nulls: int = 0, distinct: int = 10, sampled: bool = False) -> ColumnProfile:
    return ColumnProfile(ref(name), ColumnType.TEXT, rows, nulls, distinct, sampled=sampled)


LABEL = profile("y", distinct=2)


@pytest.mark.parametrize(
    ("label", "feature", "severity", "message"),
    [
        (profile("y", distinct=2, nulls=3), profile("x"), "stop", "missing in 3 of 1,000"),
        (profile("y", distinct=3), profile("x"), "stop", "has 3 different values; it needs two"),
        (profile("y", distinct=1), profile("x"), "stop", "has 1 different values; it needs two"),
        (profile("y", distinct=1, sampled=True), profile("x"), "warn", "in a sample of 1,000 rows"),
        (LABEL, profile("x", nulls=1000, distinct=0), "warn", "no value in any row"),
        (LABEL, profile("x", distinct=1), "warn", "same value in every row"),
        (LABEL, profile("x", distinct=950), "warn", "different in almost every row"),
    ],
)
def test_profiles_tell_before_rows_are_read(
    label: ColumnProfile, feature: ColumnProfile, severity: str, message: str
) -> None:
    (finding,) = check_profiles(fields(y="click", x="feature"), (label, feature))
    assert finding.severity == severity
    assert message in finding.message


def test_sound_profiles_raise_no_alarm() -> None:
    assert check_profiles(fields(y="click", x="feature"), (LABEL, profile("x"))) == ()


def test_a_preparation_without_label_or_features_stops() -> None:
    assert [each.severity for each in check_profiles(fields(x="ignore"), (profile("x"),))] == ["stop", "stop"]
