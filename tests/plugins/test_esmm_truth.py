"""What ESMM gains from a shared embedding and loses where clicks convert often, on rows with a known truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.funnel import paired, soft_auc
from crosslens import FitContext
from crosslens.data import Float64Array
from crosslens.testing import make_dataset, training_data
from plugins import esmm
from plugins.esmm import EsmmParameters
from plugins.esmm.losses import EsmmLoss

SMALL = {"layers": (16,), "embedding": 6, "l2": 30.0, "batch_size": 512, "epochs": 12}
ITEMS, ROWS = 400, 16_000


def shop(taste: float, seed: int) -> tuple[object, Float64Array]:
    """Items with few clicks each; `taste` is the correlation of what is clicked and what converts."""
    random = np.random.default_rng(seed)
    clicks, sales = random.standard_normal((2, ITEMS))
    sales = taste * clicks + np.sqrt(1 - taste**2) * sales
    item = random.integers(0, ITEMS, ROWS)
    chance = 1 / (1 + np.exp(1.5 - sales[item]))
    clicked = random.random(ROWS) < 1 / (1 + np.exp(2.2 - clicks[item]))
    converted = clicked & (random.random(ROWS) < chance)
    rows = make_dataset({"item": (item + 2, ITEMS + 2)}, {}, clicked)
    labels = {"click": clicked.astype(np.float32), "conversion": converted.astype(np.float32)}
    return training_data(rows.with_labels(labels)), chance


def test_where_taste_is_shared_and_clicks_are_few_esmm_ranks_conversions_better_than_clicked_rows_alone() -> None:
    found: dict[str, list[float]] = {"esmm": [], "clicked-only": []}
    for seed in range(3):
        data, chance = shop(0.9, seed)
        for variant, areas in found.items():
            model = esmm.build(EsmmParameters(variant=variant, **SMALL)).fit(data, FitContext(seed=seed))
            scores = model.predict(data.validation).probability("conversion")
            areas.append(soft_auc(scores, chance[-len(scores) :]))
    gain, low, _ = paired(found["esmm"], found["clicked-only"])
    assert gain > 0.03
    assert low > 0


@pytest.mark.parametrize("c, r", [(0.04, 0.05), (0.1, 0.45), (0.5, 0.5), (0.01, 0.9)])
def test_with_pctr_known_esmm_keeps_the_share_of_information_that_the_formula_says(c: float, r: float) -> None:
    """Fisher information about b: of y z beside that of z among clicked rows, (1 - r) / (1 - c r)."""
    a = torch.logit(torch.tensor(c, dtype=torch.float64))
    chances = {(0.0, 0.0): 1 - c, (1.0, 0.0): c * (1 - r), (1.0, 1.0): c * r}

    def information(variant: str) -> float:
        loss = EsmmLoss.of(EsmmParameters(variant=variant))

        def expected(b: torch.Tensor) -> torch.Tensor:
            logits = torch.stack((a, b)).unsqueeze(0)
            parts = [
                chance * loss.rows(logits, *torch.tensor([[y], [z]]).double(), shift=0.0).sum()
                for (y, z), chance in chances.items()
            ]
            return torch.stack(parts).sum()

        b = torch.logit(torch.tensor(r, dtype=torch.float64))
        return float(torch.autograd.functional.hessian(expected, b))

    assert information("esmm") / information("clicked-only") == pytest.approx((1 - r) / (1 - c * r), rel=1e-6)


def test_the_soft_area_is_the_usual_one_where_the_truth_is_certain() -> None:
    scores, labels = np.array([0.1, 0.4, 0.35, 0.8, 0.4]), np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    assert soft_auc(scores, labels) == pytest.approx((1 + 2 + 1.5) / 6)
    assert soft_auc(np.zeros(5), labels) == pytest.approx(0.5)


def test_a_single_pair_of_runs_decides_nothing() -> None:
    assert paired([0.7], [0.6]) == (pytest.approx(0.1), float("-inf"), float("inf"))
    mean, low, high = paired([0.7, 0.72, 0.71], [0.6, 0.63, 0.6])
    assert low < mean < high
    assert low > 0
