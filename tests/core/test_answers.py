"""Large answers travel in parts and arrive whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import answers
from core.answers import Gathered, result_lines
from core.commands import RESULTS, PageRead, RowsCounted, SourceOverview
from crosslens.errors import DataError
from crosslens.plain import to_plain
from crosslens.relational import ColumnInfo, ColumnType, ConnectionSpec, TableInfo, TableRef


def overview(tables: int, columns: int = 20) -> SourceOverview:
    parts = tuple(ColumnInfo(f"Größe {number}", ColumnType.TEXT, "TEXT") for number in range(columns))
    return SourceOverview(
        ConnectionSpec("sqlite", "shop.db"),
        "Opened read-only.",
        tuple(TableInfo(TableRef(f"table {number}"), parts, ("Größe 0",)) for number in range(tables)),
    )


def received(lines: list[str], kind: type[Any]) -> Any:
    gathered = Gathered(kind)
    *parts, last = (json.loads(line) for line in lines)
    for part in parts:
        assert part["event"] == "part"
        gathered.add(part)
    return gathered.whole(last["result"])


def test_a_small_answer_is_one_line() -> None:
    lines = list(result_lines(7, to_plain(overview(3))))
    assert [json.loads(line)["event"] for line in lines] == ["result"]
    assert received(lines, SourceOverview) == overview(3)


def test_a_large_answer_has_no_long_line_and_arrives_whole() -> None:
    lines = list(result_lines(7, to_plain(overview(300))))
    assert len(lines) > 10
    assert max(map(len, lines)) < 2 * answers.PART_LETTERS
    assert {json.loads(line)["id"] for line in lines} == {7}
    assert received(lines, SourceOverview) == overview(300)


@given(st.lists(st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.text()), max_size=4), max_size=60))
def test_whatever_the_rows_are_they_come_back(rows: list[list[Any]]) -> None:
    page = PageRead((), tuple(tuple(row) for row in rows), anchor=(1, "a"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "PART_LETTERS", 40)
        lines = list(result_lines(1, to_plain(page)))
    assert received(lines, PageRead) == page


@pytest.mark.parametrize(
    "part",
    [
        {"field": "tables", "items": [{"nonsense": 1}]},
        {"field": "tables", "items": None},
        {"field": "connection", "items": []},
        {"field": "nothing", "items": []},
        {},
    ],
)
def test_a_part_that_does_not_fit_is_told_when_the_answer_is_whole(part: dict[str, Any]) -> None:
    gathered = Gathered(SourceOverview)
    gathered.add(part)
    with pytest.raises(DataError, match=r"SourceOverview|Not a valid"):
        gathered.whole(to_plain(overview(1)))


def test_a_number_is_no_list() -> None:
    assert list(result_lines(1, to_plain(RowsCounted(5)))) == ['{"id": 1, "event": "result", "result": {"rows": 5}}']


@pytest.mark.parametrize("kind", sorted(set(RESULTS.values()), key=str))
def test_every_answer_can_be_gathered(kind: type[Any]) -> None:
    with pytest.raises(DataError):
        Gathered(kind).whole({"nonsense": 1})
