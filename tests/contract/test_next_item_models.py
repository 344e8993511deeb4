"""Every built-in next-item model keeps the contract that strangers' models have to keep."""

from __future__ import annotations

from typing import Any

from crosslens import ModelSpec, Task
from crosslens.testing import NextItemContract
from plugins import builtin_plugins

_SPECS: dict[str, ModelSpec] = {
    spec.id: spec
    for _, module in builtin_plugins()
    for spec in getattr(module, "crosslens_register_models", tuple)()
    if spec.task is Task.NEXT_ITEM
}
_SMALL: dict[str, Any] = {
    "width": 16,
    "layers": 1,
    "dropout": 0.1,
    "batch_size": 64,
    "epochs": 6,
    "learning_rate": 0.01,
}


class TestPopularity(NextItemContract):
    spec = _SPECS["popularity"]
    uses_order = False


class TestItemKnn(NextItemContract):
    spec = _SPECS["item-knn"]


class TestSasRec(NextItemContract):
    spec = _SPECS["sasrec-ce"]
    parameters = _SMALL


class TestSraCl(NextItemContract):
    spec = _SPECS["sra-cl"]
    parameters = _SMALL


def test_no_built_in_model_is_left_out() -> None:
    assert {contract.spec.id for contract in (TestPopularity, TestItemKnn, TestSasRec, TestSraCl)} == set(_SPECS)
