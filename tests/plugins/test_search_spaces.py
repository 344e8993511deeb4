"""What a search over parameters may try: declared by every model but the plainest, around its defaults."""

from __future__ import annotations

import math

import pytest

from core.plugin_host import load_plugins
from core.tuning import Range, search_space
from crosslens import ModelSpec
from crosslens.parameters import describe_parameters, parameters_from_plain
from plugins import builtin_plugins

MODELS = load_plugins(builtin_plugins()).models()
SEARCHED = [spec for spec in MODELS if any(info.search for info in describe_parameters(spec.parameters))]


def holds(space: Range, value: object) -> bool:
    if space.choices:
        return value in space.choices
    assert isinstance(value, (int, float))
    return space.low <= value <= space.high


def test_every_model_but_the_plainest_can_be_searched() -> None:
    assert {spec.id for spec in MODELS} - {spec.id for spec in SEARCHED} <= {"logistic", "popularity"}
    assert {"arm-net", "arm-net-plus", "autoint", "autoint-plus", "esmm", "lightgbm"} <= {spec.id for spec in SEARCHED}


@pytest.mark.parametrize("spec", SEARCHED, ids=lambda spec: spec.id)
def test_a_search_space_holds_the_models_defaults(spec: ModelSpec) -> None:
    defaults = spec.parameters()
    outside = [each.name for each in search_space(spec.parameters) if not holds(each, getattr(defaults, each.name))]
    assert outside == []


@pytest.mark.parametrize("spec", SEARCHED, ids=lambda spec: spec.id)
def test_a_search_space_is_neither_empty_nor_too_wide_to_search(spec: ModelSpec) -> None:
    space = search_space(spec.parameters)
    assert 1 <= len(space) <= 12
    for each in space:
        assert len(set(each.choices)) > 1 or each.low < each.high
        assert math.isfinite(each.low + each.high)


@pytest.mark.parametrize("spec", SEARCHED, ids=lambda spec: spec.id)
def test_both_ends_of_every_range_are_values_the_model_takes(spec: ModelSpec) -> None:
    for each in search_space(spec.parameters):
        ends = (each.choices[0], each.choices[-1]) if each.choices else (each.low, each.high)
        for end in ends:
            plain = list(end) if isinstance(end, tuple) else end
            spec.build(parameters_from_plain(spec.parameters, {each.name: plain}))
