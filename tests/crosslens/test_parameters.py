"""Parameters: what a form needs, ranges, and the way to JSON and back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosslens import ParameterError, describe_parameters, parameter, parameters_from_plain, parameters_to_plain


@dataclass(frozen=True, slots=True)
class Parameters:
    rate: float = parameter(0.1, label="Rate", help="How far.", minimum=0.0, maximum=1.0, logarithmic=True)
    trees: int = parameter(10, label="Trees", minimum=1, maximum=1000)
    mode: str = parameter("fast", label="Mode", choices=("fast", "exact"))
    widths: tuple[int, ...] = parameter((8, 4), label="Widths", minimum=1, maximum=64)
    plain: bool = parameter(False, label="Plain", advanced=True)


def test_a_form_gets_every_field_in_order_with_its_facts() -> None:
    infos = describe_parameters(Parameters)
    assert [info.name for info in infos] == ["rate", "trees", "mode", "widths", "plain"]
    assert [info.type for info in infos] == [float, int, str, tuple, bool]
    assert (infos[0].label, infos[0].help, infos[0].logarithmic, infos[4].advanced) == ("Rate", "How far.", True, True)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("rate", 1.5, "at most 1"),
        ("rate", -0.1, "at least 0"),
        ("rate", float("nan"), "must be a number"),
        ("rate", True, "must be a number"),
        ("rate", "0.5", "must be a number"),
        ("trees", 2.5, "must be a whole number"),
        ("trees", 0, "at least 1"),
        ("mode", "slow", "one of fast, exact"),
        ("widths", [8, 0], "at least 1"),
        ("widths", "88", "list of whole numbers"),
        ("widths", 8, "list of whole numbers"),
        ("plain", 1, "true or false"),
    ],
)
def test_a_wrong_value_is_refused_in_a_sentence(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence) as caught:
        parameters_from_plain(Parameters, {name: value})
    assert caught.value.facts["parameter"] == name


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ParameterError, match="rate, trees, mode, widths, plain"):
        parameters_from_plain(Parameters, {"depth": 3})


def test_a_whole_float_becomes_an_int_and_an_int_a_float() -> None:
    made = parameters_from_plain(Parameters, {"trees": 20.0, "rate": 1})
    assert (type(made.trees), type(made.rate)) == (int, float)


@settings(max_examples=30)
@given(
    st.floats(0, 1),
    st.integers(1, 1000),
    st.sampled_from(["fast", "exact"]),
    st.lists(st.integers(1, 64), max_size=4),
    st.booleans(),
)
def test_parameters_survive_json(rate: float, trees: int, mode: str, widths: list[int], plain: bool) -> None:
    made = Parameters(rate, trees, mode, tuple(widths), plain)
    assert parameters_from_plain(Parameters, json.loads(json.dumps(parameters_to_plain(made)))) == made


def test_a_type_no_form_can_show_is_a_mistake_of_the_author() -> None:
    @dataclass(frozen=True)
    class Odd:
        where: dict[str, int] = field(default_factory=dict)

    with pytest.raises(TypeError, match="where"):
        describe_parameters(Odd)
