"""Every built-in model of clicks keeps the contract that strangers' models have to keep."""

from __future__ import annotations

from crosslens import ModelSpec, Task
from crosslens.testing import ModelContract
from plugins import builtin_plugins

_SPECS: dict[str, ModelSpec] = {
    spec.id: spec
    for _, module in builtin_plugins()
    for spec in getattr(module, "crosslens_register_models", tuple)()
    if spec.task is Task.CTR
}


class TestArmNet(ModelContract):
    spec = _SPECS["arm-net"]


class TestArmNetPlus(ModelContract):
    spec = _SPECS["arm-net-plus"]


class TestAutoInt(ModelContract):
    spec = _SPECS["autoint"]


class TestAutoIntPlus(ModelContract):
    spec = _SPECS["autoint-plus"]


class TestLightGBM(ModelContract):
    spec = _SPECS["lightgbm"]


class TestLogistic(ModelContract):
    spec = _SPECS["logistic"]
    learns_interactions = False


def test_no_built_in_model_is_left_out() -> None:
    contracts = (TestArmNet, TestArmNetPlus, TestAutoInt, TestAutoIntPlus, TestLightGBM, TestLogistic)
    assert {contract.spec.id for contract in contracts} == set(_SPECS)
