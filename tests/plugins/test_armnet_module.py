from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from crosslens import EncodedField, EncodedSchema, FieldKind
from plugins.armnet import ArmNetParameters, ArmNetPlusParameters, gate
from plugins.armnet.gate import exponents, products
from plugins.armnet.module import ArmNet
from plugins.entmax import entmax

SCHEMA = EncodedSchema(
    (
        EncodedField("a", FieldKind.CATEGORICAL, 5),
        EncodedField("b", FieldKind.CATEGORICAL, 4),
        EncodedField("x", FieldKind.NUMERICAL),
    ),
    ("click",),
)
SMALL = {"heads": 2, "neurons": 3, "embedding": 4, "layers": (5,), "initial_spread": 0.5}


@pytest.fixture
def rows() -> tuple[Tensor, Tensor]:
    ids = torch.tensor([[2, 6], [3, 8], [4, 7], [0, 5]], dtype=torch.int32)
    return ids, torch.tensor([[0.5], [-1.0], [math.nan], [0.0]])


def build(parameters: ArmNetParameters) -> ArmNet:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return ArmNet(SCHEMA, parameters)


def embedding_by_hand(module: ArmNet, ids: Tensor, values: Tensor, row: int) -> list[Tensor]:
    table = module.embedding
    value = values[row, 0]
    number = table.missing[0] if value.isnan() else value * table.vector[0] + table.bias[0]
    return [table.table[ids[row, 0]], table.table[ids[row, 1]], number]


def neurons_by_hand(module: ArmNet, embedded: list[Tensor], alpha: float) -> Tensor:
    """The paper's equations, neuron by neuron and field by field: y (K*O, E)."""
    arm, products = module.arm, []
    heads, neurons, width = arm.query.shape
    for k in range(heads):
        for o in range(neurons):
            aligned = [arm.query[k, o] @ arm.bilinear[k] @ e / math.sqrt(width) for e in embedded]
            gates = entmax(torch.stack(aligned), alpha)
            v = arm.values[:, k * neurons + o]
            products.append(torch.exp(sum(gates[f] * v[f] * e for f, e in enumerate(embedded))))
    return torch.stack(products)


@pytest.mark.parametrize("alpha", [1.0, 1.5, 1.7, 2.0])
def test_neurons_follow_the_equations_of_the_paper(rows: tuple[Tensor, Tensor], alpha: float) -> None:
    module = build(ArmNetParameters(**SMALL, alpha=alpha))
    sums = module.arm.exponents(module.embedding(*rows))
    for row in range(4):
        expected = neurons_by_hand(module, embedding_by_hand(module, *rows, row), alpha)
        torch.testing.assert_close(sums[row].exp().T, expected)


def test_the_head_normalises_each_neuron_over_rows_and_embedding(rows: tuple[Tensor, Tensor]) -> None:
    module = build(ArmNetParameters(**SMALL, dropout=0.0))
    y = module.arm.exponents(module.embedding(*rows)).exp()  # (B, E, N)
    mean, variance = y.mean((0, 1)), y.var((0, 1), unbiased=False)
    normal = (y - mean) / (variance + 1e-5).sqrt()
    expected = module.arm.mlp(normal.flatten(1)).squeeze(1)
    torch.testing.assert_close(module(*rows)[:, 0], expected)


def test_arm_net_plus_adds_both_branches_with_learned_weights(rows: tuple[Tensor, Tensor]) -> None:
    module = build(ArmNetPlusParameters(**SMALL, deep_embedding=3, deep_layers=(4,))).eval()
    deep = module.deep
    assert deep is not None
    assert deep.mix.tolist() == [0.5, 0.5]
    assert deep.bias.item() == 0
    with torch.no_grad():
        deep.mix.copy_(torch.tensor([0.3, 0.9]))
        deep.bias.fill_(0.2)
    expected = (
        0.3 * module.arm.head(module.arm.exponents(module.embedding(*rows)))
        + 0.9 * deep.head(deep.embedding(*rows))
        + 0.2
    )
    torch.testing.assert_close(module(*rows)[:, 0], expected)
    assert deep.embedding.table.data_ptr() != module.embedding.table.data_ptr()


def test_the_untrained_logit_starts_at_the_rate_of_the_label() -> None:
    module = ArmNet(SCHEMA, ArmNetParameters(**SMALL), rate=0.1)
    assert module.arm.mlp[-1].bias.item() == pytest.approx(math.log(0.1 / 0.9))


@pytest.mark.parametrize("alpha", [1.0, 1.7, 2.0])
def test_the_gradient_of_the_fused_sums_is_that_of_the_plain_equations(alpha: float) -> None:
    random = torch.Generator().manual_seed(5)
    inputs = [torch.randn(shape, generator=random, dtype=torch.float64) for shape in ((7, 3, 4), (4, 6), (3, 6))]
    for tensor in inputs:
        tensor.requires_grad_()

    def plain(e: Tensor, m: Tensor, v: Tensor) -> Tensor:
        return e.transpose(1, 2) @ (entmax(e @ m, alpha, 1) * v)

    weights = torch.randn(7, 4, 6, generator=random, dtype=torch.float64)
    fused = torch.autograd.grad((exponents(*inputs, alpha) * weights).sum(), inputs)
    expected = torch.autograd.grad((plain(*inputs) * weights).sum(), inputs)
    for one, other in zip(fused, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("alpha", [1.0, 1.7, 2.0])
def test_powers_taken_block_by_block_are_those_of_the_sums(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_BLOCK", 40)
    random = torch.Generator().manual_seed(6)
    inputs = [torch.randn(shape, generator=random, dtype=torch.float64) for shape in ((11, 3, 4), (4, 6), (3, 6))]
    for tensor in inputs:
        tensor.requires_grad_()
    weights = torch.randn(11, 4, 6, generator=random, dtype=torch.float64)
    y, expected = products(*inputs, alpha), exponents(*inputs, alpha).exp()
    torch.testing.assert_close(y, expected)
    ours, theirs = (torch.autograd.grad((each * weights).sum(), inputs) for each in (y, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    with torch.no_grad():
        torch.testing.assert_close(products(*inputs, alpha), y)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(5)
    e, m, v = (torch.randn(shape, generator=random) for shape in ((11, 3, 4), (4, 6), (3, 6)))
    whole = exponents(e, m, v, 1.7)
    monkeypatch.setattr(gate, "_BLOCK", 40)
    torch.testing.assert_close(exponents(e, m, v, 1.7), whole)


def test_one_row_keeps_its_batch_axis_and_trains(rows: tuple[Tensor, Tensor]) -> None:
    module = build(ArmNetParameters(**SMALL))
    logits = module(rows[0][:1], rows[1][:1])
    assert logits.shape == (1, 1)
    logits.sum().backward()
    assert all(np.isfinite(p.grad.numpy()).all() for p in module.parameters() if p.grad is not None)


def test_the_callers_values_are_neither_changed_nor_clamped(rows: tuple[Tensor, Tensor]) -> None:
    module = build(ArmNetParameters(**SMALL)).eval()
    ids, values = rows[0], torch.tensor([[-3.0], [0.0], [5.0], [math.nan]])
    kept = values.clone()
    same_ids = ids[:1].expand(4, -1).contiguous()
    assert module(same_ids, values).unique().numel() == 4
    torch.testing.assert_close(values, kept, equal_nan=True)


def test_large_tables_are_updated_row_by_row(monkeypatch: pytest.MonkeyPatch, rows: tuple[Tensor, Tensor]) -> None:
    monkeypatch.setattr("plugins.neural.embedding.SPARSE_TABLE", 10)
    module = build(ArmNetParameters(**SMALL))
    module(*rows).sum().backward()
    gradient = module.embedding.table.grad
    assert gradient is not None
    assert gradient.is_sparse
