"""Fields that give a label away in less obvious ways: in pairs, as rates, as identifiers, or by coming later."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.commands import Finding
from core.findings import check
from core.findings.strength import strength
from crosslens.relational import QuerySpec, TableRef

from .snapshots import fields, snapshot

N = 4000
RNG = np.random.default_rng(8)
Y = RNG.permutation(N) < 600
NOISE = RNG.normal(size=N)
COIN = RNG.random(N) < 0.5
COLOUR = np.array(["red", "green", "blue"])[RNG.integers(0, 3, N)]
SHOP = RNG.integers(0, 60, N)
RATES = np.bincount(SHOP, weights=Y) / np.bincount(SHOP)
OTHER_DAY = RNG.permutation(N) < 600
OTHER_RATES = np.bincount(SHOP, weights=OTHER_DAY) / np.bincount(SHOP)
TASTE = Y * 0.8 + NOISE


def found(moment: str = "", meaning: dict[str, str] | None = None, **columns: Any) -> tuple[Finding, ...]:
    """Check label y with some features: numbers are numerical, other values categorical."""
    table, refs = snapshot(y=Y, **columns)
    kinds = {
        name: "numerical feature" if np.asarray(values).dtype.kind == "f" else "feature"
        for name, values in columns.items()
    }
    schema = fields(y="click", **(kinds | (meaning or {})))
    return check(table, refs, schema, query=QuerySpec(TableRef("t"), refs), moment=moment)


@pytest.mark.parametrize(
    ("columns", "kind", "message", "names"),
    [
        ({"x": np.where(Y, "deal", "none")}, "function-of-label", "each of its 2 values goes with one value of y", "x"),
        ({"x": np.where(Y, COLOUR, "never")}, "function-of-label", "each of its 4 values", "x"),
        ({"x": np.where(Y, np.arange(N), -1)}, "positive-ids", "rows with y each have a value of their own", "x"),
        ({"x": np.where(Y, np.arange(N).astype(str), "")}, "positive-ids", "a value of their own", "x"),
        ({"x": COIN, "z": COIN ^ Y}, "pair-leak", "x and z together tell y almost for certain", "x z"),
        (
            {"x": COIN, "c": COLOUR, "z": COIN ^ Y ^ (RNG.random(N) < 0.005)},
            "pair-leak",
            "x and z together tell y",
            "x z",
        ),
        ({"shop": SHOP, "rate": RATES[SHOP]}, "target-encoding", "rate is the mean of y for each shop", "rate"),
        ({"shop": SHOP, "rate": np.round(RATES[SHOP], 3)}, "target-encoding", "the mean of y for each shop", "rate"),
    ],
)
def test_a_label_in_disguise_is_named(columns: dict[str, Any], kind: str, message: str, names: str) -> None:
    (finding,) = found(**columns)
    assert (finding.severity, finding.check, finding.columns) == ("warn", kind, tuple(names.split()))
    assert message in finding.message
    assert finding.repairs[0].fields == tuple(names.split())[:1]


@pytest.mark.parametrize(
    "columns",
    [
        {"x": COIN, "z": COIN ^ (RNG.random(N) < 0.5)},
        {"shop": SHOP, "rate": OTHER_RATES[SHOP]},
        {"shop": SHOP, "price": RNG.random(60)[SHOP]},
        {"shop": SHOP, "share": RNG.random(N)},
        {"user": RNG.integers(0, 3000, N), "item": RNG.integers(0, 3000, N)},
        {"taste": TASTE, "colour": COLOUR},
    ],
)
def test_honest_fields_raise_no_alarm(columns: dict[str, Any]) -> None:
    assert found(**columns) == ()


SECONDS = 40 * np.abs(RNG.normal(size=N))
LONG = np.where(Y, 40 + SECONDS, SECONDS)


@pytest.mark.parametrize(
    ("name", "values", "severity", "reasons"),
    [
        ("duration", LONG, "warn", ("'duration'", "none of the ", "no other field tells y nearly as well")),
        ("call_outcome", COLOUR, "warn", ("'outcome'",)),
        ("Dauer", np.abs(NOISE), "warn", ("'dauer'",)),
        ("responses", COLOUR, "warn", ("'responses'",)),
        ("length", LONG, "note", ("none of the ", "no other field")),
    ],
)
def test_what_is_known_only_later_is_named_once_a_moment_is_given(
    name: str, values: Any, severity: str, reasons: tuple[str, ...]
) -> None:
    columns = {name: values, "taste": NOISE, "colour": COLOUR[::-1]}
    (finding,) = found("before the call", **columns)
    assert (finding.severity, finding.check, finding.columns) == (severity, "known-later", (name,))
    assert "later than “before the call”" in finding.message
    assert all(reason in finding.message for reason in reasons)
    assert found("", **columns) == ()


@pytest.mark.parametrize("name", ["previous", "poutcome", "pdays", "previous_outcome", "last_result", "age", "month"])
def test_what_was_there_before_the_moment_is_left_in_peace(name: str) -> None:
    assert found("before the call", **{name: COLOUR, "colour": COLOUR[::-1]}) == ()


def test_a_field_that_alone_gives_the_label_away_is_named_once() -> None:
    (finding,) = found("before the call", outcome=np.where(Y, "yes", "no"))
    assert finding.check == "function-of-label"


MANY = [[f"tag {place}" for place in RNG.integers(0, 12, 4)] for _ in range(N)]
REFUNDED = [["refunded", *tags] if y else tags for y, tags in zip(Y, MANY, strict=True)]
SOMETIMES = [["refunded", *tags] if y and coin else tags for y, coin, tags in zip(Y, COIN, MANY, strict=True)]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (pa.array(REFUNDED), "Whether x holds 'refunded' tells y (AUC 1.000)."),
        (pa.array(["|".join(tags) for tags in REFUNDED]), "Whether x holds 'refunded' tells y (AUC 1.000)."),
        (pa.array(SOMETIMES), f"All {(Y & COIN).sum()} rows with 'refunded' in x have y."),
    ],
)
def test_one_of_several_values_that_gives_the_label_away_is_named(tags: pa.Array, message: str) -> None:
    (finding,) = found(meaning={"x": "multi-valued feature"}, x=tags)
    assert finding.message.startswith(message)


def test_several_values_may_be_honest() -> None:
    assert found(meaning={"x": "multi-valued feature"}, x=pa.array(MANY)) == ()
    assert found(meaning={"x": "multi-valued feature"}, x=pa.array([*MANY[1:], None])) == ()


def test_two_hundred_thousand_rows_of_twenty_five_fields_take_little_cpu_time() -> None:
    rows = 200_000
    rng = np.random.default_rng(1)
    columns: dict[str, Any] = {f"c{i}": rng.integers(0, 10 * 2**i, rows).astype(str) for i in range(12)}
    columns |= {f"n{i}": rng.normal(size=rows) for i in range(12)}
    table, refs = snapshot(y=rng.random(rows) < 0.1, **columns)
    schema = fields(
        y="click", **{name: f"{'numerical' if name[0] == 'n' else 'categorical'} feature" for name in columns}
    )
    started = time.process_time()
    assert check(table, refs, schema, query=QuerySpec(TableRef("t"), refs), moment="before") == ()
    assert time.process_time() - started < 15  # about 3 s of CPU on an idle machine


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60),
)
def test_counting_groups_gives_what_scoring_every_row_would(rows: list[tuple[int, bool]]) -> None:
    groups = np.array([group for group, _ in rows], np.int64)
    labels = np.array([label for _, label in rows], np.float32)
    folds = np.random.default_rng(1).integers(0, 2, len(rows))
    found = []
    for fold in (0, 1):
        learn, test = folds != fold, folds == fold
        overall = labels[learn].mean() if learn.any() else 0.5
        rate = {
            group: (labels[learn & (groups == group)].sum() + overall) / ((learn & (groups == group)).sum() + 1)
            for group in range(7)
        }
        scored = [(rate[group], label) for group, label in zip(groups[test], labels[test], strict=True)]
        pairs = [(good, bad) for good, is_good in scored for bad, is_bad in scored if is_good and not is_bad]
        wins = [1.0 if good > bad + 1e-6 else 0.5 if abs(good - bad) <= 1e-6 else 0.0 for good, bad in pairs]
        found.append(np.mean(wins) if wins else 0.5)
    assert strength(groups, labels) == pytest.approx(np.mean(found), abs=1e-6)
