"""A folder of files as a database: its tables, joins between them, and nothing but reading."""

import os
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.feather as pa_feather
import pyarrow.parquet as pa_parquet
import pytest
import sqlalchemy as sa

import db.files.csv_table as csv_table
import db.files.listing as listing
from crosslens.errors import QueryError, SourceError, Stopped, UserError
from crosslens.relational import ColumnRef, ConnectionSpec, JoinKind, JoinSpec, QuerySpec, TableRef
from db.engines.files import FilesSession

from .files_helpers import opened_files, rows_in, write
from .helpers import ODD_NAMES, exists, lookup, query, ref, rows_of

SMALL = pa.table({"k": [1, 2, 3], "word": pa.array(["a", "b", None]).dictionary_encode(), "l": [[1], [], None]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my data"
    write(folder / "impressions.csv", "id;user_id;at\n1;001;2024-01-03\n2;001;2024-01-01\n3;002;2024-01-02\n4;;\n")
    write(folder / "users.tsv", "id\tcity\n001\tBonn\n002\tUlm\n")
    (folder / "more").mkdir()
    pa_parquet.write_table(pa.table({"impression_id": [1, 1, 3]}), folder / "more" / "clicks.parquet")
    pa_feather.write_feather(pa.table({"user": ["001"], "age": [30]}), str(folder / "ages.feather"))
    return folder


@pytest.fixture
def session(folder: Path) -> Iterator[FilesSession]:
    session = FilesSession(ConnectionSpec("files", str(folder)))
    yield session
    session.close()


def test_each_file_is_a_table_and_each_folder_below_a_schema(folder: Path) -> None:
    with opened_files(folder) as source:
        found = {table.ref: (table.rows, table.rows_are_estimated) for table in source.tables()}
        badge = source.read_only
    assert found == {
        TableRef("ages"): (1, False),
        TableRef("impressions"): (4, False),
        TableRef("users"): (2, False),
        TableRef("clicks", "more"): (3, False),
    }
    assert badge == "Read-only: files are opened in place and never written."


def test_tables_of_all_kinds_of_files_are_joined(folder: Path, tmp_path: Path) -> None:
    user = lookup("user", "users", (ref("impressions", "user_id"), "id"))
    age = lookup("age", "ages", (ref("user", "id"), "user"))
    clicked = JoinSpec(
        "click", TableRef("clicks", "more"), ((ref("impressions", "id"), "impression_id"),), JoinKind.EXISTS
    )
    columns = (("impressions", "user_id"), ("user", "city"), ("age", "age"), ("click",))
    with opened_files(folder) as source:
        asked = query("impressions", *columns, joins=(user, age, clicked))
        snapshot = source.extract(asked, tmp_path / "out")
        assert source.join_facts(query("impressions"), user).match_rate == 0.75
    assert rows_of(snapshot) == [
        ("001", "Bonn", 30, 1),
        ("001", "Bonn", 30, 0),
        ("002", "Ulm", None, 1),
        (None, None, None, 0),
    ]


def test_one_file_alone_is_a_database_of_one_table(folder: Path) -> None:
    assert rows_in(folder / "users.tsv") == [("001", "Bonn"), ("002", "Ulm")]


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather", "ipc", "pq"])
def test_files_with_types_keep_them(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{suffix}"
    if suffix in ("parquet", "pq"):
        pa_parquet.write_table(SMALL, path)
    else:
        pa_feather.write_feather(SMALL, str(path))
    assert rows_in(path) == [(1, "a", ["1"]), (2, "b", []), (3, None, None)]


def test_an_arrow_stream_is_read_as_well(tmp_path: Path) -> None:
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as file, pa.ipc.new_stream(file, SMALL.schema) as writer:
        writer.write_table(SMALL)
    assert len(rows_in(tmp_path / "t.arrow")) == 3


def test_a_folder_of_part_files_is_one_table(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "all" / "events").mkdir(parents=True, exist_ok=True)
        pa_parquet.write_table(pa.table({"n": [number]}), tmp_path / "all" / "events" / f"part-{number}.parquet")
        write(tmp_path / "texts" / f"part-{number}.csv", f"n,word\n{number},w\n")
    with opened_files(tmp_path) as source:
        assert [table.ref for table in source.tables()] == [TableRef("texts"), TableRef("events", "all")]
    assert rows_in(tmp_path, table=TableRef("events", "all")) == [(0,), (1,), (2,)]
    assert rows_in(tmp_path, table=TableRef("texts")) == [(0, "w"), (1, "w"), (2, "w")]


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "x,y\n1,2\n")
    write(tmp_path / "A.tsv", "x\ty\n1\t2\n")
    with opened_files(tmp_path) as source:
        assert [table.ref.name for table in source.tables()] == ["A.tsv", "a.csv"]


def test_notes_beside_tables_and_hidden_files_are_no_tables(folder: Path) -> None:
    write(folder / "LICENSE.txt", "Free to use.\n\nSee the law, or ask, if you must.\n")
    write(folder / ".hidden.csv", "a,b\n1,2\n")
    write(folder / "_temporary" / "x.csv", "a,b\n1,2\n")
    with opened_files(folder) as source:
        assert len(source.tables()) == 4


@pytest.mark.parametrize("name", [name for name in ODD_NAMES if "/" not in name])
def test_any_file_and_column_name_survives(name: str, tmp_path: Path) -> None:
    pa_parquet.write_table(pa.table({name: [5], "other": [1]}), tmp_path / f"{name}.parquet")
    write(tmp_path / f"s{name}" / f"{name}.csv", '"' + name.replace('"', '""') + '";other\n5;1\n')
    with opened_files(tmp_path) as source:
        tables = source.tables()
        assert [table.ref for table in tables] == [TableRef(name), TableRef(name, f"s{name}")]
        for number, table in enumerate(tables):
            column = table.columns[0].name
            assert column.strip() == name.strip()
            snapshot = source.extract(QuerySpec(table.ref, (ColumnRef(name, column),)), tmp_path / f"out{number}")
            assert rows_of(snapshot) == [(5,)]


WRITES = (
    "COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)",
    "WITH n AS (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT * FROM n",
    "SELECT (WITH n AS (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT count(*) FROM n)",
    "SELECT * FROM query('WITH n AS (COPY (SELECT 1) TO ''{file}'' (USE_TMP_FILE false)) SELECT * FROM n')",
    "COPY users TO '{folder}/new.csv'",
    "EXPORT DATABASE '{folder}/new'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE OR REPLACE VIEW users AS SELECT 1",
    "DROP VIEW users",
    "ATTACH '{folder}/new.db'",
    "SET enable_external_access = true",
    "INSTALL httpfs",
    "SELECT 1; SELECT 2",
)


@pytest.mark.parametrize("statement", WRITES)
def test_every_way_to_write_is_refused_and_leaves_all_files_alone(statement: str, folder: Path, session) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    text = statement.format(file=folder / "users.tsv", folder=folder)
    with pytest.raises(QueryError):
        session.columns_of(text)
    with pytest.raises(UserError):
        session.fetch(sa.select(sa.literal_column("1")).select_from(sa.text(f"({text}) AS q")))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_without_the_guard_a_file_would_be_written_so_the_guard_is_needed(folder: Path, session) -> None:
    path = folder / "users.tsv"
    session._connection.execute(WRITES[1].format(file=path)).fetchall()
    assert path.read_text() != "id\tcity\n001\tBonn\n002\tUlm\n"


def test_other_files_cannot_be_read(folder: Path, session) -> None:
    outside = write(folder.parent / "secret.csv", "a,b\n1,2\n")
    with pytest.raises(UserError):
        session.columns_of(f"SELECT * FROM read_csv('{outside}')")


def test_an_own_select_joins_files(session) -> None:
    select = "SELECT i.id, u.city FROM impressions i JOIN users u ON u.id = i.user_id"
    assert [(column.name, column.database_type) for column in session.columns_of(select)] == [
        ("id", "BIGINT"),
        ("city", "VARCHAR"),
    ]


def test_stop_ends_a_query_within_a_second(session) -> None:
    endless = sa.select(sa.func.count()).select_from(sa.func.range(10**15).table_valued("n"))
    started = time.monotonic()
    with pytest.raises(Stopped), session.watch(should_stop=lambda: time.monotonic() - started > 0.2):
        session.fetch(endless)
    assert time.monotonic() - started < 1.2


def test_pages_lead_through_a_file_in_its_own_order(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "x\n" + "".join(f"v{n}\n" for n in range(500)))
    with opened_files(path) as source:
        first = source.page(TableRef("t"), rows=200)
        second = source.page(TableRef("t"), after=first.anchor, rows=200)
        back = source.page(TableRef("t"), before=second.start, rows=200)
    assert [row[0] for row in first.rows + second.rows] == [f"v{n}" for n in range(400)]
    assert back.rows == first.rows


def test_a_large_text_file_has_an_estimated_number_of_rows(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(csv_table, "WHOLE_BYTES", 1)
    path = write(tmp_path / "t.csv", "x,y\n" + "1,2\n" * 5000)
    with opened_files(path) as source:
        table = source.tables()[0]
        assert table.rows_are_estimated
        assert table.rows == pytest.approx(5000, rel=0.01)
        assert source.count(QuerySpec(table.ref, ())) == 5000


# ------------------------------------------------------------------------------------------------ what can be wrong


def test_a_file_that_changes_after_opening_is_refused(folder: Path, tmp_path: Path) -> None:
    with opened_files(folder) as source:
        source.tables()
        write(folder / "users.tsv", "id\tcity\n001\tKöln\n")
        with pytest.raises(SourceError, match=r"users\.tsv has changed since it was opened"):
            source.extract(query("users", ("users", "city")), tmp_path / "out")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_file_cut_while_it_is_read_leaves_no_snapshot(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "x,y\n" + "1,abcdefgh\n" * 400_000)

    def cut(rows: int, total: int, seconds: float, size: int) -> None:
        if path.stat().st_size > 100_000:
            os.truncate(path, 99_999)

    with opened_files(path) as source, pytest.raises(SourceError, match=r"t\.csv has changed since it was opened"):
        source.extract(query("t", ("t", "x"), ("t", "y")), tmp_path / "out", progress=cut)
    assert not list((tmp_path / "out").iterdir())


def test_a_file_that_lost_rows_after_they_were_counted_is_said_to_have_changed(tmp_path: Path, monkeypatch) -> None:
    path = write(tmp_path / "t.csv", "x,y\n" + "1,abcdefgh\n" * 5_000)
    read = FilesSession.batches

    def batches(session: FilesSession, *arguments: object, **options: object) -> Iterator[list[pa.Array]]:
        os.truncate(path, 4 + 11 * 100)
        return read(session, *arguments, **options)

    monkeypatch.setattr(FilesSession, "batches", batches)
    with opened_files(path) as source, pytest.raises(SourceError, match=r"t\.csv has changed since it was opened"):
        source.extract(query("t", ("t", "x"), ("t", "y")), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_changed_file_has_another_identity(folder: Path, session) -> None:
    before = session.identity()
    write(folder / "users.tsv", "id\tcity\n001\tKöln\n")
    again = FilesSession(ConnectionSpec("files", str(folder)))
    assert again.identity() != before
    again.close()


def test_other_options_make_other_snapshots(folder: Path) -> None:
    sessions = [FilesSession(ConnectionSpec("files", str(folder), options=o)) for o in ({}, {"null": "Bonn"})]
    assert sessions[0].identity() != sessions[1].identity()
    for session in sessions:
        session.close()


def test_a_broken_file_does_not_keep_the_others_away(folder: Path) -> None:
    (folder / "broken.parquet").write_bytes(b"PAR1 and then nothing")
    with opened_files(folder) as source:
        assert len(source.tables()) == 5
        assert source.page(TableRef("users")).rows
        with pytest.raises(QueryError, match=r"broken\.parquet cannot be read"):
            source.page(TableRef("broken"))


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_a_broken_file_alone_says_what_is_wrong(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"no such thing" * 20)
    with pytest.raises(SourceError, match=f"{name} cannot be read"), opened_files(tmp_path / name):
        pass


def test_a_missing_path_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file"), opened_files(tmp_path / "gone"):
        pass
    with pytest.raises(SourceError, match="no files that can be read as tables"), opened_files(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_a_folder_is_left_alone_and_alone_it_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe.csv")
    with opened_files(folder) as source:
        assert "pipe" not in [table.ref.name for table in source.tables()]
    with (
        pytest.raises(SourceError, match=r"pipe\.csv is neither a file nor a folder"),
        opened_files(folder / "pipe.csv"),
    ):
        pass


def test_links_that_lead_nowhere_or_in_circles_do_not_keep_the_others_away(tmp_path: Path) -> None:
    write(tmp_path / "good.csv", "a,b\n1,2\n")
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nothing.csv")
    (tmp_path / "circle.csv").symlink_to(tmp_path / "circle.csv")
    (tmp_path / "here").symlink_to(tmp_path)
    with opened_files(tmp_path) as source:
        problems = {table.ref.name: table.problem for table in source.tables()}
    assert list(problems) == ["circle", "gone", "good"]
    assert (problems["good"], "There is no file" in problems["gone"]) == ("", True)


def test_more_files_than_anybody_can_look_at_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(listing, "MAX_FILES", 3)
    for number in range(4):
        write(tmp_path / f"f{number}.csv", "a,b\n1,2\n")
    with pytest.raises(SourceError, match="more than 3 files"), opened_files(tmp_path):
        pass


def test_a_type_that_cannot_be_read_is_not_called_damage(tmp_path: Path) -> None:
    path = tmp_path / "t.arrow"
    pa_feather.write_feather(pa.table({"x": pa.array([1.5]).cast(pa.float16())}), str(path), compression="uncompressed")
    with pytest.raises(SourceError, match="of a kind that cannot be read"), opened_files(path):
        pass


def test_nested_and_exact_columns_of_parquet_come_as_text_lists_and_numbers(tmp_path: Path) -> None:
    moment = datetime(2024, 6, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    table = pa.table(
        {
            "nested": pa.array([{"x": 1, "y": [{"z": "q"}]}, None]),
            "exact": pa.array([Decimal("1.10"), None]),
            "zoned": pa.array([moment, None], pa.timestamp("us", "Europe/Berlin")),
            "words": pa.array(["a", None]).dictionary_encode(),
            "beyond": pa.array([float("inf"), float("nan")]),
        }
    )
    pa_parquet.write_table(table, tmp_path / "t.parquet")
    first, second = rows_in(tmp_path / "t.parquet")
    assert first == ('{"x":1,"y":[{"z":"q"}]}', 1.1, datetime(2024, 6, 1, 10), "a", float("inf"))
    assert second[:4] == (None, None, None, None)


def test_left_out_lines_are_counted_in_the_badge(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,b\n" + "1,2\n" * 20 + "1\n2\n")
    with opened_files(path, bad_lines="skip") as source:
        assert source.read_only.endswith("2 bad lines of t.csv are left out, as chosen.")
        assert source.count(QuerySpec(TableRef("t"), ())) == 20


def test_a_label_from_another_file_is_a_flag(folder: Path, tmp_path: Path) -> None:
    asked = query("users", ("users", "city"), ("seen",), joins=(exists("seen", "ages", (ref("users", "id"), "user")),))
    with opened_files(folder) as source:
        assert rows_of(source.extract(asked, tmp_path / "out")) == [("Bonn", 1), ("Ulm", 0)]
