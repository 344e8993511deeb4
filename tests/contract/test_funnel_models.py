"""Every built-in model of a funnel keeps the contract that strangers' funnel models have to keep."""

from __future__ import annotations

from crosslens import ModelSpec, Task
from crosslens.testing import FunnelContract
from plugins import builtin_plugins

_SPECS: dict[str, ModelSpec] = {
    spec.id: spec
    for _, module in builtin_plugins()
    for spec in getattr(module, "crosslens_register_models", tuple)()
    if spec.task is Task.FUNNEL
}


class TestEsmm(FunnelContract):
    spec = _SPECS["esmm"]


class TestLightGBMFunnel(FunnelContract):
    spec = _SPECS["lightgbm-funnel"]


def test_no_built_in_funnel_model_is_left_out() -> None:
    tested = {contract.spec.id for contract in (TestEsmm, TestLightGBMFunnel)}
    assert tested == set(_SPECS)
