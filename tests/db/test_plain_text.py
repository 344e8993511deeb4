"""Text files read by Arrow give what DuckDB gives, row by row; what is not plain is left to DuckDB."""

import threading
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import db.engines.files as files_engine
import db.files.csv_table as csv_table
import db.files.plain_text as plain_text
from crosslens.errors import Stopped, UserError
from crosslens.relational import ColumnRef, ConnectionSpec, QuerySpec, TableRef
from db.engines.files import FilesSession
from db.files.csv_table import describe_csv
from db.files.encoding import FileState
from db.files.options import TextOptions
from db.files.plain_text import NotPlain, RowIndex, plain_index, read_rows, rows_from

from .files_helpers import opened_files, rows_in, write

CELLS = (
    *("1", "-2", "007", " 012", "0x1F", "1_000", "1.5", "1.", "1e400", "nan", "1000000000000000000", "1,5", "1.234,75"),
    *("tRuE", "yes", "", "NA", "2024-02-30", "2024-02-29 10", "2024-02-29T10:00", "2024-02-29 10:00:00Z", "0000-01-01"),
    *("x", "Köln", "'", 'say ""hi""', "a;b", "line\nbreak", "line\r\nbreak", "\\", "a\tb", " ", '""'),
)
LATE = {
    "1": (*("-2", "007", "-007", " 12", " 012", "-0", "0x1F", "0X1f", "+5", "1_000", "1.5", "1,5", "true", ""),
          *("999999999999999999", "1000000000000000000", "9223372036854775808", "x")),
    "1.5": (".5", "-.5", "1.", "007.5", "1e400", "inf", "nan", "Infinity", "123456789012345.5", "1234567890123456.5"),
    "true": ("tRuE", "t", "1", " true"),
    "2024-01-31": ("2024-02-30", "2024-2-1", "20240229", "0000-01-01", " 2024-02-29", "2024-02-29 10:00"),
    "2024-01-31 10:00:00": ("2024-02-29 10", "2024-02-29T10:00", "2024-02-29 10:00:00.1234567", "2024-02-29 24:00:00",
                            "2024-02-29", "2024-02-29 10:00:00Z"),
    "2024-01-31 10:00Z": ("2024-02-29 10:00:00+02", "2024-02-29 10:00:00 +02:00", "2024-02-29 10:00:00", "2024-02-29"),
    "1,5": ("1.234,75", "1,234", "007,5", " 1,5", "1.5", "12345678901234567,5"),
    "a": ("NA", "NULL", "NaN", "007", " ", '""', "line\nbreak"),
}  # fmt: skip


def the_other_way(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple] | str:
    """The rows as DuckDB alone reads them, or why it cannot."""
    with monkeypatch.context() as patched:
        patched.setattr(files_engine, "plain_index", lambda table: None)
        return rows_or_reason(path)


def rows_or_reason(path: Path) -> list[tuple] | str:
    try:
        return rows_in(path, delimiter=";", header="yes", quote='"')
    except UserError as error:
        return str(error)


def numbered(rows: int, first: int = 1) -> str:
    return "n;word\n" + "".join(f"{n};word {n}\n" for n in range(first, rows + first))


def opened_index(path: Path, **options: object) -> tuple[csv_table.CsvTable, RowIndex | None]:
    table = describe_csv((FileState.of(path),), TextOptions(**options))  # type: ignore[arg-type]
    return table, plain_index(table)


def go_on() -> None:
    pass


@pytest.mark.parametrize(("early", "late"), [(early, late) for early, cells in LATE.items() for late in cells])
def test_a_late_value_is_read_as_duckdb_reads_it(early: str, late: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(csv_table, "WHOLE_BYTES", 1)
    monkeypatch.setattr(csv_table, "_SAMPLE_ROWS", 3)
    monkeypatch.setattr(csv_table, "_CHECKED_ROWS", 5)
    path = write(tmp_path / "t.csv", "k;x\n" + f"k;{early}\n" * 9 + f'k;"{late}"\n')
    found = rows_or_reason(path)
    assert len(found) == 10
    assert found == the_other_way(path, monkeypatch)


@settings(deadline=None, max_examples=12)
@given(st.lists(st.tuples(st.sampled_from(CELLS), st.sampled_from(CELLS), st.booleans()), min_size=1, max_size=12),
       st.sampled_from(["\n", "\r\n"]), st.booleans())  # fmt: skip
def test_any_mixture_is_read_as_duckdb_reads_it(tmp_path_factory: pytest.TempPathFactory, rows, end, closed) -> None:
    lines = ["one;two", *(f'"{one}";"{two}"' if quoted else f"{one};{two}" for one, two, quoted in rows)]
    path = write(tmp_path_factory.mktemp("csv") / "t.csv", end.join(lines) + (end if closed else ""))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plain_text, "BLOCK_BYTES", 16)
        assert rows_or_reason(path) == the_other_way(path, patched)


@pytest.mark.parametrize(
    "text",
    [
        "a;b\n1;2\n\n3;4\n",
        "a;b\n1;2\n3;4\n\n",
        "a;b\n1;2\r\n3;4\n",
        "a;b\r\n1;2\r\n\r\n",
        'a;b\n1;"x"y\n',
        'a;b\n1;x"y"\n',
        'a;b\n1;"x\n',
        "a;b\r1;2\r",
    ],
)
def test_what_is_not_plain_is_noticed(text: str, tmp_path: Path) -> None:
    table, _ = opened_index(write(tmp_path / "good.csv", "a;b\n1;2\n"))
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(NotPlain):
        RowIndex([path], table.layout).rows(go_on=go_on)


@pytest.mark.parametrize("text", ["a;b\n1;2\n3\n", "a;b\n1;2\n3;4;5\n", "a;b\n1;2\n3;\xe4\n"])
def test_lines_that_do_not_fit_are_left_to_duckdb_which_names_them(text: str, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode("latin-1"))
    assert rows_or_reason(path) == the_other_way(path, monkeypatch)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_rows_are_counted_and_gone_to_whatever_the_blocks(end, header, mark, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(plain_text, "BLOCK_BYTES", 50)
    lines = [*(["n;word"] if header else []), *(f'{n};"word;{n}"' for n in range(1, 101))]
    path = write(tmp_path / "t.csv", mark + end.join(lines))
    table, index = opened_index(path, header=header)
    assert index is not None and index.rows(go_on=go_on) == 100
    for first, wanted in ((0, 3), (37, 20), (98, 10), (100, 5)):
        arrays = rows_from(table, index, table.layout.names, first, wanted, go_on=go_on)
        assert [tuple(row) for row in zip(*(array.to_pylist() for array in arrays), strict=True)] == [
            (n, f"word;{n}") for n in range(first + 1, min(first + wanted, 100) + 1)
        ]


def test_part_files_are_read_one_after_the_other(tmp_path: Path) -> None:
    for part in range(3):
        write(tmp_path / "all" / f"part-{part}.csv", numbered(10, first=10 * part + 1))
    with opened_files(tmp_path) as source:
        assert source.count(QuerySpec(TableRef("all"), ())) == 30
        page = source.page(TableRef("all"), near=0.5, rows=4)
    assert [row[0] for row in page.rows] == [16, 17, 18, 19]
    assert rows_in(tmp_path)[-1] == (30, "word 30")


def test_pages_of_a_large_file_are_gone_to_and_lead_both_ways(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(csv_table, "WHOLE_BYTES", 1)
    monkeypatch.setattr(plain_text, "BLOCK_BYTES", 1000)
    path = write(tmp_path / "t.csv", numbered(5000))
    with opened_files(path) as source:
        middle = source.page(TableRef("t"), near=0.5, rows=200)
        after = source.page(TableRef("t"), after=middle.anchor, rows=200)
        back = source.page(TableRef("t"), before=after.start, rows=200)
        last = source.page(TableRef("t"), near=1.0, rows=200)
        first = source.page(TableRef("t"), before=(11,), rows=200)
    assert [page.rows[0][0] for page in (middle, after, last, first)] == [2501, 2701, 4801, 1]
    assert (back.rows, last.anchor, first.start, len(first.rows)) == (middle.rows, None, None, 10)


def test_pages_show_what_duckdb_shows(tmp_path: Path, monkeypatch) -> None:
    text = "i;f;b;d;t;z;w\n1;1,5;true;2024-01-31;2024-01-31 10:00;2024-01-31 10:00Z;a\n;;;;;;\n"
    path = write(tmp_path / "t.csv", text)
    with opened_files(path) as source:
        rows = source.page(TableRef("t")).rows
    monkeypatch.setattr(files_engine, "plain_index", lambda table: None)
    with opened_files(path) as source:
        assert source.page(TableRef("t")).rows == rows
    assert rows[0] == (1, 1.5, True, date(2024, 1, 31), datetime(2024, 1, 31, 10), datetime(2024, 1, 31, 10), "a")


def test_a_count_can_be_stopped(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(csv_table, "WHOLE_BYTES", 1)
    monkeypatch.setattr(plain_text, "BLOCK_BYTES", 10)
    path = write(tmp_path / "t.csv", numbered(200_000))
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with opened_files(path) as source, pytest.raises(Stopped):
        source.count(QuerySpec(TableRef("t"), ()), should_stop=stop.is_set)


def test_a_file_cut_between_counting_and_reading_is_not_plain(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", numbered(1000))
    table, index = opened_index(path)
    assert index is not None and index.rows(go_on=go_on) == 1000
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(NotPlain):
        list(read_rows(table, index, table.layout.names, go_on=go_on))


def test_columns_of_forms_that_arrow_does_not_read_are_left_to_duckdb(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "n;day\n1;31.12.2024\n2;01.02.2024\n")
    session = FilesSession(ConnectionSpec("files", str(path)))
    assert session.rows_at(session.tables()[0], 1, 5) is None
    session.close()
    with opened_files(path) as source:
        snapshot = source.extract(QuerySpec(TableRef("t"), (ColumnRef("t", "n"),)), tmp_path / "out")
    assert snapshot.rows == 2
