"""Labels and weights read from columns of any type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.columns import plain
from core.labels import label_rule, read_labels, read_weights
from crosslens import DataError

from .snapshots import fields, snapshot

NAN = float("nan")
FIELD = fields(bought="conversion").field("bought")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False], [1, 0]),
        ([0, 1, 1], [0, 1, 1]),
        ([0.0, 1.0], [0, 1]),
        (["yes", "no"], [1, 0]),
        (["N", "Y"], [0, 1]),
        (["False", "True"], [0, 1]),
        (["1", "0"], [1, 0]),
        (["sold", "returned", "returned"], [1, 0, 0]),
        (["yes", "cancelled", "yes"], [1, 0, 1]),
        (["no", "bought", "bought"], [0, 1, 1]),
        ([5, 9, 9], [1, 0, 0]),
    ],
)
def test_labels_of_any_notation_become_one_and_zero(values: list[Any], expected: list[float]) -> None:
    table, columns = snapshot(bought=values)
    np.testing.assert_array_equal(read_labels(table, columns, fields(bought="conversion"))["conversion"], expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 0, None], "missing in 1 of 3 rows"),
        ([1.0, NAN, NAN], "missing in 2 of 3 rows"),
        ([1, 1], "is 1 in every row"),
        ([0, 0], "is 0 in every row"),
        ([True, True], "is true in every row"),
        ([], "is nothing in every row"),
        (["a", "b", "c", "c"], r"3 different values: 'c', 'a', 'b'\."),
        (list(range(9)), "9 different values: .* and 4 more"),
    ],
)
def test_what_cannot_be_a_label_is_said_in_a_sentence(values: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        label_rule(plain(pa.array(values)), FIELD)
    assert caught.value.do


def test_a_guessed_positive_value_is_told() -> None:
    assert "'sold' counts as conversion" in label_rule(plain(pa.array(["sold", "kept", "kept"])), FIELD).note
    assert label_rule(plain(pa.array(["no", "yes", "yes"])), FIELD).note == ""


def test_a_rule_reads_other_notations_of_its_values_and_refuses_new_ones() -> None:
    rule = label_rule(plain(pa.array([0, 1])), FIELD)
    assert rule.read(plain(pa.array([True, False, True]))).tolist() == [1, 0, 1]
    assert rule.read(plain(pa.array(["yes"]))).tolist() == [1]
    with pytest.raises(DataError, match="holds 'perhaps', beside 1 and 0"):
        rule.read(plain(pa.array(["1", "perhaps"])))


def test_clicks_come_before_conversions() -> None:
    table, columns = snapshot(order=[0, 1], click=[1, 0])
    labels = read_labels(table, columns, fields(order="conversion", click="click"))
    assert list(labels) == ["click", "conversion"]
    assert labels["click"].dtype == np.float32


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (fields(a="feature"), "No field is the label"),
        (fields(a="click", b="click"), "2 fields have the role click: a, b"),
    ],
)
def test_a_task_has_one_label_of_each_role(schema: Any, message: str) -> None:
    table, columns = snapshot(a=[0, 1], b=[0, 1])
    with pytest.raises(DataError, match=message):
        read_labels(table, columns, schema)


@pytest.mark.parametrize("values", [[1.0, None], [1.0, -0.5], [1.0, float("inf")], ["1", "heavy"], [0, 0]])
def test_a_weight_that_weighs_nothing_or_less_is_refused(values: list[Any]) -> None:
    with pytest.raises(DataError, match="The weight w is"):
        read_weights(plain(pa.array(values)), "w")


def test_weights_are_read_as_they_are() -> None:
    assert read_weights(plain(pa.array([0, 2, 3])), "w").tolist() == [0, 2, 3]
