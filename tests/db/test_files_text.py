"""How text files are understood: encodings, delimiters, quotes, headers and types, as tables of examples."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import db.files.csv_table as csv_table
from crosslens.errors import SourceError
from crosslens.relational import TableRef
from db.files.csv_types import Meaning
from db.files.layout import detect_layout, unique_names
from db.files.listing import list_tables
from db.files.options import TextOptions, text_options

from .files_helpers import columns_of, opened_files, rows_in, write

LAYOUTS = (
    # text, delimiter, quote, header, skipped lines, names
    ('"age";"job"\n58;"boss"\n44;"clerk"\n', ";", '"', True, 0, ("age", "job")),
    ("preis;größe;datum\n1,5;3,25;01.02.2020\n2,75;4;31.12.2020\n", ";", '"', True, 0, ("preis", "größe", "datum")),
    ("name\nanna\nbert\n", ",", '"', True, 0, ("name",)),
    ("1\n2\n3\n", ",", '"', False, 0, ("column1",)),
    ("1,anna,2.5\n2,bert,3.5\n", ",", '"', False, 0, ("column1", "column2", "column3")),
    ("name,city\nanna,bonn\nbert,ulm\n", ",", '"', True, 0, ("name", "city")),
    ("1::A film (1999)::Action|Comedy\n2::Other, The (2001)::Drama\n", "::", '"', False, 0, None),
    ('a,b\n1,"b\\"c, d"\n2,"e"\n', ",", '"', True, 0, ("a", "b")),
    ("a,b\n1,'x,y'\n2,'z,w'\n", ",", "'", True, 0, ("a", "b")),
    ("name,say\nbob,it's fine\nann,'tis\n", ",", '"', True, 0, ("name", "say")),
    ("a\tb\n1\tx, y\n2\tz, w\n", "\t", '"', True, 0, ("a", "b")),
    ("a|b\n1|x\n2|y\n", "|", '"', True, 0, ("a", "b")),
    ("a,b,c\n" + "1,2,3\n" * 8 + "1,2\n4,5,6,7\n", ",", '"', True, 0, ("a", "b", "c")),
    ("Report of 2020\n\na,b\n1,2\n3,4\n", ",", '"', True, 2, ("a", "b")),
    ("a,,a\n1,2,3\n", ",", '"', True, 0, ("a", "column2", "a_2")),
    ('"a","b"\n"1","x, ""y"""\n"2","line\nbreak"\n', ",", '"', True, 0, ("a", "b")),
    (",x,y\n0,1,2\n1,1,2\n", ",", '"', True, 0, ("column1", "x", "y")),
    ("a,b\n", ",", '"', True, 0, ("a", "b")),
    ("", ",", '"', True, 0, ("column1",)),
    ('id,city\n1,"Boston, MA"\n' + '2,"Austin, TX"\n' * 20, ",", '"', True, 0, ("id", "city")),
    ('number,text\n0,"x\\"\n', ",", '"', True, 0, ("number", "text")),
)
COLUMNS = (
    # the texts of a column, the database's type, the values
    (("1", "-2", "0"), "BIGINT", [1, -2, 0]),
    (("00123", "45678"), "VARCHAR", ["00123", "45678"]),
    (("+49228", "030"), "VARCHAR", ["+49228", "030"]),
    (("12345678901234567890", "1"), "VARCHAR", ["12345678901234567890", "1"]),
    (("1.5", "2", "-.5", "1e3"), "DOUBLE", [1.5, 2.0, -0.5, 1000.0]),
    (("1_000", "2"), "VARCHAR", ["1_000", "2"]),
    (("0x1F", "2"), "VARCHAR", ["0x1F", "2"]),
    (("1,5", "2", "1.234,75"), "DOUBLE", [1.5, 2.0, 1234.75]),
    (("1,234", "5,678"), "VARCHAR", ["1,234", "5,678"]),
    (("true", "FALSE"), "BOOLEAN", [True, False]),
    (("true", " false"), "VARCHAR", ["true", " false"]),
    (("yes", "no"), "VARCHAR", ["yes", "no"]),
    (("2024-02-29", "2023-01-01"), "DATE", ["2024-02-29", "2023-01-01"]),
    (("2024-02-30", "2023-01-01"), "VARCHAR", ["2024-02-30", "2023-01-01"]),
    (("2024-02-29", "2023-01-01 10:00"), "TIMESTAMP", ["2024-02-29 00:00:00", "2023-01-01 10:00:00"]),
    (("2024-02-29T10:00:00.5", "2023-01-01T10:00:00"), "TIMESTAMP",
     ["2024-02-29 10:00:00.500000", "2023-01-01 10:00:00"]),
    (("2024-02-29T10:00:00Z", "2023-01-01 10:00:00+02:00"), "TIMESTAMP WITH TIME ZONE",
     ["2024-02-29 10:00:00", "2023-01-01 08:00:00"]),
    (("01.02.2024", "31.12.2023"), "DATE", ["2024-02-01", "2023-12-31"]),
    (("01/02/2024", "31/12/2023"), "DATE", ["2024-02-01", "2023-12-31"]),
    (("01/02/2024", "12/31/2023"), "DATE", ["2024-01-02", "2023-12-31"]),
    (("01/02/2024", "03/04/2023"), "VARCHAR", ["01/02/2024", "03/04/2023"]),
    (("31/12/2023", "12/31/2023"), "VARCHAR", ["31/12/2023", "12/31/2023"]),
    (("1", "", "NA", "NULL", "\\N", "NaN"), "BIGINT", [1, None, None, None, None, None]),
    (("", "NA"), "VARCHAR", [None, None]),
    (("2024-02-29", ""), "DATE", ["2024-02-29", None]),
    (("2024-02-29 10:00", "NA"), "TIMESTAMP", ["2024-02-29 10:00:00", None]),
    (("31.12.2023", ""), "DATE", ["2023-12-31", None]),
    (("01/02/2024", "03/04/2023", ""), "VARCHAR", ["01/02/2024", "03/04/2023", None]),
    ((" 12", "7 "), "BIGINT", [12, 7]),
    (("x" * 3_000_000, "y"), "VARCHAR", ["x" * 3_000_000, "y"]),
    (("a\nb", 'say "hi"'), "VARCHAR", ["a\nb", 'say "hi"']),
    (("a\0b", "c"), "VARCHAR", ["a\0b", "c"]),
)  # fmt: skip
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1")


@pytest.mark.parametrize(("text", "delimiter", "quote", "header", "skip", "names"), LAYOUTS)
def test_a_layout_is_found(text, delimiter, quote, header, skip, names) -> None:
    found = detect_layout(text, TextOptions())
    assert (found.delimiter, found.quote, found.header, found.skip) == (delimiter, quote, header, skip)
    assert names is None or found.names == names


@pytest.mark.parametrize(
    ("body", "escape"),
    [
        ('1,"C:\\"\n2,"D:\\"\n', '"'),
        ('1,"say \\"hi\\""\n2,"b"\n', "\\"),
        ('1,""\n2,"say \\"hi\\", then"\n', "\\"),
        ('1,"say ""hi"""\n2,"C:\\"\n', '"'),
    ],
)
def test_a_backslash_keeps_a_quote_only_where_that_makes_records_sound(body: str, escape: str) -> None:
    assert detect_layout("number,text\n" + body, TextOptions()).escape == escape


@given(st.lists(st.text(max_size=5), max_size=20))
def test_names_become_unique_without_case_and_good_ones_stay(names: list[str]) -> None:
    found = unique_names(names)
    assert len({name.casefold() for name in found}) == len(names)
    assert all(found)
    alone = [
        name
        for name in names
        if name.strip() == name != "" and sum(n.strip().casefold() == name.casefold() for n in names) == 1
    ]
    assert set(alone) <= set(found)


@pytest.mark.parametrize(("texts", "declared", "values"), COLUMNS)
def test_a_column_of_text_becomes_what_every_value_of_it_is(texts, declared, values, tmp_path: Path) -> None:
    quoted = ('"' + text.replace('"', '""') + '"' for text in texts)
    path = write(tmp_path / "t.csv", "n;x\n" + "".join(f"name {n};{text}\n" for n, text in enumerate(quoted)))
    assert columns_of(path)["x"] == declared
    assert [
        None if row[1] is None else type(value)(row[1]) for row, value in zip(rows_in(path), values, strict=True)
    ] == values


@pytest.mark.parametrize("late", ["007", "1.5", "word", "123456789012345678901", "1_000"])
@pytest.mark.parametrize("checked_rows", [20_000, 10])
def test_a_late_value_of_another_form_is_neither_lost_nor_changed(
    late: str, checked_rows: int, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(csv_table, "_SAMPLE_ROWS", 5)
    monkeypatch.setattr(csv_table, "_CHECKED_ROWS", checked_rows)
    monkeypatch.setattr(csv_table, "WHOLE_BYTES", 10_000_000 if checked_rows > 10 else 1)
    path = write(tmp_path / "t.csv", "k,x\n" + "".join(f"k{n},{n + 1}\n" for n in range(3000)) + f"last,{late}\n")
    values = [row[1] for row in rows_in(path)]
    assert (str(values[-1]), float(values[0])) == (late, 1.0)
    assert len(values) == 3001


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_usual_encoding_is_recognised(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("stadt,größe\nKöln,1\nGießen,2\n".encode(encoding))
    assert columns_of(path) == {"stadt": "VARCHAR", "größe": "BIGINT"}
    assert rows_in(path) == [("Köln", 1), ("Gießen", 2)]


def test_the_euro_sign_of_windows_is_one(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("preis\n5 €\n„gut“\n".encode("cp1252"))
    assert rows_in(tmp_path / "t.csv") == [("5 €",), ("„gut“",)]


def test_lines_in_another_encoding_are_named_by_number(tmp_path: Path) -> None:
    good, bad = "Köln,1\n".encode(), "Köln,2\n".encode("latin-1")
    (tmp_path / "t.csv").write_bytes(b"city,n\n" + good * 3 + bad + good + bad)
    with pytest.raises(SourceError, match="more than one encoding") as caught:
        rows_in(tmp_path / "t.csv")
    assert caught.value.facts["lines"] == (5, 7)
    assert "Lines 5, 7 are not UTF-8, but 4 other lines are" in caught.value.why
    assert rows_in(tmp_path / "t.csv", encoding="cp1252")[3] == ("Köln", 2)


def test_an_encoding_that_does_not_fit_says_where(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("a\nx\nKöln\n".encode("latin-1"))
    with pytest.raises(SourceError, match="bytes that are no UTF-8") as caught:
        rows_in(tmp_path / "t.csv", encoding="utf-8")
    assert caught.value.facts["lines"] == (3,)


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_read(ends: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(ends.join(["a,b", "1,x", "2,y", ""]).encode())
    assert rows_in(tmp_path / "t.csv") == [(1, "x"), (2, "y")]


def test_mixed_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\r\n1,x\n2,y\r\n")
    assert rows_in(tmp_path / "t.csv") == [(1, "x"), (2, "y")]


def test_a_packed_file_is_read_in_place(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress("größe,b\n1,x\n2,y\n".encode()))
    assert rows_in(tmp_path / "t.csv.gz") == [(1, "x"), (2, "y")]
    assert [table.ref for table in list_tables(tmp_path / "t.csv.gz")] == [TableRef("t")]


def test_a_packed_file_cut_short_says_so(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,x\n" * 5000)[:40])
    with pytest.raises(SourceError, match=r"t\.csv\.gz cannot be unpacked"):
        rows_in(tmp_path / "t.csv.gz")


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        ({"delimiter": ";"}, "a,b;c\nx,2;3\n", [("x,2", 3)]),
        ({"delimiter": "tab"}, "a\tb\nx,5\t2\n", [("x,5", 2)]),
        ({"header": "no"}, "a,b\nc,d\n", [("a", "b"), ("c", "d")]),
        ({"header": "yes"}, "2019,2020\n1,2\n", [(1, 2)]),
        ({"quote": "none"}, 'a,b\n"x,"y\n', [('"x', '"y')]),
        ({"null": "?|-"}, "a,b\n?,NA\n1,-\n", [(None, "NA"), (1, None)]),
        ({"decimal": ","}, "a;b\n1,234;x\n", [(1.234, "x")]),
        ({"skip": "2"}, "x,y\nz,w\na,b\n1,2\n", [(1, 2)]),
    ],
)
def test_options_win_over_what_would_be_found(options, text, expected, tmp_path: Path) -> None:
    assert rows_in(write(tmp_path / "t.csv", text), **options) == expected


@pytest.mark.parametrize(
    "options",
    [{"delimitr": ";"}, {"delimiter": ""}, {"header": "maybe"}, {"quote": "''"}, {"decimal": "x"}, {"skip": "-1"},
     {"encoding": "klingon"}, {"bad_lines": "fix"}],
)  # fmt: skip
def test_wrong_options_are_refused_in_a_sentence(options: dict[str, str]) -> None:
    with pytest.raises(SourceError, match=next(iter(options))) as caught:
        text_options(options)
    assert caught.value.do


def test_ragged_rows_are_named_by_line_and_can_be_left_out(tmp_path: Path) -> None:
    lines = ["a,b,c", *["1,2,x"] * 4, "1,2", '1,"two\nlines",x', "1,2,3,4", '1,"un"q,3', "5,6,y", "7,8,z"]
    path = write(tmp_path / "t.csv", "\n".join(lines) + "\n")
    with pytest.raises(SourceError, match=r"t\.csv has 3 lines unlike the others") as caught:
        rows_in(path)
    assert caught.value.facts["lines"] == (6, 9, 10)
    assert "line 6: 2 fields; line 9: 4 fields" in caught.value.why
    assert len(rows_in(path, bad_lines="skip")) == 7


def test_a_skipped_line_is_never_one_whose_value_only_has_another_type(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,b\n" + "1,2\n" * 30 + "x,2\n1\n")
    assert rows_in(path, bad_lines="skip")[-1] == ("x", 2)


def test_a_picture_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5000))
    with pytest.raises(SourceError, match="not a text file"):
        rows_in(tmp_path / "t.csv")


def test_an_empty_file_and_a_header_alone_have_no_rows(tmp_path: Path) -> None:
    assert rows_in(write(tmp_path / "e.csv", "")) == []
    assert columns_of(write(tmp_path / "h.csv", "a,b\n")) == {"a": "VARCHAR", "b": "VARCHAR"}


def test_a_line_too_long_to_be_one_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,b\n1," + "x" * 17_000_000 + "\n2,y\n")
    with pytest.raises(SourceError, match=r"t\.csv has 1 line unlike the others") as caught:
        rows_in(path)
    assert "line 2: a line longer than 16 MB" in caught.value.why


@pytest.mark.parametrize(
    ("text", "names"),
    [("a,a,A\n1,2,3\n", ["a", "a_2", "A_3"]), (" a , b \n1,2\n", ["a", "b"]), ("a,b\r1,2", ["a", "b"])],
)
def test_odd_headers_give_names_that_can_be_told_apart(text: str, names: list[str], tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", text)
    assert list(columns_of(path)) == names
    assert len(rows_in(path)) == 1


def test_1500_columns_are_read(tmp_path: Path) -> None:
    names = ",".join(f"c{number}" for number in range(1500))
    path = write(tmp_path / "t.csv", names + "\n" + (",".join("7" for _ in range(1500)) + "\n") * 20)
    with opened_files(path) as source:
        assert {column.database_type for column in source.tables()[0].columns} == {"BIGINT"}
        assert source.page(TableRef("t")).rows[19] == (7,) * 1500


@settings(deadline=None, max_examples=10)
@given(
    st.lists(
        st.tuples(
            st.integers(-(10**17), 10**17), st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1)
        ),
        min_size=1,
        max_size=8,
    )
)
def test_quoted_text_of_any_kind_comes_back(tmp_path_factory: pytest.TempPathFactory, rows) -> None:
    taken = TextOptions().nulls
    rows = [(number, f"x{text}") for number, text in rows if text not in taken]
    body = "".join(f'{number},"{text.replace(chr(34), chr(34) * 2)}"\n' for number, text in rows)
    path = write(tmp_path_factory.mktemp("csv") / "t.csv", "number,text\n" + body)
    assert rows_in(path, delimiter=",", quote='"', header="yes") == rows


def test_the_meanings_are_those_duckdb_knows() -> None:
    assert Meaning.INTEGER.value == "BIGINT"
