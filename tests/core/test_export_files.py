"""Rows as files: every format keeps what it can, and a file is whole or not there."""

import csv
import datetime as dt
import zipfile
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.export.excel import MOST_ROWS
from core.export.files import check_ending, write_file
from core.export.plain_cells import flat_column, for_table, table_schema
from core.export.stream import RowStream, distinct_names
from crosslens.errors import DataError, Stopped, StorageError

_XML = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def stream(table: pa.Table, rows: int | None = None) -> RowStream:
    return RowStream(table.schema, iter([table]), table.num_rows if rows is None else rows)


def sheet(path: Path) -> list[list[tuple[str, str]]]:
    """Return the cells of a workbook as (type, text); a formula would have the type "formula"."""
    with zipfile.ZipFile(path) as book:
        root = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    return [
        [
            ("formula", "") if cell.find(f"{_XML}f") is not None else (cell.get("t", "n"), "".join(cell.itertext()))
            for cell in row.iter(f"{_XML}c")
        ]
        for row in root.iter(f"{_XML}row")
    ]


def test_text_in_a_workbook_is_never_a_formula(tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "{=1}", "http://example.com", "12", "Größe 😀"]
    write_file(stream(pa.table({"=name": texts})), tmp_path / "x.xlsx")
    found = sheet(tmp_path / "x.xlsx")
    assert found == [[("inlineStr", text)] for text in ["=name", *texts]]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (pa.array([5]), ("n", "5")),
        (pa.array([0.25]), ("n", "0.25")),
        (pa.array([True]), ("b", "1")),
        (pa.array([2**53]), ("inlineStr", "9007199254740992")),
        (pa.array([-(10**14)]), ("n", "-100000000000000")),
        (pa.array([Decimal("1.50")]), ("n", "1.50")),
        (pa.array([Decimal("12345678901234567.89")]), ("inlineStr", "12345678901234567.89")),
        (pa.array([float("nan")]), ("inlineStr", "nan")),
        (pa.array([float("inf")]), ("inlineStr", "inf")),
        (pa.array([dt.date(2024, 5, 1)]), ("n", "45413")),
        (pa.array([dt.datetime(2024, 5, 1, 12)]), ("n", "45413.5")),
        (pa.array([dt.date(1800, 1, 2)]), ("inlineStr", "1800-01-02")),
        (pa.array([dt.datetime(1800, 1, 2, 3)]), ("inlineStr", "1800-01-02 03:00:00")),
        (pa.array([dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)]), ("n", "45413.5")),
        (pa.array([dt.time(3, 4)]), ("inlineStr", "03:04:00.000000")),
        (pa.array([["a", "b"]]), ("inlineStr", "a|b")),
        (pa.array([b"\x00\xff"]), ("inlineStr", "00ff")),
    ],
)
def test_a_workbook_keeps_values_or_writes_them_as_text(value: pa.Array, cell: tuple[str, str], tmp_path: Path) -> None:
    write_file(stream(pa.table({"v": value, "end": [1]})), tmp_path / "x.xlsx")
    assert sheet(tmp_path / "x.xlsx")[1][0] == cell


def test_nothing_is_an_empty_cell(tmp_path: Path) -> None:
    write_file(stream(pa.table({"a": pa.array([None], pa.int64()), "b": [1]})), tmp_path / "x.xlsx")
    assert sheet(tmp_path / "x.xlsx")[1] == [("n", "1")]


@pytest.mark.parametrize("announced", [True, False])
def test_more_rows_than_a_sheet_has_are_refused(
    announced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not announced:
        monkeypatch.setattr("core.export.excel.MOST_ROWS", 5)
    found = stream(pa.table({"a": range(5)}), MOST_ROWS if announced else None)
    with pytest.raises(DataError, match="do not fit into an Excel sheet"):
        write_file(RowStream(found.schema, found.tables, found.rows if announced else None), tmp_path / "x.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_text_longer_than_a_cell_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="32,768 letters in row 1"):
        write_file(stream(pa.table({"a": ["x" * 32_768]})), tmp_path / "x.xlsx")


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx"])
@pytest.mark.parametrize("calls", [0, 1, 3])
def test_stop_leaves_no_file_and_the_old_one(ending: str, calls: int, tmp_path: Path) -> None:
    path, left = tmp_path / f"x.{ending}", calls
    path.write_text("old")

    def check() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Stopped

    table = pa.table({"a": range(20_000)})
    with pytest.raises(Stopped):
        write_file(RowStream(table.schema, (table for _ in range(9)), None), path, check)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old"


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx"])
def test_no_rows_make_a_file_with_names(ending: str, tmp_path: Path) -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.list_(pa.string()))])
    assert write_file(RowStream(schema, iter(())), tmp_path / f"x.{ending}") == 0
    if ending == "csv":
        assert (tmp_path / "x.csv").read_text() == '"a","b"\n'
    elif ending == "parquet":
        assert pq.read_table(tmp_path / "x.parquet").schema.names == ["a", "b"]
    else:
        assert sheet(tmp_path / "x.xlsx") == [[("inlineStr", "a"), ("inlineStr", "b")]]


def test_csv_keeps_what_it_cannot_type(tmp_path: Path) -> None:
    table = pa.table(
        {
            "list": pa.array([["a", "b"], [], None]),
            "digits": pa.array([Decimal("1.50"), Decimal("12345678901234567890.12"), None]),
            "bytes": pa.array([b"\xff", b"", None]),
            "formula": pa.array(["=1+1", "", None]),
        }
    )
    write_file(stream(table), tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    assert rows[0] == ["a|b", "1.50", "ff", "=1+1"]
    assert rows[1] == ["", "12345678901234567890.12", "", ""]


@given(st.lists(st.one_of(st.none(), st.lists(st.one_of(st.none(), st.integers(-9, 9))))))
def test_lists_are_joined_value_by_value(lists: list) -> None:
    column = pa.array([None, *lists, None], pa.list_(pa.int64()))
    expected = [
        None if values is None or None in values else "|".join(map(str, values)) for values in column.to_pylist()
    ]
    assert flat_column(column).to_pylist() == expected
    assert flat_column(column.slice(1)).to_pylist() == expected[1:]


@pytest.mark.parametrize(
    ("column", "kind", "values"),
    [
        (pa.array([["a", "b"], [], None]), pa.string(), ["a|b", "", None]),
        (pa.array([[1, 2], None], pa.large_list(pa.int64())), pa.string(), ["1|2", None]),
        (pa.array([{"a": 1}, None]), pa.string(), ['{"a": 1}', None]),
        (pa.array([2**64 - 1, None], pa.uint64()), pa.decimal128(20, 0), [Decimal(2**64 - 1), None]),
        (pa.array([dt.time(3, 4), None]), pa.string(), ["03:04:00.000000", None]),
        (pa.array(["a", None]).dictionary_encode(), pa.string(), ["a", None]),
        (pa.array([None, None]), pa.string(), [None, None]),
        (pa.array([Decimal("1.50")]), pa.decimal128(3, 2), [Decimal("1.50")]),
    ],
)
def test_columns_of_new_tables_are_of_types_all_databases_know(
    column: pa.Array, kind: pa.DataType, values: list
) -> None:
    batch = for_table(pa.record_batch([column], names=["c"]))
    assert batch.schema == table_schema(pa.schema([("c", column.type)]))
    assert batch.schema.types == [kind]
    assert batch.column(0).to_pylist() == values


@pytest.mark.parametrize("name", ["a.docx", "noending", "x.xls"])
def test_an_ending_that_is_not_known_is_said(name: str) -> None:
    with pytest.raises(StorageError, match=r"\.csv or \.parquet, or \.xlsx"):
        check_ending(Path(name))


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    import signal

    resource = pytest.importorskip("resource")  # not on Windows
    limits, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        for ending in ("csv", "parquet", "xlsx"):
            noise = pa.table({"v": [f"{number * 7919 % 1000003:x}" * 9 for number in range(20_000)]})
            with pytest.raises(StorageError, match="could not be written"):
                write_file(stream(noise), tmp_path / f"x.{ending}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "limit", "found"),
    [
        (("a", "b"), 0, ("a", "b")),
        (("a", "A", "a"), 0, ("a", "A_2", "a_3")),
        (("a", "a_2", "a"), 0, ("a", "a_2", "a_3")),
        (("", ""), 0, ("column", "_2")),
        (("üüüü", "üüüü"), 5, ("üü", "ü_2")),
    ],
)
def test_names_stay_apart(names: tuple[str, ...], limit: int, found: tuple[str, ...]) -> None:
    assert distinct_names(names, most_bytes=limit) == found


@given(st.lists(st.text(max_size=8), max_size=30))
def test_names_are_always_distinct_and_short_enough(names: list[str]) -> None:
    found = distinct_names(names, most_bytes=7)
    assert len({name.casefold() for name in found}) == len(names)
    assert all(0 < len(name.encode()) <= 7 for name in found)


def test_several_values_of_a_row_are_one_text_in_a_csv_file(tmp_path: Path) -> None:
    table = pa.table({"tags": [["a", "b"], None, []], "probability_click": [0.5, 0.25, 0.125]})
    write_file(RowStream(table.schema, [table]), tmp_path / "scored.csv")
    lines = (tmp_path / "scored.csv").read_text().splitlines()
    assert lines == ['"tags","probability_click"', '"a|b",0.5', ",0.25", '"",0.125']
