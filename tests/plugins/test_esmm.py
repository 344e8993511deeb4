"""ESMM by its equations: the identity and its gradients far out, what it can know, and what each variant learns."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from crosslens import DataError, EncodedDataset, ExplainContext, ExplanationKind, FitContext, FitProgress, TrainingData
from crosslens.testing import frozen, main_effects, main_effects_funnel, make_dataset, training_data, with_conversions
from crosslens.testing.checkpoints import FolderCheckpoints
from plugins import esmm
from plugins.esmm import EsmmParameters, Variant
from plugins.esmm.losses import EsmmLoss, ctcvr_logit
from plugins.esmm.module import Esmm
from plugins.funnel import Rates, product_logit, product_slopes
from plugins.neural.batches import Batch

QUICK = EsmmParameters(epochs=4, layers=(16,))
far = st.floats(-60, 60)


def fit(data: TrainingData, parameters: EsmmParameters = QUICK, **context: object):
    return esmm.build(parameters).fit(data, FitContext(seed=1, **context))


def exact_logit(a: float, b: float) -> float:
    """log p - log(1 - p) of p = s(a) s(b), from log1p alone; 1/p - 1 = u + v + uv with u = e^-a, v = e^-b."""
    u, v = math.exp(-a), math.exp(-b)
    return -math.log(u + v + u * v)


# ---- the identity


@given(far, far)
def test_the_logit_of_the_product_is_exact_from_minus_60_to_60(a: float, b: float) -> None:
    expected = exact_logit(a, b)
    assert float(ctcvr_logit(torch.tensor(a), torch.tensor(b))) == pytest.approx(expected, rel=2e-6, abs=2e-6)
    assert product_logit(np.array(a), np.array(b)) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(far, far)
def test_its_slopes_are_those_of_the_formula_and_of_autograd(a: float, b: float) -> None:
    u, v = math.exp(-a), math.exp(-b)
    expected = (u * (1 + v) / (u + v + u * v), v * (1 + u) / (u + v + u * v))
    inputs = torch.tensor([a, b], dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(ctcvr_logit(*inputs), inputs)
    assert slopes.tolist() == pytest.approx(expected, rel=1e-9)
    assert [float(each) for each in product_slopes(np.array(a), np.array(b))] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("a, b", [(-60.0, -60.0), (60.0, -60.0), (-60.0, 60.0), (60.0, 60.0)])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_no_gradient_of_a_confident_mistake_is_lost(a: float, b: float, label: float) -> None:
    logits = torch.tensor([[a, b]], requires_grad=True)
    loss = EsmmLoss.of(EsmmParameters()).rows(logits, torch.ones(1), torch.full((1,), label), shift=0.0)
    (slopes,) = torch.autograd.grad(loss.sum(), logits)
    u, v = math.exp(-a), math.exp(-b)
    p = 1 / ((1 + u) * (1 + v))
    of_b = (p - label) * v * (1 + u) / (u + v + u * v)
    assert bool(torch.isfinite(loss).all())
    assert float(slopes[0, 1]) == pytest.approx(of_b, rel=1e-4, abs=1e-7)


# ---- what is learned from


def rows_of(y: list[float], z: list[float]) -> tuple[Tensor, Tensor]:
    return torch.tensor(y, dtype=torch.float64), torch.tensor(z, dtype=torch.float64)


@pytest.mark.parametrize(
    "variant, terms",
    [
        (Variant.ESMM, ("click", "product")),
        (Variant.ESMM_NS, ("click", "product")),
        (Variant.CLICKED_ONLY, ("click", "clicked")),
        (Variant.SHARED_CLICKED, ("click", "clicked")),
        (Variant.ESCM2_IPS, ("click", "product", "ips")),
    ],
)
def test_every_variant_has_the_terms_its_equation_says(variant: Variant, terms: tuple[str, ...]) -> None:
    y, z = rows_of([0, 0, 1, 1], [0, 1, 0, 1])
    a, b = torch.tensor([0.3, -2.0, -1.0, 0.5]).double(), torch.tensor([1.0, 0.0, -0.5, 2.0]).double()
    p, r = torch.sigmoid(a), torch.sigmoid(b)

    def log_loss(q: Tensor, label: Tensor) -> Tensor:
        return -(label * q.log() + (1 - label) * (1 - q).log())

    parts = {
        "click": log_loss(p, y),
        "product": log_loss(p * r, y * z),
        "clicked": y * log_loss(r, z),
        "ips": y / p.clamp_min(0.3) * log_loss(r, z),
    }
    loss = EsmmLoss.of(EsmmParameters(variant=variant.value, propensity_floor=0.3))
    found = loss.rows(torch.stack((a, b), 1), y, z, shift=0.0)
    torch.testing.assert_close(found, sum(parts[name] for name in terms))
    more = EsmmLoss.of(EsmmParameters(variant=variant.value, propensity_floor=0.3, lambda_cvr=2.5))
    torch.testing.assert_close(more.rows(torch.stack((a, b), 1), y, z, shift=0.0), found + 2.5 * parts["clicked"])


def test_the_propensity_takes_no_gradient_and_knows_no_shift() -> None:
    y, z = rows_of([1], [0])
    loss = EsmmLoss.of(EsmmParameters(variant="escm2-ips", propensity_floor=1e-6), shift=1.5)
    logits = torch.tensor([[-1.0 + 1.5, 0.7]], dtype=torch.float64, requires_grad=True)
    total = loss.rows(logits, y, z, shift=loss.shift).sum()
    plain = EsmmLoss.of(EsmmParameters()).rows(logits, y, z, shift=0.0).sum()
    assert (total - plain).item() == pytest.approx((1 + math.e) * math.log1p(math.exp(0.7)))
    (slope,) = torch.autograd.grad(total - plain, logits)
    assert float(slope[0, 0]) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("variant", ["esmm", "clicked-only", "escm2-ips"])
@pytest.mark.parametrize("weight, rate", [(1.0, 1.0), (3.0, 1.0), (1.0, 0.2), (2.0, 0.25)])
def test_the_optimum_of_weighed_and_sampled_rows_is_that_of_all_rows(variant: str, weight: float, rate: float) -> None:
    """In expectation: cells of one row, each outcome with its chance, unclicked ones kept at `rate`."""
    chances = {(0.0, 0.0): 0.9, (1.0, 0.0): 0.07, (1.0, 1.0): 0.03}
    kept = {outcome: chance * (weight if outcome[0] else rate) for outcome, chance in chances.items()}
    loss = EsmmLoss.of(EsmmParameters(variant=variant), math.log(weight / rate))
    logits = torch.zeros(2, dtype=torch.float64, requires_grad=True)

    def closure() -> Tensor:
        optimizer.zero_grad()
        shifted = (logits + torch.tensor([loss.shift, 0.0])).unsqueeze(0)
        parts = [chance * loss.rows(shifted, *rows_of([y], [z]), shift=loss.shift) for (y, z), chance in kept.items()]
        total = torch.cat(parts).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-14)
    optimizer.step(closure)
    assert torch.sigmoid(logits).tolist() == pytest.approx([0.1, 0.3], abs=2e-4)


def test_a_saturated_model_says_conversions_by_clicks_in_every_cell() -> None:
    cells = [(200, 40, 10), (100, 10, 1), (400, 300, 200)]  # rows, clicks, conversions
    logits = torch.zeros(len(cells), 2, dtype=torch.float64, requires_grad=True)
    loss = EsmmLoss.of(EsmmParameters())

    def closure() -> Tensor:
        optimizer.zero_grad()
        total = torch.zeros((), dtype=torch.float64)
        for cell, (rows, clicks, bought) in zip(logits, cells, strict=True):
            for y, z, count in ((0, 0, rows - clicks), (1, 0, clicks - bought), (1, 1, bought)):
                total = total + count * loss.rows(cell.unsqueeze(0), *rows_of([y], [z]), shift=0.0).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer = torch.optim.LBFGS([logits], max_iter=300, tolerance_grad=1e-10, tolerance_change=1e-14)
    optimizer.step(closure)
    expected = [(clicks / rows, bought / clicks) for rows, clicks, bought in cells]
    np.testing.assert_allclose(torch.sigmoid(logits).detach().numpy(), expected, atol=1e-4)


def test_without_clicks_a_cell_tells_nothing_about_conversions() -> None:
    """pCVR of a cell that is never clicked moves only as far as the vanishing pCTR lets it."""
    logits = torch.tensor([[-40.0, 0.3]], dtype=torch.float64, requires_grad=True)
    loss = EsmmLoss.of(EsmmParameters()).rows(logits, *rows_of([0], [0]), shift=0.0)
    (slopes,) = torch.autograd.grad(loss.sum(), logits)
    assert abs(float(slopes[0, 1])) < 1e-15


# ---- the network


def network(variant: str, data: EncodedDataset) -> Esmm:
    torch.manual_seed(0)
    return Esmm(data.schema, EsmmParameters(variant=variant, layers=(8,)), Rates(0.2, 0.05))


@pytest.mark.parametrize("variant", list(Variant))
def test_the_towers_share_an_embedding_where_the_variant_says_so(variant: Variant) -> None:
    data = main_effects_funnel(20)
    net = network(variant.value, data)
    ids, values = torch.tensor(data.ids), torch.tensor(data.values)
    assert net(ids, values).shape == (20, 2)
    net(ids, values)[:, 1].sum().backward()
    of_clicks = net.embedding[0].table.grad
    assert (of_clicks is not None and bool(of_clicks.abs().sum() > 0)) is variant.shares_embedding


def test_the_outputs_start_at_the_rates_of_the_training_rows() -> None:
    data = main_effects_funnel(2000)
    rates = Rates.of(data)
    clicked = data.labels["click"] > 0.5
    assert rates.click == pytest.approx(data.labels["click"].mean())
    assert rates.conversion == pytest.approx(data.labels["conversion"][clicked].mean())
    biases = [tower[-1].bias.item() for tower in (network("esmm", data).ctr, network("esmm", data).cvr)]
    assert biases == pytest.approx([math.log(0.2 / 0.8), math.log(0.05 / 0.95)], rel=1e-6)


# ---- the training


def test_the_epoch_is_chosen_by_the_loss_of_the_whole_objective() -> None:
    data, seen = training_data(main_effects_funnel()), list[FitProgress]()
    model = fit(data, replace(QUICK, epochs=8, learning_rate=0.02), progress=seen.append)
    losses = {each.epoch: each.metrics["loss"] for each in seen if each.metrics}
    assert min(losses, key=losses.__getitem__) == model.facts["best_epoch"]
    predictions, rows = model.predict(data.validation), data.validation
    logits = np.stack([predictions.logit("click"), predictions.logit("conversion")], 1)
    again = EsmmLoss.of(QUICK).metrics(logits, rows)
    assert again["loss"] == pytest.approx(model.facts["validation_loss"], rel=1e-9)
    assert set(again) == {"loss", "auc", "auc_conversion", "auc_click_and_conversion"}


def test_metrics_of_an_output_rest_on_the_rows_that_tell_of_it() -> None:
    y, z = np.array([1, 1, 0, 0], np.float32), np.array([1, 0, 1, 0], np.float32)
    rows = make_dataset({"a": (np.full(4, 2), 3)}, {}, y).with_labels({"click": y, "conversion": z})
    logits = np.array([[2.0, 1.0], [1.0, -1.0], [0.0, -5.0], [-1.0, 9.0]])
    found = EsmmLoss.of(QUICK).metrics(logits, rows)
    assert (found["auc"], found["auc_conversion"], found["auc_click_and_conversion"]) == (1.0, 1.0, 1.0)


def test_an_auc_that_is_not_defined_is_left_out() -> None:
    y = np.zeros(3, np.float32)
    rows = make_dataset({"a": (np.full(3, 2), 3)}, {}, y).with_labels({"click": y, "conversion": y})
    assert set(EsmmLoss.of(QUICK).metrics(np.zeros((3, 2)), rows)) == {"loss"}


@pytest.mark.parametrize("variant", list(Variant))
@pytest.mark.parametrize("rate", [1.0, 0.3])
def test_predictions_are_calibrated_whatever_share_of_unclicked_rows_is_seen(variant: Variant, rate: float) -> None:
    data = training_data(main_effects_funnel(6000))
    model = fit(data, replace(QUICK, variant=variant.value, negative_rate=rate, epochs=12, batch_size=128))
    rows, found = data.train, model.predict(data.train)
    clicked = rows.labels["click"] > 0.5
    assert found.probability("click").mean() == pytest.approx(
        rows.labels["click"].mean(), rel=0.12
    )  # uncorrected: 0.62 / 0.33
    observed = rows.labels["conversion"][clicked].mean()
    assert found.probability("conversion")[clicked].mean() == pytest.approx(observed, rel=0.15)


def test_a_resumed_training_gives_the_numbers_of_one_never_interrupted(tmp_path: Path) -> None:
    data, parameters = training_data(main_effects_funnel(1500)), replace(QUICK, batch_size=256)
    whole = fit(data, parameters)
    checkpoints, asked = FolderCheckpoints(tmp_path), iter(range(10_000))
    fit(data, parameters, checkpoints=checkpoints, should_stop=lambda: next(asked) > 8)
    resumed = fit(data, parameters, checkpoints=checkpoints)
    for name, logits in whole.predict(data.validation).logits.items():
        np.testing.assert_array_equal(resumed.predict(data.validation).logit(name), logits)


def test_contributions_say_what_they_are_about() -> None:
    data = training_data(main_effects_funnel(1200))
    model = fit(data)
    found = model.explain(data.validation.take(slice(0, 5)), [ExplanationKind.CONTRIBUTIONS], ExplainContext())
    assert [each.task for each in found] == ["click", "conversion", "click_and_conversion"]


# ---- bad input


def strange(rows: EncodedDataset, click: float | None, conversion: float | None) -> TrainingData:
    labels = {name: np.array(array) for name, array in rows.labels.items()}
    if click is not None:
        labels["click"][:] = click
    if conversion is not None:
        labels["conversion"][:] = conversion
    return training_data(frozen(rows.with_labels(labels)))


@pytest.mark.parametrize(
    "click, conversion, sentence",
    [
        (0.0, None, "Every training row is unclicked."),
        (1.0, None, "Every training row is clicked."),
        (None, 0.0, "No clicked training row converts."),
        (None, 1.0, "Every clicked training row converts."),
    ],
)
def test_labels_without_a_difference_are_refused_in_a_sentence(
    click: float | None, conversion: float | None, sentence: str
) -> None:
    with pytest.raises(DataError) as error:
        fit(strange(main_effects_funnel(300), click, conversion))
    assert error.value.what == sentence


def test_conversions_only_where_nobody_clicked_are_named_as_such() -> None:
    rows = main_effects_funnel(300)
    stray = (np.asarray(rows.labels["click"]) < 0.5).astype(np.float32)
    data = training_data(rows.with_labels({"click": rows.labels["click"], "conversion": stray}))
    with pytest.raises(DataError, match=r"No clicked training row converts, but \d+ rows without a click do"):
        fit(data)


def test_rows_without_the_second_label_are_refused() -> None:
    with pytest.raises(DataError, match="no label conversion"):
        fit(training_data(main_effects(100)))


def test_a_loss_that_diverges_is_a_sentence() -> None:
    values = np.full(200, 3e38)
    data = make_dataset({}, {"x": values}, np.arange(200) % 2)
    with pytest.raises(DataError, match="lost its way"):
        fit(training_data(with_conversions(data)), replace(QUICK, learning_rate=1.0))


def test_a_batch_without_weights_and_one_with_equal_weights_have_the_same_loss() -> None:
    y, z = rows_of([0, 1, 1], [0, 0, 1])
    logits, nothing = torch.randn(3, 2, dtype=torch.float64), torch.zeros(3, 0)
    loss = EsmmLoss.of(QUICK)
    plain = Batch(nothing, nothing, {"click": y, "conversion": z}, None)
    weighed = Batch(nothing, nothing, {"click": y, "conversion": z}, torch.ones(3))
    torch.testing.assert_close(loss.of_batch(logits, plain), loss.of_batch(logits, weighed))
