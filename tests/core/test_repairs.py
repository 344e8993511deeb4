"""Chosen repairs, applied to rows as they stream by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.recipe import Repair, RepairKind
from core.repairs import Repairing, repaired_fields, with_counts
from crosslens import DataError, FieldRole, FieldSchema
from crosslens.relational import ColumnRef, JoinSpec, QuerySpec, TableRef

from .snapshots import fields, ref, snapshot

NAN = float("nan")
ITEM = JoinSpec("item", TableRef("items"), ((ref("item_id"), "id"),))
PAIR = JoinSpec("pair", TableRef("pairs"), ((ref("a"), "x"), (ref("b"), "y")))
QUERY = QuerySpec(TableRef("t"), (), (ITEM, PAIR), time=ref("shown_at"))


def schema(*names: str) -> FieldSchema:
    return fields(**dict.fromkeys(names, "feature"))


def kept(kind: str, names: str, query: QuerySpec | None = QUERY, **columns: Any) -> list[int]:
    """Return the rows one repair keeps of a small table; item_at_id stands for the key of the joined item."""
    table, refs = snapshot(**columns)
    refs = tuple(PARTNERS.get(each.column, each) for each in refs)
    repairing = Repairing([Repair(RepairKind(kind), tuple(names.split()))], schema(*columns), query)
    return np.flatnonzero(repairing.kept(table, refs)).tolist()


PARTNERS = {
    "item_found": ColumnRef("item", "id"),
    "pair_x": ColumnRef("pair", "x"),
    "pair_y": ColumnRef("pair", "y"),
}
DAY, NEXT = "2026-01-01", "2026-01-02 10:00:00"


@pytest.mark.parametrize(
    ("kind", "names", "columns", "rows"),
    [
        ("drop-missing", "a", {"a": [1, None, 2]}, [0, 2]),
        ("drop-missing", "a", {"a": [1.0, NAN, None]}, [0]),
        ("drop-missing", "a b", {"a": [1, None, 2], "b": ["x", "y", None]}, [0]),
        ("drop-duplicates", "a", {"a": ["x", "y", "x", None, None]}, [0, 1, 3]),
        ("drop-duplicates", "a b", {"a": [1, 1, 2, 1], "b": ["x", "y", "x", "x"]}, [0, 1, 2]),
        ("drop-duplicates", "", {"a": [1, 1, 2], "b": [1, 1, 1]}, [0, 2]),
        ("drop-duplicates", "a", {"a": [["x"], ["x", "y"], ["x"], [], None, []]}, [0, 1, 3, 4]),
        ("drop-duplicates", "a", {"a": [0.0, -0.0, NAN, None]}, [0, 2]),
        ("drop-orphans", "item_id", {"item_id": [1, 2, None], "item_found": [1, None, None]}, [0, 2]),
        ("drop-orphans", "a b", {"a": [1, 2], "b": [1, 1], "pair_x": [1, None], "pair_y": [1, None]}, [0]),
        ("drop-orphans", "b a", {"a": [1, 2], "b": [1, 1], "pair_x": [1, None], "pair_y": [1, None]}, [0]),
        ("drop-later-than-event", "x", {"shown_at": [DAY, DAY, DAY], "x": [DAY, NEXT, None]}, [0, 2]),
        ("drop-later-than-event", "x", {"shown_at": [1_700_000_000] * 2, "x": [1_700_000_001, 1_600_000_000]}, [1]),
        ("drop-later-than-event", "x", {"shown_at": [None, "soon"], "x": [DAY, DAY]}, [0, 1]),
        ("drop-missing", "a", {"a": []}, []),
    ],
)
def test_each_repair_keeps_the_rows_it_should(kind: str, names: str, columns: dict[str, Any], rows: list[int]) -> None:
    assert kept(kind, names, **columns) == rows


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([1, 2, None])), max_size=40), st.integers(1, 7))
def test_duplicates_are_found_across_batches(rows: list[tuple[str, int | None]], size: int) -> None:
    table, refs = snapshot(a=pa.array([a for a, _ in rows], pa.string()), b=pa.array([b for _, b in rows], pa.int64()))
    repairing = Repairing([Repair(RepairKind.DROP_DUPLICATES, ("a", "b"))], schema("a", "b"))
    masks = [repairing.kept(batch, refs) for batch in table.to_batches(max_chunksize=size)]
    found = np.flatnonzero(np.concatenate(masks)).tolist() if masks else []
    assert found == [rows.index(row) for row in dict.fromkeys(rows)]


def test_many_batches_of_distinct_rows_all_stay() -> None:
    values = np.random.default_rng(2).permutation(50_000)
    table, refs = snapshot(a=values)
    repairing = Repairing([Repair(RepairKind.DROP_DUPLICATES, ("a",))], schema("a"))
    assert all(repairing.kept(batch, refs).all() for batch in table.to_batches(max_chunksize=1000))
    assert not repairing.kept(table, refs).any()


def test_repairs_say_which_columns_they_need() -> None:
    repairs = [Repair(RepairKind.DROP_ORPHANS, ("item_id",)), Repair(RepairKind.DROP_LATER_THAN_EVENT, ("x",))]
    needed = Repairing(repairs, schema("item_id", "x"), QUERY).columns
    assert needed == (ref("item_id"), ColumnRef("item", "id"), ref("x"), ref("shown_at"))


CLICKS, SALES = np.array([1, 0, 0, 1], np.float32), np.array([1, 1, 0, 0], np.float32)


@pytest.mark.parametrize(
    ("kind", "clicks", "sales", "words"),
    [
        (RepairKind.CLICK_IF_CONVERTED, [1, 1, 0, 1], [1, 1, 0, 0], "1 conversion without a click: the click was"),
        (RepairKind.NO_CONVERSION_WITHOUT_CLICK, [1, 0, 0, 1], [1, 0, 0, 0], "1 conversion without a click: not"),
    ],
)
def test_labels_are_made_to_agree(kind: RepairKind, clicks: list[int], sales: list[int], words: str) -> None:
    repairing = Repairing([Repair(kind)], schema())
    found = repairing.labels({"click": CLICKS, "conversion": SALES})
    assert (found["click"].tolist(), found["conversion"].tolist()) == (clicks, sales)
    assert found["click"].dtype == found["conversion"].dtype == np.float32
    assert repairing.notes()[0].message.startswith(words)
    assert (CLICKS.tolist(), SALES.tolist()) == ([1, 0, 0, 1], [1, 1, 0, 0])


def test_a_single_label_is_left_alone() -> None:
    found = Repairing([Repair(RepairKind.CLICK_IF_CONVERTED)], schema()).labels({"click": CLICKS})
    assert found["click"] is CLICKS


def test_notes_count_each_row_for_the_first_repair_that_drops_it() -> None:
    table, refs = snapshot(a=[1, 1, None, None], b=[1, 1, 1, 2])
    repairs = [
        Repair(RepairKind.DROP_MISSING, ("a",)),
        Repair(RepairKind.DROP_DUPLICATES, ("a", "b")),
        Repair(RepairKind.IGNORE_FIELD, ("c",)),
    ]
    repairing = Repairing(repairs, schema("a", "b", "c"))
    repairing.kept(table, refs)
    assert [(note.severity, note.message, note.rows) for note in repairing.notes()] == [
        ("note", "2 rows without a are left out, as chosen.", 2),
        ("note", "1 duplicate row is left out, as chosen.", 1),
        ("note", "c is left out, as chosen.", None),
    ]


def test_exact_counts_take_the_place_of_sampled_ones() -> None:
    repairs = [Repair(RepairKind.DROP_MISSING, ("a",))]
    sampled, exact = Repairing(repairs, schema("a")), Repairing(repairs, schema("a"))
    table, refs = snapshot(a=[1, None])
    exact.kept(table, refs)
    assert with_counts(sampled.notes(), exact.notes()) == exact.notes()


def test_ignored_fields_get_their_role() -> None:
    found = repaired_fields(schema("a", "b"), [Repair(RepairKind.IGNORE_FIELD, ("b",))])
    assert [field.role for field in found] == [FieldRole.FEATURE, FieldRole.IGNORE]


@pytest.mark.parametrize(
    ("kind", "name", "query", "message"),
    [
        ("drop-missing", "gone", QUERY, "names a field gone, which does not exist"),
        ("drop-orphans", "a", QUERY, "No join looks up a"),
        ("drop-later-than-event", "a", QuerySpec(TableRef("t"), ()), "no time of their own"),
    ],
)
def test_a_repair_that_cannot_work_says_why(kind: str, name: str, query: QuerySpec, message: str) -> None:
    with pytest.raises(DataError, match=message):
        kept(kind, name, query, a=[1])
