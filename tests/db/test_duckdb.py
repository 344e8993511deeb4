"""A DuckDB file from reflection to a snapshot: schemas, keys, every type, and what can be wrong with a file."""

import datetime
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from crosslens.errors import QueryError, SourceError
from crosslens.relational import ColumnRef, ColumnType, ConnectionSpec, ForeignKey, QuerySpec, TableInfo, TableRef
from db.columns import Kind, WiderKinds
from db.engines import duckdb as duckdb_engine
from db.engines.duckdb import DuckDbSession
from db.engines.duckdb_dialect import DuckDbDialect
from db.engines.duckdb_errors import opening_error

from .duckdb_helpers import make_duckdb, opened_duckdb
from .helpers import ODD_NAMES, lookup, query, quoted, ref, rows_of, table_of

SHOP = """
CREATE TABLE users(id BIGINT PRIMARY KEY, country VARCHAR, city VARCHAR, UNIQUE (country, city));
CREATE SCHEMA web;
CREATE TABLE web.pages(site INT, page INT, title VARCHAR, PRIMARY KEY (site, page));
CREATE TABLE web.visits(id INT PRIMARY KEY, site INT, page INT, before INT REFERENCES web.visits(id),
  FOREIGN KEY (site, page) REFERENCES web.pages(site, page));
CREATE VIEW bonn AS SELECT * FROM users WHERE city = 'Bonn';
INSERT INTO users VALUES (1, 'DE', 'Bonn'), (2, 'DE', 'Ulm');
INSERT INTO web.pages VALUES (1, 1, 'start'), (1, 2, NULL);
INSERT INTO web.visits VALUES (10, 1, 2, NULL), (11, 1, 1, NULL);
"""
TYPES = (
    # type, value, our type, held as, what arrives
    ("BOOLEAN", "true", ColumnType.BOOLEAN, pa.bool_(), True),
    ("UTINYINT", "255", ColumnType.INTEGER, pa.int64(), 255),
    ("UBIGINT", "7", ColumnType.INTEGER, pa.int64(), 7),
    ("HUGEINT", "-7", ColumnType.INTEGER, pa.int64(), -7),
    ("UHUGEINT", "340282366920938463463374607431768211455", ColumnType.INTEGER, pa.string(),
     "340282366920938463463374607431768211455"),
    ("DECIMAL(20,0)", "12345678901234567890", ColumnType.INTEGER, pa.string(), "12345678901234567890"),
    ("DECIMAL(10,2)", "1.25", ColumnType.DECIMAL, pa.float64(), 1.25),
    ("FLOAT", "1.5", ColumnType.FLOAT, pa.float64(), 1.5),
    ("ENUM('a', 'b''c')", "'b''c'", ColumnType.TEXT, pa.string(), "b'c"),
    ("INTEGER[]", "[1, NULL, 2]", ColumnType.ARRAY, pa.list_(pa.string()), ["1", None, "2"]),
    ("VARCHAR[2]", "['x', 'y']", ColumnType.ARRAY, pa.list_(pa.string()), ["x", "y"]),
    ("INTEGER[][]", "[[1], [2, 3]]", ColumnType.ARRAY, pa.list_(pa.string()), ["[1]", "[2, 3]"]),
    ("STRUCT(a INT, b VARCHAR)", "{'a': 1, 'b': 'x'}", ColumnType.JSON, pa.string(), '{"a":1,"b":"x"}'),
    ("MAP(VARCHAR, INT)", "MAP {'k': 1}", ColumnType.JSON, pa.string(), '{"k":1}'),
    ("JSON", "'[1, 2]'", ColumnType.JSON, pa.string(), "[1, 2]"),
    ("UNION(n INT, t VARCHAR)", "3::UNION(n INT, t VARCHAR)", ColumnType.OTHER, pa.string(), "3"),
    ("UUID", "'00000000-0000-0000-0000-000000000001'", ColumnType.TEXT, pa.string(),
     "00000000-0000-0000-0000-000000000001"),
    ("BLOB", "'\\xFF\\x00'::BLOB", ColumnType.BINARY, pa.string(), "ff00"),
    ("BLOB", "'abc'::BLOB", ColumnType.BINARY, pa.string(), "abc"),
    ("INTERVAL", "INTERVAL 1 DAY", ColumnType.OTHER, pa.string(), "1 day"),
    ("BIT", "'101'", ColumnType.OTHER, pa.string(), "101"),
    ("DATE", "'2024-02-29'", ColumnType.DATE, pa.date32(), datetime.date(2024, 2, 29)),
    ("DATE", "'infinity'", ColumnType.DATE, pa.string(), "infinity"),
    ("TIMESTAMP", "'-infinity'", ColumnType.TIMESTAMP, pa.string(), "-infinity"),
    ("TIMESTAMP_S", "'2024-01-02 03:04:05'", ColumnType.TIMESTAMP, pa.timestamp("us"),
     datetime.datetime(2024, 1, 2, 3, 4, 5)),
    ("TIMESTAMP_NS", "'2024-01-02 03:04:05.123456'", ColumnType.TIMESTAMP, pa.timestamp("us"),
     datetime.datetime(2024, 1, 2, 3, 4, 5, 123456)),
    ("TIMESTAMPTZ", "'2024-01-02 03:04:05+02'", ColumnType.TIMESTAMP, pa.timestamp("us"),
     datetime.datetime(2024, 1, 2, 1, 4, 5)),
    ("TIME", "'10:11:12'", ColumnType.TEXT, pa.string(), "10:11:12"),
    ("VARCHAR", "NULL", ColumnType.TEXT, pa.string(), None),
)  # fmt: skip


def session_on(path: Path) -> DuckDbSession:
    return DuckDbSession(ConnectionSpec("duckdb", str(path)))


@pytest.fixture
def shop_path(tmp_path: Path) -> Path:
    return make_duckdb(tmp_path / "shop.duckdb", SHOP)


def tables_of(path: Path) -> dict[TableRef, TableInfo]:
    with opened_duckdb(path) as source:
        return {table.ref: table for table in source.tables()}


def test_schemas_views_and_keys_are_reflected(shop_path: Path) -> None:
    found = tables_of(shop_path)
    users, visits = found[TableRef("users")], found[TableRef("visits", "web")]
    assert set(found) == {TableRef("users"), TableRef("bonn"), TableRef("pages", "web"), TableRef("visits", "web")}
    assert (users.primary_key, users.unique_keys, users.rows) == (("id",), (("country", "city"),), 2)
    assert found[TableRef("bonn")].is_view
    assert visits.foreign_keys == (
        ForeignKey(("before",), TableRef("visits", "web"), ("id",)),
        ForeignKey(("site", "page"), TableRef("pages", "web"), ("site", "page")),
    )


def test_a_compound_key_joins_and_becomes_a_snapshot(shop_path: Path, tmp_path: Path) -> None:
    base, pages = TableRef("visits", "web"), TableRef("pages", "web")
    with opened_duckdb(shop_path) as source:
        join = next(found.join for found in source.propose_joins(base) if found.join.table == pages)
        asked = QuerySpec(base, (ref("visits", "id"), ColumnRef(join.name, "title")), (join,))
        assert rows_of(source.extract(asked, tmp_path / "out")) == [(10, None), (11, "start")]
        assert source.join_facts(QuerySpec(base, ()), join).match_rate == 1.0


@pytest.mark.parametrize(("declared", "value", "type_", "held", "expected"), TYPES)
def test_every_type_arrives_whole(declared, value, type_, held, expected, tmp_path: Path) -> None:
    script = f"CREATE TABLE t(k INT PRIMARY KEY, x {declared}); INSERT INTO t VALUES (1, {value}), (2, NULL)"
    path = make_duckdb(tmp_path / "x.duckdb", script)
    with opened_duckdb(path) as source:
        assert source.table(TableRef("t")).column("x").type is type_
        assert len(source.page(TableRef("t")).rows) == 2
        table = table_of(source.extract(query("t", ("t", "x")), tmp_path / "out"))
    assert (table.column(0).type, table.column(0).to_pylist()) == (held, [expected, None])


def test_the_words_of_an_enum_are_known(tmp_path: Path) -> None:
    path = make_duckdb(tmp_path / "x.duckdb", "CREATE TABLE t(x ENUM('low', 'it''s', 'high'))")
    assert tables_of(path)[TableRef("t")].column("x").choices == ("low", "it's", "high")


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1) | st.none(),
            st.floats(allow_nan=False) | st.none(),
            st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.none(),
            st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31)) | st.none(),
        ),
        max_size=30,
    )
)
def test_whatever_is_stored_comes_back(tmp_path_factory: pytest.TempPathFactory, rows) -> None:
    path = tmp_path_factory.mktemp("db") / "x.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t(i BIGINT, f DOUBLE, s VARCHAR, m TIMESTAMP)")
        if rows:
            connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
    session = session_on(path)
    kinds = (Kind.INTEGER, Kind.FLOAT, Kind.TEXT, Kind.TIMESTAMP)
    statement = sa.select(*(sa.column(name) for name in "ifsm")).select_from(sa.table("t"))
    batches = list(session.batches(statement, kinds, rows=7))
    session.close()
    found = [row for arrays in batches for row in zip(*(array.to_pylist() for array in arrays), strict=True)]
    assert all(len(arrays[0]) <= 7 for arrays in batches)
    assert found == rows


def test_a_value_beyond_its_kind_asks_for_a_wider_one_and_names_the_column(tmp_path: Path) -> None:
    session = session_on(make_duckdb(tmp_path / "x.duckdb", "CREATE TABLE t AS SELECT 1 AS a, 10::HUGEINT ** 30 AS b"))
    statement = sa.select(sa.column("a"), sa.cast(sa.column("b"), sa.Numeric(38, 0))).select_from(sa.table("t"))
    with pytest.raises(WiderKinds) as caught:
        list(session.batches(statement, (Kind.INTEGER, Kind.INTEGER), rows=10))
    session.close()
    assert caught.value.kinds == (Kind.INTEGER, Kind.TEXT)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_survives_from_reflection_to_a_snapshot(name: str, tmp_path: Path) -> None:
    script = (
        f"CREATE SCHEMA {quoted('s' + name)}; CREATE TABLE {quoted('s' + name)}.{quoted(name)}({quoted(name)} INT);"
    )
    path = make_duckdb(tmp_path / "x.duckdb", script + f"INSERT INTO {quoted('s' + name)}.{quoted(name)} VALUES (5)")
    base = TableRef(name, "s" + name)
    with opened_duckdb(path) as source:
        assert source.page(base).rows == ((5,),)
        assert rows_of(source.extract(QuerySpec(base, (ref(name, name),)), tmp_path / "out")) == [(5,)]


def test_a_schema_called_as_the_database_is_no_riddle(tmp_path: Path) -> None:
    path = make_duckdb(tmp_path / "web.duckdb", "CREATE SCHEMA web; CREATE TABLE web.web.t(x INT)")
    with opened_duckdb(path) as source:
        assert source.page(TableRef("t", "web")).rows == ()


def test_a_view_over_something_gone_is_listed_and_refused_when_read(tmp_path: Path) -> None:
    path = make_duckdb(tmp_path / "x.duckdb", "CREATE TABLE t(x INT); CREATE VIEW v AS SELECT x FROM t; DROP TABLE t")
    with opened_duckdb(path) as source:
        assert [(table.ref.name, table.columns) for table in source.tables()] == [("v", ())]
        with pytest.raises(QueryError, match="“v” cannot be read"):
            source.page(TableRef("v"))


def test_a_view_that_fails_while_it_is_read_says_why(tmp_path: Path) -> None:
    script = "CREATE TABLE t AS SELECT 'no number' AS x; CREATE VIEW v AS SELECT CAST(x AS INT) AS y FROM t"
    path = make_duckdb(tmp_path / "x.duckdb", script)
    with opened_duckdb(path) as source, pytest.raises(QueryError, match="no number"):
        source.page(TableRef("v"))


def test_rows_in_the_order_they_come_are_not_sorted_first(shop_path: Path) -> None:
    session = session_on(shop_path)
    table = sa.table("users", sa.column("id"), sa.column("rowid")).alias("t")
    ordered = sa.select(table.c.id).order_by(table.c.rowid)
    assert "ORDER BY" not in str(session._in_order_anyway(ordered))
    assert "ORDER BY" in str(session._in_order_anyway(sa.select(table.c.id).order_by(table.c.rowid.desc())))
    assert "ORDER BY" in str(session._in_order_anyway(sa.select(table.c.id).order_by(table.c.id)))
    session.close()


def test_division_means_what_python_means() -> None:
    a, b = sa.literal(7), sa.literal(2)
    text = str(sa.select(a / b, a // b).compile(dialect=DuckDbDialect(), compile_kwargs={"literal_binds": True}))
    assert duckdb.sql(text).fetchall() == [(3.5, 3)]


def test_1500_columns_and_many_tables_are_reflected(tmp_path: Path) -> None:
    wide = ", ".join(f"c{number} INT" for number in range(1500))
    many = ";".join(f"CREATE TABLE t{number}(x INT)" for number in range(120))
    found = tables_of(make_duckdb(tmp_path / "x.duckdb", f"CREATE TABLE wide({wide}); {many}"))
    assert len(found) == 121
    assert len(found[TableRef("wide")].columns) == 1500


# ------------------------------------------------------------------------------------------------ files that are not


def _message(path: Path) -> str:
    with pytest.raises(SourceError) as caught, opened_duckdb(path) as source:
        source.tables()
    assert caught.value.why
    assert caught.value.do
    return caught.value.what


def test_a_missing_file_a_folder_and_other_kinds_of_files(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_bytes(b"a,b\n1,2\n" * 3000)
    (tmp_path / "empty.db").touch()
    assert _message(tmp_path / "gone.db") == f"There is no file {tmp_path / 'gone.db'}."
    assert _message(tmp_path) == f"{tmp_path} is a folder."
    assert _message(tmp_path / "text.db") == "text.db is not a DuckDB database."
    assert _message(tmp_path / "empty.db") == "empty.db is not a DuckDB database."
    assert not (tmp_path / "gone.db").exists()


def test_a_database_without_tables_says_so(tmp_path: Path) -> None:
    assert _message(make_duckdb(tmp_path / "x.db", "SELECT 1")) == "x.db has no tables."


@pytest.mark.parametrize("keep", [5_000, 20_000])
def test_a_file_cut_short_or_damaged(keep: int, shop_path: Path) -> None:
    content = shop_path.read_bytes()
    shop_path.write_bytes(content[:keep])
    assert _message(shop_path) in ("shop.duckdb is damaged.", "shop.duckdb could not be opened.")


def test_a_file_of_another_storage_version_is_explained(tmp_path: Path) -> None:
    error = duckdb.IOException(
        "IO Error: Trying to read a database file with version number 999, but we can only read versions between 64 "
        "and 67.\nThe database file was created with a newer version of DuckDB."
    )
    found = opening_error(error, tmp_path / "x.db")
    assert found.what == "x.db was written by another version of DuckDB."
    assert "999" in found.why


def test_a_file_another_program_writes_to_is_locked(shop_path: Path) -> None:
    script = f"import duckdb, sys; c = duckdb.connect({str(shop_path)!r}); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        assert _message(shop_path) == "shop.duckdb is locked."
        writer.communicate()


def test_a_file_deleted_or_replaced_after_opening(shop_path: Path, tmp_path: Path) -> None:
    with opened_duckdb(shop_path) as source:
        source.tables()
        make_duckdb(tmp_path / "new.duckdb", SHOP).replace(shop_path)
        with pytest.raises(SourceError, match="has been replaced"):
            source.page(TableRef("users"))
        shop_path.unlink()
        with pytest.raises(SourceError, match="There is no file"):
            source.page(TableRef("users"))


def test_what_was_written_but_not_yet_folded_in_is_read(shop_path: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(shop_path)) as writer:
        writer.execute("INSERT INTO users VALUES (3, 'DE', 'Jena')")
        for name in ("shop.duckdb", "shop.duckdb.wal"):
            (tmp_path / f"copy of {name}").write_bytes((tmp_path / name).read_bytes())
    session = session_on(tmp_path / "copy of shop.duckdb")
    assert session.fetch(sa.select(sa.func.count()).select_from(sa.table("users"))) == [(3,)]
    assert "wal_size" in session.identity()
    session.close()


def test_a_file_that_may_not_be_read(shop_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the tests may run as root, whom nothing is denied
    assert _message(shop_path) == "shop.duckdb may not be read."


def test_a_lookup_on_the_key_of_a_small_table_keeps_the_order_of_the_base(tmp_path: Path) -> None:
    script = (
        "CREATE TABLE b AS SELECT range AS k, range % 3 AS p FROM range(5000); CREATE TABLE p(id BIGINT PRIMARY KEY);"
    )
    with opened_duckdb(make_duckdb(tmp_path / "x.duckdb", script + "INSERT INTO p VALUES (1), (2)")) as source:
        join = lookup("p", "p", (ref("b", "p"), "id"))
        snapshot = source.extract(query("b", ("b", "k"), ("p", "id"), joins=(join,)), tmp_path / "out")
    assert [row[0] for row in rows_of(snapshot)] == list(range(5000))


@pytest.mark.parametrize("key", ["k BIGINT PRIMARY KEY", "k BIGINT"])
def test_a_large_table_is_sorted_part_by_part_and_comes_in_the_order_of_its_key(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_engine, "_PART_ROWS", 700)
    script = (
        f"CREATE TABLE b({key}, p BIGINT); INSERT INTO b SELECT (range * 7919 % 5003) * 3, range % 3 FROM range(5003);"
        "CREATE TABLE p(id BIGINT PRIMARY KEY, name VARCHAR); INSERT INTO p VALUES (1, 'one'), (2, 'two')"
    )
    with opened_duckdb(make_duckdb(tmp_path / "x.duckdb", script)) as source:
        join = lookup("p", "p", (ref("b", "p"), "id"))
        snapshot = source.extract(query("b", ("b", "k"), ("b", "p"), ("p", "name"), joins=(join,)), tmp_path / "out")
    names = {0: None, 1: "one", 2: "two"}
    given = [((row * 7919 % 5003) * 3, row % 3, names[row % 3]) for row in range(5003)]
    assert rows_of(snapshot) == (sorted(given) if "PRIMARY" in key else given)
