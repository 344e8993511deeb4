"""The values plugins see: encoded rows, predictions, errors, and plain data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crosslens
from crosslens import (
    CrosslensError,
    DataError,
    EncodedDataset,
    EncodedField,
    EncodedSchema,
    FieldKind,
    FieldRole,
    InteractionTerm,
    Predictions,
    UserError,
)
from crosslens.plain import from_plain, to_plain
from crosslens.testing import all_missing_column, heavier_positives, main_effects, many_categories, unseen_ids, xor

A = EncodedField("a", FieldKind.CATEGORICAL, 3)
B = EncodedField("b", FieldKind.CATEGORICAL, 5, FieldRole.USER)
X = EncodedField("x", FieldKind.NUMERICAL)
SCHEMA = EncodedSchema((A, B, X), ("click",))


def rows(count: int = 2) -> EncodedDataset:
    ids = np.tile(np.array([1, 4], np.int32), (count, 1))
    return EncodedDataset(SCHEMA, ids, np.zeros((count, 1), np.float32), {"click": np.ones(count, np.float32)})


def test_ids_of_all_fields_share_one_table() -> None:
    assert SCHEMA.offsets.tolist() == [0, 3]
    assert SCHEMA.table_size == 8
    np.testing.assert_array_equal(rows().local_ids(), [[1, 1], [1, 1]])


def test_a_schema_without_categorical_fields_has_an_empty_table() -> None:
    schema = EncodedSchema((X,), ("click",))
    assert (schema.offsets.tolist(), schema.table_size) == ([], 0)


@pytest.mark.parametrize(("fields", "sentence"), [((X, A), "before numerical"), ((A, replace(X, name="a")), "unique")])
def test_a_schema_out_of_order_or_with_a_name_twice_is_refused(fields: tuple[EncodedField, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        EncodedSchema(fields, ("click",))


@pytest.mark.parametrize(
    "wrong",
    [
        {"ids": np.zeros((2, 3), np.int32)},
        {"values": np.zeros((3, 1), np.float32)},
        {"labels": {"click": np.zeros(3, np.float32)}},
    ],
)
def test_arrays_of_another_shape_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="shape"):
        replace(rows(), **wrong)


def test_taking_a_slice_copies_nothing_and_taking_rows_keeps_their_order() -> None:
    data = main_effects(10)
    assert np.shares_memory(data.take(slice(2, 5)).ids, data.ids)
    np.testing.assert_array_equal(data.take(np.array([7, 2])).row_keys, [7, 2])


def test_the_schema_of_rows_survives_json() -> None:
    assert from_plain(EncodedSchema, to_plain(SCHEMA)) == SCHEMA


@settings(max_examples=30)
@given(st.lists(st.floats(-800, 800), min_size=1, max_size=5))
def test_probabilities_follow_the_logits_without_overflow(logits: list[float]) -> None:
    probability = Predictions({"click": np.array(logits)}).probability()
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-np.array(logits)))
    np.testing.assert_allclose(probability, expected, rtol=1e-12, atol=1e-300)


def test_predictions_of_several_tasks_are_told_apart_by_name() -> None:
    two = Predictions({"click": np.zeros(1), "conversion": np.ones(1)})
    assert two.logit().tolist() == [0.0]
    assert two.probability("conversion")[0] == pytest.approx(0.7310585786)


def test_the_order_of_a_term_is_its_number_of_fields() -> None:
    assert InteractionTerm(("a", "b", "x"), 0.5, 1.0).order == 3


def test_a_user_s_error_says_what_why_and_what_to_do_and_keeps_the_facts() -> None:
    error = DataError("It broke.", why="The disk is full.", do="Free some space.", path="x.db")
    assert str(error) == "It broke. The disk is full. Free some space."
    assert error.facts == {"path": "x.db"}


def test_every_error_is_of_one_of_the_two_families_or_a_stop() -> None:
    errors = [value for value in vars(crosslens).values() if isinstance(value, type) and issubclass(value, Exception)]
    others = {error.__name__ for error in errors if not issubclass(error, UserError)}
    assert others == {"CrosslensError", "InternalError", "Stopped"}
    assert all(issubclass(error, CrosslensError) for error in errors)


def test_every_public_name_exists_and_is_listed_once() -> None:
    assert sorted(set(crosslens.__all__)) == sorted(crosslens.__all__)
    assert [name for name in crosslens.__all__ if not hasattr(crosslens, name)] == []


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 0


def test_an_unknown_key_in_plain_data_is_an_error_with_its_name() -> None:
    assert to_plain(Point(3)) == {"x": 3}
    with pytest.raises(DataError, match="z") as caught:
        from_plain(Point, {"x": 1, "z": 2})
    assert caught.value.facts["problems"]


def test_test_rows_are_read_only_and_the_same_for_the_same_seed() -> None:
    data = main_effects(50, seed=4)
    with pytest.raises(ValueError, match="read-only"):
        data.ids[0, 0] = 1
    np.testing.assert_array_equal(data.ids, main_effects(50, seed=4).ids)
    np.testing.assert_array_equal(data.values, main_effects(50, seed=4).values)


def test_xor_rows_tell_nothing_by_one_field_and_all_by_two() -> None:
    local = xor(4000, noise=0.0).local_ids() - 2
    label = xor(4000, noise=0.0).target
    assert all(abs(label[column == 1].mean() - 0.5) < 0.05 for column in local.T)
    np.testing.assert_array_equal(local[:, 0] ^ local[:, 1], label)


def test_odd_rows_are_odd_in_the_way_their_name_says() -> None:
    data = main_effects(20)
    assert (unseen_ids(data).local_ids() == 1).all()
    assert np.isnan(unseen_ids(data).values).all()
    assert (all_missing_column(data).local_ids()[:, 0] == 0).all()
    assert np.isnan(all_missing_column(data).values[:, 0]).all()
    assert many_categories(100).schema.fields[0].cardinality == 10_002
    weights = heavier_positives(data, weight=3.0).weights
    assert weights is not None
    np.testing.assert_array_equal(weights, np.where(data.target > 0.5, 3.0, 1.0))
