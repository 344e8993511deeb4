"""What ESMM gains from a shared embedding and loses where clicks convert often, on rows with a known truth."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.funnel import PRESETS, ROWS, Claim, Verdict, differences, paired, soft_auc, table, verdict
from crosslens import FitContext, TrainingData
from crosslens.data import Float64Array
from crosslens.testing import make_dataset, training_data
from plugins import esmm
from plugins.esmm import EsmmParameters
from plugins.esmm.losses import EsmmLoss

SMALL = EsmmParameters(layers=(16,), embedding=6, l2=30.0, batch_size=512, learning_rate=0.02, epochs=8)
SEEDS = range(5)


@dataclass(frozen=True, slots=True)
class Shop:
    """Items alone decide: what is clicked and what converts have a correlation of `taste`; `click` and `sale`: logits.

    With few clicks per item a conversion is learned from what the item's clicks say; with many from its own record.
    """

    rows: int
    items: int
    taste: float
    click: float
    sale: float

    def drawn(self, seed: int) -> tuple[TrainingData, Float64Array]:
        """Return rows, the last of them for validation, and the true conversion probability of every row."""
        random = np.random.default_rng(seed)
        clicks, sales = random.standard_normal((2, self.items))
        sales = self.taste * clicks + np.sqrt(1 - self.taste**2) * sales
        item = random.integers(0, self.items, self.rows)
        chance = 1 / (1 + np.exp(-self.sale - sales[item]))
        clicked = random.random(self.rows) < 1 / (1 + np.exp(-self.click - clicks[item]))
        converted = clicked & (random.random(self.rows) < chance)
        rows = make_dataset({"item": (item + 2, self.items + 2)}, {}, clicked)
        labels = {"click": clicked.astype(np.float32), "conversion": converted.astype(np.float32)}
        return training_data(rows.with_labels(labels)), chance


WIN = Shop(rows=10_000, items=250, taste=0.9, click=-2.2, sale=-1.5)
NULL = Shop(rows=30_000, items=12, taste=0.0, click=-0.5, sale=-1.5)
HIGH_CVR = Shop(rows=12_000, items=150, taste=0.5, click=-2.2, sale=-0.2)


def areas(shop: Shop, **changes: object) -> list[float]:
    """Return AUC* on validation rows of a model of each of five shops."""
    found = []
    for seed in SEEDS:
        data, chance = shop.drawn(seed)
        model = esmm.build(replace(SMALL, **changes)).fit(data, FitContext(seed=seed))
        scores = model.predict(data.validation).probability("conversion")
        found.append(soft_auc(scores, chance[-len(scores) :]))
    return found


def test_where_taste_is_shared_and_clicks_are_few_esmm_ranks_conversions_better_than_clicked_rows_alone() -> None:
    gain, low, _ = paired(areas(WIN), areas(WIN, variant="clicked-only"))
    assert gain > 0.03
    assert low > 0


def test_where_taste_is_not_shared_and_clicks_are_many_there_is_no_difference() -> None:
    ours = areas(NULL, batch_size=2048)
    _, low, high = paired(ours, areas(NULL, variant="clicked-only", batch_size=2048))
    assert min(ours) > 0.6
    assert -0.01 < low < high < 0.01


def test_where_clicks_convert_often_lambda_wins_back_what_esmm_loses() -> None:
    paper, with_lambda, clicked = (
        areas(HIGH_CVR),
        areas(HIGH_CVR, lambda_cvr=1.0),
        areas(HIGH_CVR, variant="shared+clicked"),
    )
    assert paired(with_lambda, paper)[1] > 0
    assert paired(clicked, paper)[1] > 0
    assert np.mean(clicked) - np.mean(with_lambda) < 0.01


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


@pytest.mark.parametrize(
    ("claim", "low", "high", "said"),
    [
        (Claim.MORE, 0.01, 0.2, Verdict.HOLDS),
        (Claim.MORE, -0.01, 0.2, Verdict.UNTOLD),
        (Claim.MORE, -0.3, -0.1, Verdict.FAILS),
        (Claim.SAME, -0.009, 0.009, Verdict.HOLDS),
        (Claim.SAME, -0.005, 0.02, Verdict.UNTOLD),
        (Claim.SAME, -0.057, 0.031, Verdict.UNTOLD),
        (Claim.SAME, -0.03, -0.011, Verdict.FAILS),
        (Claim.SAME, 0.011, 0.03, Verdict.FAILS),
        (Claim.SAME, float("-inf"), float("inf"), Verdict.UNTOLD),
        (Claim.OPEN, 0.01, 0.2, None),
    ],
)
def test_a_claim_holds_only_where_its_whole_interval_says_so(
    claim: Claim, low: float, high: float, said: Verdict | None
) -> None:
    assert verdict(claim, low, high) is said


def test_differences_are_those_of_the_presets_that_were_trained() -> None:
    areas = {"clicked-only": (0.71, 0.72, 0.73), "esmm-ns": (0.69, 0.71, 0.70), "esmm": (0.712, 0.721, 0.73)}
    figures = {"p2": {name: [{"auc": area} for area in runs] for name, runs in areas.items()}}
    first, second = differences(figures)
    assert (first["preset"], first["first"], first["second"]) == ("p2", "esmm", "clicked-only")
    assert first["auc"] == pytest.approx(0.001)
    assert (first["verdict"], second["verdict"]) == (Verdict.HOLDS, Verdict.UNTOLD)


def test_the_figures_that_are_shown_are_of_five_shops_and_their_verdicts_follow_from_them() -> None:
    kept = json.loads((Path(__file__).parents[2] / "benchmarks/results/funnel.json").read_text(encoding="utf-8"))
    assert {preset: tuple(runs) for preset, runs in kept["figures"].items()} == PRESETS
    assert {len(runs) for models in kept["figures"].values() for runs in models.values()} == {kept["seeds"]} == {5}
    assert kept["differences"] == json.loads(json.dumps(differences(kept["figures"])))
    assert all(f"{preset} {rows:,}" in table(kept) for preset, rows in kept["rows"].items())
    assert kept["rows"] == ROWS
