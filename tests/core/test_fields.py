"""Times, several values in a row, and huge ids become fields that models read."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.encoders import Encoders, made_values
from core.encoding import encode, encode_rows, fit_encoders
from core.multi_values import FlagEncoder
from core.snapshots import table_rows
from crosslens import DataError, EncodedDataset, EncodedSchema, Field, FieldKind, FieldRole, FieldSchema
from crosslens.plain import from_plain, to_plain
from crosslens.schema import TimePart

from .snapshots import fields, ref, snapshot

TIMES = ["2026-01-05 08:00", "2026-01-06 09:30:00", None, "2026-02-08 23:59:59.5", "2026-01-05 08:15"]
TAGS = ["red|blue", "red", None, "", "blue | red|green"]


def learn(
    x: Any, kind: FieldKind, tmp_path: Path, *, train: Any = None, name: str = "x", **options: Any
) -> tuple[Encoders, EncodedDataset]:
    """Return encoders of one feature x, and its rows; `options` of the field and of the fitting."""
    about = {key: options.pop(key) for key in ("parts", "delimiter", "bins") if key in options}
    others = options.pop("others", {})
    table, columns = snapshot(x=x, y=[i % 2 for i in range(len(x))], **others)
    schema = FieldSchema((Field(ref("x"), name, kind, FieldRole.FEATURE, **about), *fields(y="click")))
    mask = np.ones(len(x), np.bool_) if train is None else np.isin(np.arange(len(x)), train)
    rows = table_rows(table, columns)
    encoders = fit_encoders(rows, schema, mask, **options)
    again = Encoders.from_json(encoders.to_json())
    assert again.to_json() == encoders.to_json()
    return again, encode(rows, again, tmp_path / "encoded")


def shown(encoders: Encoders, data: EncodedDataset, name: str) -> list[str]:
    place = data.schema.names.index(name)
    return [encoders.decode(name, local_id) for local_id in data.local_ids()[:, place].tolist()]


# --- times ------------------------------------------------------------------------------------------------------------


def test_a_time_gives_its_hour_weekday_and_month(tmp_path: Path) -> None:
    encoders, data = learn(TIMES, FieldKind.TIMESTAMP, tmp_path)
    assert data.schema.names == ("x: hour", "x: weekday", "x: month")
    assert shown(encoders, data, "x: hour") == ["8", "9", "<missing>", "23", "8"]
    assert shown(encoders, data, "x: weekday") == ["Monday", "Tuesday", "<missing>", "Sunday", "Monday"]
    assert shown(encoders, data, "x: month") == ["January", "January", "<missing>", "February", "January"]
    assert encoders.field("x: weekday").column == ref("x")


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([dt.date(2026, 1, 5), dt.date(2026, 1, 6), dt.date(2026, 1, 7), None], ("x: weekday",)),
        (["2026-01-05", "2026-02-06", "2026-01-05", None], ("x: weekday", "x: month")),
        ([dt.datetime(2026, 1, 5, 1), dt.datetime(2026, 1, 5, 2)] * 2, ("x: hour",)),
        ([1_767_571_200, 1_767_661_200, None, 1_767_571_200], ("x: hour", "x: weekday")),
        ([1_767_571_200_000, 1_767_661_200_000, None, 1_767_571_200_000], ("x: hour", "x: weekday")),
    ],
)
def test_parts_that_say_nothing_are_not_taken_unasked(values: Any, names: tuple[str, ...], tmp_path: Path) -> None:
    assert learn(values, FieldKind.TIMESTAMP, tmp_path)[1].schema.names == names


def test_the_parts_asked_for_are_taken_in_their_own_order(tmp_path: Path) -> None:
    parts = (TimePart.YEAR, TimePart.DAY, TimePart.AGE)
    others = {"t": ["2026-03-01"] * 5}
    encoders, data = learn(TIMES, FieldKind.TIMESTAMP, tmp_path, parts=parts, time=ref("t"), others=others)
    assert data.schema.names == ("x: day", "x: year", "x: age")
    assert shown(encoders, data, "x: day") == ["5", "6", "<missing>", "8", "5"]
    ages = made_values(encoders, data, "x: age")
    assert ages is not None
    assert ages.to_pylist()[:3] == pytest.approx([54 + 16 / 24, 53 + 14.5 / 24, None], abs=1e-4)
    assert encoders.sources == (ref("x"), ref("t"))


def test_an_age_without_a_time_of_the_row_is_left_out_and_said(tmp_path: Path) -> None:
    encoders, data = learn(TIMES, FieldKind.TIMESTAMP, tmp_path, parts=(TimePart.AGE, TimePart.HOUR))
    assert data.schema.names == ("x: hour",)
    assert "The age of x is left out" in encoders.findings[0].message


def test_a_text_that_is_no_time_is_missing_and_said(tmp_path: Path) -> None:
    encoders, data = learn([*TIMES, "soon"], FieldKind.TIMESTAMP, tmp_path)
    assert encoders.findings[0].message == "1 values of x, such as 'soon', are no times and read as missing."
    assert data.local_ids()[5].tolist() == [0, 0, 0]


@pytest.mark.parametrize(("text", "decoded"), [("Tuesday", "Tuesday"), ("1", "Tuesday"), ("", "<missing>")])
def test_a_weekday_is_set_by_name_or_number(text: str, decoded: str, tmp_path: Path) -> None:
    encoders, _ = learn(TIMES, FieldKind.TIMESTAMP, tmp_path)
    row = encode_rows(snapshot(x=TIMES[:1], y=[0])[0], encoders)
    changed = encoders.with_values(row, {"x: weekday": text})
    assert shown(encoders, changed, "x: weekday") == [decoded]
    assert shown(encoders, changed, "x: hour") == ["8"]


def test_what_was_made_of_a_time_is_shown_instead_of_it(tmp_path: Path) -> None:
    encoders, data = learn(TIMES, FieldKind.TIMESTAMP, tmp_path)
    made = made_values(encoders, data, "x: weekday")
    assert made is not None
    assert made.to_pylist() == ["Monday", "Tuesday", None, "Sunday", "Monday"]


# --- several values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tags",
    [
        TAGS,
        [None if tags is None else [tag.strip() for tag in tags.split("|")] for tags in TAGS],
        [None if tags is None else json.dumps([tag.strip() for tag in tags.split("|")]) for tags in TAGS],
    ],
    ids=["delimited", "arrays", "JSON"],
)
def test_frequent_values_become_yes_or_no_fields_and_their_number_a_number(tags: Any, tmp_path: Path) -> None:
    encoders, data = learn(tags, FieldKind.MULTI_VALUED, tmp_path)
    assert data.schema.names == ("x: red", "x: blue", "x: count")
    assert shown(encoders, data, "x: red") == ["yes", "yes", "<missing>", "no", "yes"]
    assert shown(encoders, data, "x: blue") == ["yes", "no", "<missing>", "no", "yes"]
    counts = made_values(encoders, data, "x: count")
    assert counts is not None
    assert counts.to_pylist() == [2, 1, None, 0, 3]


@pytest.mark.parametrize(
    ("tags", "options", "names"),
    [
        (["a, b", "b,a", "c,a", "a,c"], {}, ("x: a", "x: b", "x: c")),
        (["a;b,1", "a;c", "a", "b,1"], {}, ("x: a", "x: b,1", "x: count")),
        (["a b", "a c", "a", "b"], {"delimiter": " "}, ("x: a", "x: b", "x: count")),
        (["a", "a", "b", "b"], {}, ("x: a", "x: b")),
        ([[1, 2], [2], [1], None], {}, ("x: 1", "x: 2", "x: count")),
        (["[1, 2]", '[2, "two"]', "[1, null]", "[]"], {}, ("x: 1", "x: 2", "x: count")),
    ],
)
def test_what_parts_values_is_found_out(tags: Any, options: Any, names: tuple[str, ...], tmp_path: Path) -> None:
    assert learn(tags, FieldKind.MULTI_VALUED, tmp_path, **options)[1].schema.names == names


def test_no_more_than_64_values_become_fields(tmp_path: Path) -> None:
    tags = [[f"tag {number}" for number in range(80)]] * 4
    encoders, data = learn(tags, FieldKind.MULTI_VALUED, tmp_path)
    assert len(data.schema.names) == 64
    assert encoders.findings[0].message == "Of 80 values of x, the 64 most frequent ones are read."


def test_the_values_of_a_field_know_that_they_belong_together(tmp_path: Path) -> None:
    encoders, data = learn(TAGS, FieldKind.MULTI_VALUED, tmp_path)
    assert [field.group for field in data.schema.fields] == ["x", "x", ""]
    assert data.schema == encoders.schema
    assert from_plain(EncodedSchema, to_plain(data.schema)) == data.schema


def test_encoders_of_earlier_versions_have_values_that_stand_alone(tmp_path: Path) -> None:
    encoders, data = learn(TAGS, FieldKind.MULTI_VALUED, tmp_path)
    plain = json.loads(encoders.to_json())
    for field in plain["fields"]:
        field.pop("group", None)
    old = Encoders.from_json(json.dumps(plain))
    assert [field.group for field in old.schema.fields] == ["", "", ""]
    again = encode(table_rows(*snapshot(x=TAGS, y=[0, 1, 0, 1, 0])), old, tmp_path / "again")
    assert (again.ids == data.ids).all()


@given(st.lists(st.none() | st.lists(st.sampled_from(["a", "b", "c", "d", "a"]), max_size=5), max_size=12))
def test_every_row_is_told_which_values_it_has(rows: list[list[str] | None]) -> None:
    column = pa.chunked_array([pa.array(rows, pa.list_(pa.string()))])
    for value in ("a", "b", "z"):
        ids = FlagEncoder("x", ref("x"), FieldRole.FEATURE, value).local_ids(column)
        assert ids.tolist() == [0 if row is None else 3 if value in row else 2 for row in rows]


def test_a_field_keeps_its_name_when_a_value_would_take_it(tmp_path: Path) -> None:
    tags = [["count"], ["count", "a"], ["a"], []]
    names = learn(tags, FieldKind.MULTI_VALUED, tmp_path)[1].schema.names
    assert names == ("x: a", "x: count (2)", "x: count")


def test_values_seen_only_outside_training_are_no_fields(tmp_path: Path) -> None:
    assert (
        "x: green"
        not in learn([*TAGS, "green", "green"], FieldKind.MULTI_VALUED, tmp_path, train=range(5))[1].schema.names
    )


def test_a_yes_or_no_field_is_set_by_any_word_for_it(tmp_path: Path) -> None:
    encoders, _ = learn(TAGS, FieldKind.MULTI_VALUED, tmp_path)
    texts = ("yes", "true", "No", "", "perhaps")
    assert [encoders.encode_values({"x: red": text})["x: red"] for text in texts] == [3, 3, 2, 0, 1]
    assert encoders.choices("x: red") == ("no", "yes")
    assert encoders.choices("x: count") == ()


@pytest.mark.parametrize("tags", [[None] * 4, pa.nulls(4)])
def test_a_field_without_values_is_dropped(tags: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No field is left"):
        learn(tags, FieldKind.MULTI_VALUED, tmp_path)


# --- huge ids ---------------------------------------------------------------------------------------------------------

IDS = [f"id {number}" for number in range(40)] * 2


def test_a_field_with_more_values_than_buckets_is_hashed(tmp_path: Path) -> None:
    encoders, data = learn(IDS, FieldKind.CATEGORICAL, tmp_path, hash_buckets=8)
    assert data.schema.fields[0].cardinality == 10
    ids = data.local_ids()[:, 0]
    assert (ids[:40] == ids[40:]).all()
    assert len(set(ids.tolist())) > 4
    assert encoders.decode("x", ids[0]).startswith(f"hash {ids[0] - 2} (")
    assert encoders.encode_values({"x": "id 0"}) == {"x": ids[0]}
    assert encoders.encode_values({"x": encoders.decode("x", ids[0])}) == {"x": ids[0]}


@pytest.mark.parametrize(
    "options", [{"hash_buckets": 0}, {"hash_buckets": 40}, {"hash_buckets": 8, "minimum_count": 3}]
)
def test_a_field_with_fewer_frequent_values_keeps_its_vocabulary(options: Any, tmp_path: Path) -> None:
    encoders, _ = learn([*IDS, "often"], FieldKind.CATEGORICAL, tmp_path, **options)
    assert not encoders.decode("x", 1).startswith("hash")
    assert encoders.choices("x")[:1] in ((), ("id 0",))


def test_a_hash_is_the_same_whether_an_id_is_kept_as_number_or_text(tmp_path: Path) -> None:
    encoders, data = learn(list(range(40)) * 2, FieldKind.CATEGORICAL, tmp_path, hash_buckets=8)
    texts = snapshot(x=[str(number) for number in range(40)] * 2, y=[0, 1] * 40)[0]
    np.testing.assert_array_equal(encode_rows(texts, encoders).ids, data.ids)


def test_missing_ids_stay_missing_and_buckets_no_training_row_fell_into_are_unknown(tmp_path: Path) -> None:
    values = [*IDS[:12], *IDS[:12], None, *IDS[12:40]]
    encoders, data = learn(values, FieldKind.CATEGORICAL, tmp_path, hash_buckets=11, train=range(25))
    ids = data.local_ids()[:, 0]
    assert ids[24] == 0
    known = set(ids[:24].tolist())
    assert set(ids[25:].tolist()) <= known | {1}
    assert 1 in ids[25:]
    assert encoders.choices("x", 3) == ("id 0", "id 1", "id 10")


def test_an_id_met_only_once_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.fitting.MOST_COUNTED", 100)
    monkeypatch.setattr("core.snapshots.BLOCK_ROWS", 64)
    encoders, _ = learn([f"id {number}" for number in range(1000)], FieldKind.CATEGORICAL, tmp_path, hash_buckets=8)
    assert encoders.schema.fields[0].cardinality == 10


# --- dates as categories ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([dt.date(2026, 1, 5)] * 4, ("2026-01-05",)),
        ([dt.datetime(2026, 1, 5, 8)] * 4, ("2026-01-05 08:00:00",)),
        ([dt.datetime(2026, 1, 5, 8, 0, 0, 500000)] * 4, ("2026-01-05 08:00:00.500000",)),
    ],
)
def test_categories_over_dates_read_as_iso_text(values: Any, texts: tuple[str, ...], tmp_path: Path) -> None:
    assert learn(values, FieldKind.CATEGORICAL, tmp_path)[0].choices("x") == texts
