"""Every built-in model keeps the contract that strangers' models have to keep."""

from __future__ import annotations

from crosslens.testing import ModelContract
from plugins import lightgbm_model, logistic


class TestLightGBM(ModelContract):
    spec = lightgbm_model.SPEC


class TestLogistic(ModelContract):
    spec = logistic.SPEC
    learns_interactions = False
