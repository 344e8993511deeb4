"""Checks of rows: what is there twice, leads nowhere, comes too late, contradicts itself; and what repairs settle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.commands import Finding
from core.findings import check, check_preparation
from core.recipe import Repair, RepairKind
from crosslens import Field, FieldKind, FieldRole, FieldSchema
from crosslens.relational import ColumnRef, JoinKind, JoinSpec, QuerySpec, TableRef

N = 1000
RNG = np.random.default_rng(11)
Y = RNG.permutation(N) < 200
HOURS = np.datetime64("2026-03-01T00:30", "us") + np.arange(N).astype("timedelta64[h]")
DAYS = HOURS.astype("datetime64[D]").astype("datetime64[us]")
LATER = HOURS + np.timedelta64(40, "D")
COLOUR = np.array(["red", "green", "blue"])[RNG.integers(0, 3, N)]
PLAIN = {"y": Y, "at": HOURS, "user_id": RNG.integers(0, 100, N), "item_id": RNG.integers(0, 50, N)}
MEANING = {"y": "categorical click", "user_id": "categorical user", "item_id": "categorical item"}
IGNORED, FEATURE, MOMENT = "categorical ignore", "categorical feature", "timestamp feature"
MANY = "multi-valued feature"
ITEM = JoinSpec("item", TableRef("items"), ((ColumnRef("t", "item_id"), "id"),))


def ref(name: str) -> ColumnRef:
    """Return "x" of the base, or "item.x" of a join."""
    source, dot, column = name.rpartition(".")
    return ColumnRef(source, column) if dot else ColumnRef("t", name)


def field(name: str, meaning: str) -> Field:
    kind, role = meaning.rsplit(" ", 1)
    return Field(ref(name), name, FieldKind(kind), FieldRole(role))


def look(
    columns: dict[str, Any],
    meaning: dict[str, str] | None = None,
    *,
    joins: tuple[JoinSpec, ...] = (),
    time: str | None = "at",
    repairs: tuple[Repair, ...] = (),
    rows: int | None = None,
) -> tuple[Finding, ...]:
    """Check a few columns beside time, user, item and label; columns nothing is said about are features."""
    arrays = {name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in columns.items()}
    meaning = {**dict.fromkeys(columns, FEATURE), "at": "timestamp ignore", **MEANING, **(meaning or {})}
    refs = tuple(ref(name) for name in columns)
    schema = FieldSchema(tuple(field(name, meaning[name]) for name in columns))
    query = QuerySpec(TableRef("t"), refs, joins, time=ref(time) if time else None)
    table = pa.table({str(place): array for place, array in enumerate(arrays.values())})
    return check(table, refs, schema, query=query, repairs=repairs, rows=rows)


def again(values: Any, times: int = 30) -> Any:
    """Return the values with the first few of them once more at the end."""
    return np.concatenate([values, values[:times]])


def changed(values: Any, places: Any, value: Any) -> Any:
    values = np.array(values)
    values[places] = value
    return values


def gaps(values: Any, places: Any) -> pa.Array:
    mask = np.zeros(len(values), bool)
    mask[places] = True
    return pa.array(values, mask=mask)


TWICE = {name: again(values) for name, values in PLAIN.items()}
KEYED = {"id": np.arange(N + 30), **TWICE}
NO_USER = {name: values for name, values in TWICE.items() if name != "user_id"}
FOUND, LOST = np.arange(N), gaps(np.arange(N), slice(0, 30))


def joins(kind: JoinKind, *, limited: bool = False) -> tuple[JoinSpec, ...]:
    on = ((ColumnRef("t", "user_id"), "user_id"),)
    return (JoinSpec("late", TableRef("orders"), on, kind, "made_at", ref("at") if limited else None),)


GATHERED = {
    "columns": {**PLAIN, "late.x": [["a"], ["b", "a"]] * 500},
    "meaning": {"late.x": MANY},
}
TABLE: dict[str, tuple[dict[str, Any], dict[str, Any], str, str, int | None]] = {
    "duplicate events": (
        {"columns": KEYED, "meaning": {"id": IGNORED}},
        {"columns": {"id": np.arange(N), **PLAIN}, "meaning": {"id": IGNORED}},
        "duplicate-events",
        "30 of 1,030 rows repeat the user_id, item_id and at of another row. They were probably recorded twice.",
        30,
    ),
    "duplicate rows": (
        {"columns": {**NO_USER, "size": again(RNG.normal(size=N))}, "meaning": {"size": "numerical feature"}},
        {"columns": {**PLAIN, "size": RNG.normal(size=N)}, "meaning": {"size": "numerical feature"}},
        "duplicate-rows",
        "30 of 1,030 rows are alike in all columns to another row. They were probably recorded twice.",
        30,
    ),
    "an event counted twice": (
        {"columns": {**PLAIN, "view_id": changed(np.arange(N), slice(0, 20), 999)}, "meaning": {"view_id": IGNORED}},
        {"columns": {**PLAIN, "view_id": RNG.integers(0, 300, N)}, "meaning": {"view_id": IGNORED}},
        "counted-twice",
        "view_id is different in every row but for 20 of 1,000 that come again.",
        20,
    ),
    "orphans": (
        {"columns": {**PLAIN, "item.id": LOST}, "meaning": {"item.id": IGNORED}, "joins": (ITEM,)},
        {"columns": {**PLAIN, "item.id": FOUND}, "meaning": {"item.id": IGNORED}, "joins": (ITEM,)},
        "orphans",
        "30 of 1,000 rows have a item_id that items does not hold",
        30,
    ),
    "orphans by other columns": (
        {
            "columns": {**PLAIN, "item.a": gaps(COLOUR, slice(0, 30)), "item.b": gaps(COLOUR, slice(0, 30))},
            "joins": (ITEM,),
        },
        {"columns": {**PLAIN, "item.a": gaps(COLOUR, slice(0, 30)), "item.b": COLOUR}, "joins": (ITEM,)},
        "orphans",
        "30 of 1,000 rows",
        30,
    ),
    "a join that finds nothing": (
        {"columns": {**PLAIN, "item.id": pa.nulls(N, pa.int64())}, "meaning": {"item.id": IGNORED}, "joins": (ITEM,)},
        {"columns": {**PLAIN, "item.a": pa.nulls(N, pa.int64())}, "meaning": {"item.a": IGNORED}, "joins": (ITEM,)},
        "orphans",
        "No item_id is found in items: the join adds nothing.",
        N,
    ),
    "a time after the event": (
        {"columns": {**PLAIN, "seen": gaps(LATER, slice(500, None))}, "meaning": {"seen": MOMENT}},
        {"columns": {**PLAIN, "seen": HOURS - np.timedelta64(3, "s")}, "meaning": {"seen": MOMENT}},
        "time-after-event",
        "seen lies after at in 500 of 1,000 rows: it was not known yet. It seems to say what happened afterwards.",
        500,
    ),
    "some times after the event": (
        {"columns": {**PLAIN, "seen": changed(HOURS, slice(0, 9), LATER[0])}, "meaning": {"seen": MOMENT}},
        {"columns": {**PLAIN, "seen": DAYS}, "meaning": {"seen": MOMENT}},
        "time-after-event",
        "seen lies after at in 9 of 1,000 rows: it was not known yet.",
        9,
    ),
    "times where rows only know the day": (
        {"columns": {**PLAIN, "at": DAYS, "seen": changed(HOURS, 0, LATER[0])}, "meaning": {"seen": MOMENT}},
        {"columns": {**PLAIN, "at": DAYS, "seen": HOURS}, "meaning": {"seen": MOMENT}},
        "time-after-event",
        "seen lies after at in 1 of 1,000 rows",
        1,
    ),
    "a count that sees the future": (
        {"columns": {**PLAIN, "late.*count": RNG.integers(0, 5, N)}, "joins": joins(JoinKind.COUNT)},
        {"columns": {**PLAIN, "late.*count": RNG.integers(0, 5, N)}, "joins": joins(JoinKind.COUNT, limited=True)},
        "future-rows",
        "late.*count: the join late counts all rows of orders, also those after the row's own time.",
        None,
    ),
    "a latest value from the future": (
        {
            "columns": {**PLAIN, "late.x": COLOUR, "late.made_at": changed(HOURS, slice(0, 7), LATER[0])},
            "meaning": {"late.made_at": "timestamp ignore"},
            "joins": joins(JoinKind.LATEST),
        },
        {"columns": {**PLAIN, "late.x": COLOUR}, "meaning": {"late.x": IGNORED}, "joins": joins(JoinKind.LATEST)},
        "future-rows",
        "takes the latest of all rows of orders, also those after the row's own time. 7 of 1,000 rows have a later",
        7,
    ),
    "values from the future": (
        {**GATHERED, "joins": joins(JoinKind.VALUES)},
        {**GATHERED, "joins": joins(JoinKind.VALUES, limited=True)},
        "future-rows",
        "gathers the values of all rows of orders",
        None,
    ),
    "a conversion without a click": (
        {
            "columns": {**PLAIN, "sold": changed(Y & (RNG.random(N) < 0.5), np.flatnonzero(~Y)[:6], True)},
            "meaning": {"sold": "categorical conversion"},
        },
        {"columns": {**PLAIN, "sold": Y & (RNG.random(N) < 0.5)}, "meaning": {"sold": "categorical conversion"}},
        "conversion-without-click",
        "6 of ",
        6,
    ),
    "a missing label": (
        {"columns": {**PLAIN, "y": gaps(Y, slice(0, 4))}},
        {"columns": PLAIN},
        "label-missing",
        "The label y is missing in 4 of 1,000 rows. Leave these rows out",
        4,
    ),
}


@pytest.mark.parametrize("name", list(TABLE))
def test_what_is_wrong_with_rows_is_found_counted_and_shown(name: str) -> None:
    planted, _, kind, message, count = TABLE[name]
    (finding,) = [each for each in look(**planted) if each.check == kind]
    assert message in finding.message
    assert finding.rows == count
    assert bool(finding.examples) == (count is not None and kind != "label-missing")
    assert len(finding.examples) <= 5


@pytest.mark.parametrize("name", list(TABLE))
def test_tidy_rows_raise_no_alarm(name: str) -> None:
    assert [each.message for each in look(**TABLE[name][1]) if each.severity != "note"] == []


REPAIRABLE = [name for name in TABLE if name != "a join that finds nothing"]


@pytest.mark.parametrize("name", REPAIRABLE)
def test_each_repair_that_is_offered_settles_its_finding_and_leaves_a_note(name: str) -> None:
    planted, _, kind, *_ = TABLE[name]
    (finding,) = [each for each in look(**planted) if each.check == kind]
    assert finding.repairs
    for repair in finding.repairs:
        left = look(**planted, repairs=(repair,))
        assert kind not in [each.check for each in left]
        (note,) = [each for each in left if each.check == f"repaired-{repair.kind}"]
        assert (note.severity, note.message.endswith("as chosen.")) == ("note", True)
        uncounted = repair.kind is RepairKind.IGNORE_FIELD or name == "orphans by other columns"
        assert note.rows == (None if uncounted else finding.rows)


def test_examples_name_who_what_and_when() -> None:
    (finding,) = [each for each in look(KEYED, {"id": IGNORED}) if each.check == "duplicate-events"]
    user, item = PLAIN["user_id"][0], PLAIN["item_id"][0]
    assert finding.examples[0] == f"user_id = {user}, item_id = {item}, at = 2026-03-01 00:30:00"


def test_duplicates_by_day_are_a_note() -> None:
    columns = {**TWICE, "at": again(DAYS)}
    (finding,) = [each for each in look(columns) if each.check == "duplicate-events"]
    assert (finding.severity, "this may well be so" in finding.message) == ("note", True)


def test_rows_of_a_few_categories_may_well_be_alike() -> None:
    assert look({"y": Y, "colour": COLOUR, "shape": COLOUR[::-1]}, time=None) == ()


def test_joined_rows_without_a_time_are_only_noted() -> None:
    tags = (JoinSpec("tags", TableRef("tags"), ITEM.on, JoinKind.VALUES),)
    (note,) = look({**PLAIN, "tags.tag": [["a"], ["b", "a"]] * 500}, {"tags.tag": MANY}, joins=tags)
    assert (note.severity, note.check) == ("note", "future-rows")


def test_users_that_come_once_mostly_are_no_events_counted_twice() -> None:
    assert look({**PLAIN, "user_id": changed(np.arange(N), slice(0, 20), 999), "colour": COLOUR})[1:] == ()


def test_a_sample_says_that_it_is_one() -> None:
    messages = [each.message for each in look(KEYED, {"id": IGNORED}, rows=5_000_000)]
    assert messages[0].startswith("30 of 1,030 rows looked at repeat")
    duplicates = (Repair(RepairKind.DROP_DUPLICATES, ("user_id", "item_id", "at")),)
    (note,) = look(KEYED, {"id": IGNORED}, rows=5_000_000, repairs=duplicates)
    assert note.message == "30 duplicate rows are left out, as chosen. (Counted in 1,030 rows.)"


def test_leaks_are_looked_for_in_the_rows_that_repairs_leave() -> None:
    """Values of x give y away, but only in rows without an item; the others have none."""
    lost = np.arange(N) < 300
    columns = {**PLAIN, "item_id": gaps(PLAIN["item_id"], lost), "x": gaps(COLOUR, ~(lost & Y))}
    x_is_left = look(columns, {"x": IGNORED})
    assert {"missing-leak"} == {each.check for each in look(columns)} - {each.check for each in x_is_left}
    left = look(columns, repairs=(Repair(RepairKind.DROP_MISSING, ("item_id",)),))
    assert [each.check for each in left] == ["empty", "repaired-drop-missing"]


def test_labels_that_are_missing_for_no_are_not_to_be_dropped() -> None:
    (finding,) = look({**PLAIN, "y": gaps(Y, np.flatnonzero(~Y)), "colour": COLOUR})
    assert "If a missing label means no, write so" in finding.message
    assert finding.repairs == ()


def test_labels_are_repaired_before_leaks_are_looked_for() -> None:
    sold = changed(Y & (RNG.random(N) < 0.6), np.flatnonzero(~Y)[:400], True)
    columns = {**PLAIN, "sold": sold, "colour": COLOUR}
    repair = Repair(RepairKind.NO_CONVERSION_WITHOUT_CLICK)
    found = look(columns, {"sold": "categorical conversion"}, repairs=(repair,))
    assert [each.message for each in found] == ["400 conversions without a click: not counted, as chosen."]


def test_a_repair_that_cannot_work_stops_and_one_whose_columns_are_not_read_waits() -> None:
    broken = look(PLAIN, repairs=(Repair(RepairKind.DROP_MISSING, ("gone",)),))
    assert [(each.severity, each.check) for each in broken] == [("stop", "repair")]
    (note,) = look(PLAIN, joins=(ITEM,), repairs=(Repair(RepairKind.DROP_ORPHANS, ("item_id",)),))
    assert note.message == "Rows whose item_id finds no partner are left out, as chosen."


def test_no_rows_at_all_are_answered() -> None:
    assert [each.severity for each in look({name: values[:0] for name, values in PLAIN.items()})] == ["stop"]


def test_a_preparation_without_rows_is_judged_by_its_profiles() -> None:
    schema = FieldSchema((field("y", "categorical click"), field("x", IGNORED)))
    table = pa.table({"0": pa.array([True, False] * 50), "1": pa.array(["a"] * 100)})
    refs = (ref("y"), ref("x"))
    assert [each.check for each in check_preparation(schema, ())] == ["no-features"]
    assert [each.check for each in check_preparation(schema, (), table=table, columns=refs)] == ["no-features"]
