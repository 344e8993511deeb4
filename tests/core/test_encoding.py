"""Encoders learned from training rows, and arrays on disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.encoded_files import ArrayWriter
from core.encoders import BinEncoder, Encoders, NumberEncoder, bin_text
from core.encoding import encode, encode_rows, fit_encoders, open_encoded
from core.snapshots import table_rows
from crosslens import DataError, Field, FieldKind, FieldRole, FieldSchema, StorageError
from crosslens.data import EncodedDataset

from .snapshots import fields, ref, snapshot

Y = [0, 1, 0, 1, 0, 1, 0, 1]
ALL = np.arange(8)
MEANING = {"colour": "item", "price": "numerical feature", "y": "click", "w": "numerical weight"}
COLOURS = ["red", "blue", "red", "blue", "red", None, "green", "new"]


def shop(**changes: Any) -> tuple[pa.Table, tuple[Any, ...]]:
    price = [1.0, 2.0, 3.0, 4.0, 5.0, None, 99.0, 6.0]
    return snapshot(**{"y": Y, "colour": COLOURS, "price": price, "w": [1.0] * 8} | changes)


def fit(rows: Any = ALL, *, meaning: dict[str, str] = MEANING, **changes: Any) -> Encoders:
    table, columns = shop(**changes)
    return fit_encoders(table_rows(table, columns), fields(**meaning), mask(8, rows))


def mask(count: int, rows: Any) -> np.ndarray:
    found = np.zeros(count, np.bool_)
    found[np.asarray(rows) if not isinstance(rows, slice) else rows] = True
    return found


def write(table: pa.Table, encoders: Encoders, folder: Path, **options: Any) -> EncodedDataset:
    return encode(table_rows(table, encoders.columns), encoders, folder, **options)


def one(values: Any, kind: FieldKind, *, bins: int = 0) -> Encoders:
    """Return encoders of a single feature x over as many rows as it has values."""
    table, columns = snapshot(x=values, y=[i % 2 for i in range(len(values))])
    schema = FieldSchema((Field(ref("x"), "x", kind, FieldRole.FEATURE, bins), *fields(y="click")))
    return fit_encoders(table_rows(table, columns), schema, mask(len(values), slice(None)))


def test_only_training_rows_teach(tmp_path: Path) -> None:
    table, _ = shop()
    data = write(table, fit(range(6)), tmp_path / "encoded")
    assert data.local_ids()[:, 0].tolist() == [2, 3, 2, 3, 2, 0, 1, 1]
    assert data.values[:5, 0].mean() == pytest.approx(0, abs=1e-6)
    assert data.values[:5, 0].std() == pytest.approx(1, abs=1e-6)


def test_categorical_fields_come_first_and_ids_are_offset(tmp_path: Path) -> None:
    meaning = {"price": "numerical feature", "colour": "feature", "w": "categorical user", "y": "click"}
    table, _ = shop()
    data = write(table, fit(meaning=meaning), tmp_path / "encoded")
    assert data.schema.names == ("colour", "w", "price")
    assert data.schema.labels == ("click",)
    assert data.ids[0].tolist() == [2, 4 + 2]
    assert data.schema.fields[1].role is FieldRole.USER
    assert data.ids.max() < data.schema.table_size


def test_missing_numbers_stay_nan_and_infinite_ones_too(tmp_path: Path) -> None:
    table, _ = shop(price=[1.0, float("inf"), None, float("nan"), 2.0, 3.0, 4.0, 5.0])
    data = write(table, fit(price=table["c2"]), tmp_path / "encoded")
    assert np.isnan(data.values[:, 0]).tolist() == [False, True, True, True, False, False, False, False]


@pytest.mark.parametrize(
    "values", [[5.0] * 8, [0.0] * 8, [1e300, -1e300] * 4, [1e-300, 2e-300] * 4, [0.1] * 7 + [None]]
)
def test_extreme_and_constant_numbers_are_standardised_to_finite_ones(values: list[Any]) -> None:
    encoder = one(values, FieldKind.NUMERICAL).numerical[0]
    standardised = encoder.values(pa.chunked_array([values], pa.float64()))
    assert encoder.scale > 0
    assert np.nanmax(np.abs(standardised)) < 10


def test_a_number_float32_cannot_hold_counts_as_missing() -> None:
    encoder = NumberEncoder("x", ref("x"), FieldRole.FEATURE, mean=0.0, scale=1.0)
    assert np.isnan(encoder.values(pa.chunked_array([[1e300]]))).all()


@pytest.mark.parametrize("values", [["1", " 2", "3.5", "x"], [1, 2, 3, None], [True, False, True, True]])
def test_numbers_stored_otherwise_are_numbers(values: list[Any]) -> None:
    assert one(values, FieldKind.NUMERICAL).numerical[0].mean > 0


def test_unreadable_numbers_are_counted_with_an_example() -> None:
    (finding,) = one(["1", "2", "n/a", "4"], FieldKind.NUMERICAL).findings
    assert finding.message == "1 values of x, such as 'n/a', are read as missing."


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (["red", "blue", "1", None], FieldKind.NUMERICAL, "x is set to numerical, but .*'red'"),
        ([b"x"] * 4, FieldKind.CATEGORICAL, "cannot be categories"),
        (["2026-01-01", "soon", "later", None], FieldKind.TIMESTAMP, "x is set to timestamp, but .*'soon'"),
        ([True] * 4, FieldKind.MULTI_VALUED, "x is set to multi-valued, but its values are of type bool"),
        (["words"] * 4, FieldKind.TEXT, "cannot read the field x as text yet"),
        ([None] * 4, FieldKind.CATEGORICAL, "No field is left"),
    ],
)
def test_a_kind_that_does_not_suit_is_explained(values: list[Any], kind: FieldKind, message: str) -> None:
    with pytest.raises(DataError, match=message):
        one(values, kind)


@pytest.mark.parametrize("meaning", ["categorical feature", "numerical feature"])
def test_a_field_without_any_training_value_is_dropped_with_a_finding(meaning: str) -> None:
    encoders = fit(meaning=MEANING | {"price": meaning}, price=pa.array([None] * 8, pa.float64()))
    assert encoders.schema.names == ("colour",)
    assert "price is left out" in encoders.findings[0].message


def test_numbers_that_are_all_infinite_are_dropped() -> None:
    encoders = fit(price=[float("inf")] * 8)
    assert "no finite number" in encoders.findings[0].message


def test_bins_are_categories_with_readable_labels() -> None:
    encoders = one([float(i) / 2 for i in range(100)], FieldKind.NUMERICAL, bins=4)
    assert encoders.schema.fields[0].cardinality == 6
    assert encoders.choices("x") == ("< 12.4", "12.4 – 24.8", "24.8 – 37.1", "≥ 37.1")


def test_bins_of_whole_numbers_name_them() -> None:
    ages = [18, 19, 20, 21, 22, 23, 24, 30, 30, 30, 30, 41]
    assert one(ages, FieldKind.NUMERICAL, bins=3).choices("x") == ("< 22", "22 – 29", "≥ 30")
    assert bin_text((1.0, 2.0, 4.0), 1, whole=True) == "1"


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=8, max_size=60), st.integers(2, 20))
@settings(max_examples=30, deadline=None)
def test_no_bin_is_empty_and_labels_differ(values: list[float], bins: int) -> None:
    encoder = one(values, FieldKind.NUMERICAL, bins=bins).categorical[0]
    assert isinstance(encoder, BinEncoder)
    used = encoder.local_ids(pa.chunked_array([values]))
    assert set(used) == set(range(2, encoder.encoded.cardinality))
    labels = [encoder.text(i) for i in range(encoder.encoded.cardinality)]
    assert len(set(labels)) == len(labels)
    assert [encoder.local_id(label) for label in labels] == list(range(len(labels)))


def test_a_bin_includes_its_lower_edge() -> None:
    encoder = BinEncoder("x", ref("x"), FieldRole.FEATURE, edges=(1.0, 2.0))
    assert encoder.local_ids(pa.chunked_array([[0.9, 1.0, 2.0, None]])).tolist() == [2, 3, 4, 0]
    assert encoder.local_id("1.5") == 3
    with pytest.raises(IndexError):
        encoder.text(5)


def test_a_label_of_one_class_among_training_rows_is_refused() -> None:
    with pytest.raises(DataError, match="The label y is 0 in every training row"):
        fit([0, 2, 4])


def test_two_weights_are_one_too_many() -> None:
    with pytest.raises(DataError, match="2 fields have the role weight"):
        fit(meaning=MEANING | {"price": "numerical weight"})


def test_arrays_are_mapped_read_only_and_open_again_alike(tmp_path: Path) -> None:
    table, _ = shop()
    data = write(table, fit(), tmp_path / "encoded")
    again = open_encoded(tmp_path / "encoded")
    assert isinstance(again.ids, np.memmap)
    assert again.schema == data.schema
    for first, second in zip(_arrays(data), _arrays(again), strict=True):
        assert not second.flags.writeable
        np.testing.assert_array_equal(first, second)
    assert again.row_keys is not None
    assert again.row_keys.tolist() == list(range(8))


def _arrays(data: Any) -> list[np.ndarray]:
    return [data.ids, data.values, data.labels["click"], data.weights]


def test_rows_are_encoded_in_parts_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, _ = shop()
    whole = write(table, fit(), tmp_path / "whole")
    monkeypatch.setattr("core.snapshots.BLOCK_ROWS", 3)
    seen: list[float] = []
    parts = write(table, fit(), tmp_path / "parts", progress=seen.append)
    np.testing.assert_array_equal(whole.ids, parts.ids)
    np.testing.assert_array_equal(whole.values, parts.values)
    assert seen == [3 / 8, 6 / 8, 1]


def test_rows_to_be_scored_need_no_labels(tmp_path: Path) -> None:
    encoders = fit()
    table, _ = shop(y=[None] * 8, w=[None] * 8)
    data = write(table, encoders, tmp_path / "encoded", labels=False)
    assert dict(data.labels) == {}
    assert data.weights is None
    assert data.schema.names == encoders.schema.names
    np.testing.assert_array_equal(data.ids, encode_rows(table, encoders).ids)


def test_no_rows_encode_to_no_rows(tmp_path: Path) -> None:
    table, _ = shop()
    data = write(table.slice(0, 0), fit(), tmp_path / "encoded", labels=False)
    assert data.ids.shape == (0, 1)
    assert data.values.shape == (0, 1)


def test_fields_of_one_kind_only_encode(tmp_path: Path) -> None:
    table, _ = shop()
    numbers_only = write(table, fit(meaning={"price": "numerical feature", "y": "click"}), tmp_path / "a")
    assert numbers_only.ids.shape == (8, 0)
    assert write(table, fit(meaning={"colour": "feature", "y": "click"}), tmp_path / "b").values.shape == (8, 0)


def test_encoding_again_replaces_the_folder(tmp_path: Path) -> None:
    table, _ = shop()
    (tmp_path / "encoded").mkdir()
    (tmp_path / "encoded" / "stale.npy").write_bytes(b"")
    write(table, fit(), tmp_path / "encoded")
    assert not (tmp_path / "encoded" / "stale.npy").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["encoded"]


def test_what_a_killed_process_left_behind_is_removed_after_a_day(tmp_path: Path) -> None:
    old, new, other = tmp_path / ".encoded-ab12-0123abcd", tmp_path / ".encoded-cd34-0123abcd", tmp_path / ".cache"
    for folder in (old, new, other):
        folder.mkdir()
    for folder in (old, other):
        os.utime(folder, (0, 0))
    write(shop()[0], fit(), tmp_path / "encoded")
    assert {path.name for path in tmp_path.iterdir()} == {"encoded", new.name, other.name}


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    table, _ = shop()
    monkeypatch.setattr(ArrayWriter, "write", full)
    with pytest.raises(StorageError, match=r"is full\. Free some space"):
        write(table, fit(), tmp_path / "encoded")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write to"):
        write(shop()[0], fit(), tmp_path / "file" / "encoded")


def test_an_incomplete_folder_is_refused(tmp_path: Path) -> None:
    write(shop()[0], fit(), tmp_path / "encoded")
    (tmp_path / "encoded" / "values.npy").unlink()
    with pytest.raises(DataError, match="incomplete"):
        open_encoded(tmp_path / "encoded")


def test_encoders_survive_json(tmp_path: Path) -> None:
    meaning = MEANING | {"w": "numerical weight"}
    encoders = fit(meaning=meaning, colour=["Größe", "a\"b'", "имя", "", "Größe", "a\"b'", "имя", ""])
    again = Encoders.from_json(encoders.to_json())
    assert again.to_json() == encoders.to_json()
    assert again.schema == encoders.schema
    assert (again.columns, again.weight, again.labels) == (encoders.columns, encoders.weight, encoders.labels)
    assert again.decode("colour", 3) == encoders.decode("colour", 3)


def test_bins_and_findings_survive_json() -> None:
    encoders = one(["1", "2", "3", "4", "odd"], FieldKind.NUMERICAL, bins=2)
    again = Encoders.from_json(encoders.to_json())
    assert again.categorical == encoders.categorical
    assert again.findings == encoders.findings


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 99}', '{"format": 1, "columns": 3}'])
def test_json_that_holds_no_encoders_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="encoders"):
        Encoders.from_json(text)


def test_what_if_values_are_encoded_from_text() -> None:
    encoders = fit()
    found = encoders.encode_values({"colour": "blue", "price": ""})
    assert found["colour"] == 3
    assert np.isnan(found["price"])
    assert encoders.decode("price", encoders.encode_values({"price": "2.5"})["price"]) == "2.5"
    assert encoders.encode_values({"colour": "mauve"}) == {"colour": 1}


def test_a_changed_row_differs_only_where_it_was_changed() -> None:
    encoders = fit()
    row = encode_rows(shop()[0].slice(0, 1), encoders)
    changed = encoders.with_values(row, {"colour": "blue"})
    assert changed.local_ids().tolist() == [[3]]
    assert changed.values.tolist() == row.values.tolist()
    assert row.local_ids().tolist() == [[2]]


@pytest.mark.parametrize(
    ("texts", "message"),
    [({"price": "dear"}, "price is a number"), ({"price": "inf"}, "'inf'"), ({"size": "1"}, "no field size")],
)
def test_impossible_what_if_values_are_explained(texts: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit().encode_values(texts)


def test_a_block_of_another_shape_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="1 rows were written, 2 announced"),
        ArrayWriter(tmp_path / "a.npy", (2, 1), np.int32) as writer,
    ):
        writer.write(np.zeros((1, 1), np.int32))
        with pytest.raises(ValueError, match="expected int32"):
            writer.write(np.zeros((1, 1), np.int64))
