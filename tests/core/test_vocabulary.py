"""Vocabularies: values and ids in both directions."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.columns import plain
from core.vocabulary import ValueType, Vocabulary, check_categorical, truth_of
from crosslens import DataError

from .snapshots import vocabulary_of


def fit(values: Any, **options: Any) -> Vocabulary:
    return vocabulary_of(plain(values if isinstance(values, pa.Array) else pa.array(values)), **options)


def ids(vocabulary: Vocabulary, values: Any) -> list[int]:
    return vocabulary.local_ids(plain(values if isinstance(values, pa.Array) else pa.array(values))).tolist()


def test_the_most_frequent_value_comes_first_and_ties_go_by_value() -> None:
    vocabulary = fit(["b", "c", "a", "c", "b", "a", "d", "d", "d"])
    assert vocabulary.values.to_pylist() == ["d", "a", "b", "c"]
    assert ids(vocabulary, ["d", "a", "c"]) == [2, 3, 5]


def test_an_unseen_category_becomes_the_unknown_id_and_null_the_missing_id() -> None:
    assert ids(fit(["a", "a"]), ["a", "new", None]) == [2, 1, 0]


def test_a_rare_value_is_trained_as_unknown() -> None:
    vocabulary = fit(["a", "a", "once"], minimum_count=2)
    assert vocabulary.cardinality == 3
    assert ids(vocabulary, ["a", "once"]) == [2, 1]


def test_the_empty_text_is_a_value_and_not_missing() -> None:
    vocabulary = fit(["", "", None, None])
    assert ids(vocabulary, ["", None]) == [2, 0]
    assert [vocabulary.text(i) for i in range(3)] == ["<missing>", "<unknown>", "<empty>"]
    assert [vocabulary.local_id(text) for text in ("<empty>", "", None, "<missing>")] == [2, 0, 0, 0]


def test_a_field_may_have_only_the_reserved_ids() -> None:
    vocabulary = fit(["a", "b"], minimum_count=2)
    assert vocabulary.cardinality == 2
    assert ids(vocabulary, ["a", None]) == [1, 0]
    assert fit(pa.array([None, None], pa.null())).cardinality == 2


@pytest.mark.parametrize(
    ("values", "kind", "shown"),
    [
        ([7, 7], ValueType.INTEGER, "7"),
        (["007", "007"], ValueType.TEXT, "007"),
        ([True, True], ValueType.BOOLEAN, "true"),
        ([2.0, 2.0], ValueType.NUMBER, "2"),
        ([2.5, 2.5], ValueType.NUMBER, "2.5"),
        ([dt.date(2026, 1, 2)] * 2, ValueType.TEXT, "2026-01-02"),
        (["Größe 'x' \"y\"", "Größe 'x' \"y\""], ValueType.TEXT, "Größe 'x' \"y\""),
        (pa.array([2**64 - 1] * 2, pa.uint64()), ValueType.TEXT, "18446744073709551615"),
    ],
)
def test_values_keep_their_type_and_read_back(values: Any, kind: ValueType, shown: str) -> None:
    vocabulary = fit(values)
    assert vocabulary.type is kind
    assert vocabulary.text(2) == shown
    assert vocabulary.local_id(shown) == 2
    assert ids(vocabulary, values) == [2, 2]


@pytest.mark.parametrize(
    ("learned", "met"),
    [
        ([7, 7], ["7"]),
        ([7, 7], [7.0]),
        (["7", "7"], [7]),
        ([True, True], [1]),
        ([True, True], ["true"]),
        ([1, 1], [True]),
        (["x", "x"], pa.array(["x"], pa.large_string())),
        (["x", "x"], pa.array(["x"]).dictionary_encode()),
        ([2.5, 2.5], ["2.5"]),
        ([3, 3], pa.array([3], pa.int8())),
    ],
)
def test_a_value_is_known_again_though_its_type_changed(learned: Any, met: Any) -> None:
    assert ids(fit(learned), met) == [2]


def test_a_column_that_turned_all_null_is_all_missing() -> None:
    assert ids(fit([1, 1]), pa.array([None, None], pa.null())) == [0, 0]


def test_numbers_that_are_not_finite_are_missing() -> None:
    values = [1.0, 1.0, float("nan"), float("nan"), float("inf"), float("inf")]
    vocabulary = fit(values)
    assert vocabulary.cardinality == 3
    assert ids(vocabulary, values) == [2, 2, 0, 0, 0, 0]


def test_text_no_value_reads_like_is_unknown() -> None:
    assert fit([1, 1]).local_id("one") == 1
    assert fit([True, True]).local_id("maybe") == 1
    assert fit([1.5, 1.5]).local_id("nan") == 1
    assert fit([1, 1]).local_id(str(2**70)) == 1


def test_an_id_beyond_the_vocabulary_is_an_error() -> None:
    with pytest.raises(IndexError):
        fit(["a", "a"]).text(3)


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.list_(pa.int64())])
def test_values_that_are_no_categories_are_refused(kind: pa.DataType) -> None:
    with pytest.raises(DataError, match="cannot be categories"):
        check_categorical(plain(pa.array([], kind)), "photo")


@pytest.mark.parametrize(("text", "truth"), [("Yes", True), (" n ", False), ("1", True), ("2", None), ("", None)])
def test_words_for_yes_and_no(text: str, truth: bool | None) -> None:
    assert truth_of(text) is truth


VALUES = st.one_of(
    st.lists(st.text(), min_size=1),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1),
    st.lists(st.booleans(), min_size=1),
)


@given(VALUES)
@settings(max_examples=30, deadline=None)
def test_a_vocabulary_survives_json_and_decodes_what_it_encodes(values: list[Any]) -> None:
    vocabulary = fit(values, minimum_count=1)
    again = Vocabulary.from_plain(json.loads(json.dumps(vocabulary.to_plain(), ensure_ascii=False)))
    assert again.values.equals(vocabulary.values)
    found = ids(again, values)
    assert min(found) >= 2
    decoded = [again.values[i - 2].as_py() for i in found]
    assert decoded == values
