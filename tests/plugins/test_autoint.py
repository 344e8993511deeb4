from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from crosslens import (
    RESERVED_IDS,
    Contributions,
    EncodedDataset,
    EncodedField,
    EncodedSchema,
    ExplainContext,
    ExplanationKind,
    FieldImportance,
    FieldKind,
    FitContext,
    PairInteractions,
    Stopped,
    StorageError,
)
from crosslens.testing import main_effects, training_data
from crosslens.testing.rows import make_dataset
from plugins.autoint import AutoIntParameters, AutoIntPlusParameters, attention, build, load
from plugins.autoint.fitted import AutoIntModel
from plugins.autoint.module import AutoInt
from plugins.neural.scoring import auc

SCHEMA = EncodedSchema(
    (
        EncodedField("a", FieldKind.CATEGORICAL, 5),
        EncodedField("b", FieldKind.CATEGORICAL, 4),
        EncodedField("x", FieldKind.NUMERICAL),
    ),
    ("click",),
)
SMALL = AutoIntParameters(
    attention_layers=2, heads=2, head_width=3, embedding=4, dropout=0.0, initial_spread=0.5, layer_norm=False
)
SMALL_PLUS = AutoIntPlusParameters(
    attention_layers=2, heads=2, head_width=3, embedding=4, dropout=0.0, initial_spread=0.5, deep_layers=(5,)
)
QUICK = {"attention_layers": 2, "head_width": 4, "embedding": 4, "batch_size": 128, "learning_rate": 0.01}
ROWS = main_effects(200, seed=5)


@pytest.fixture
def rows() -> tuple[Tensor, Tensor]:
    ids = torch.tensor([[2, 6], [3, 8], [4, 7], [0, 5]], dtype=torch.int32)
    return ids, torch.tensor([[0.5], [-1.0], [math.nan], [0.0]])


def network(parameters: AutoIntParameters) -> AutoInt:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return AutoInt(SCHEMA, parameters)


def layer_by_hand(
    projection: Tensor, fields: list[Tensor], parameters: AutoIntParameters
) -> tuple[list[Tensor], Tensor]:
    """The paper's equations, head by head and field by field: e' per field, and a (H, F, F)."""
    heads, width = parameters.heads, parameters.head_width
    query, key, value, residual = projection.split(heads * width, 1)
    attention = torch.zeros(heads, len(fields), len(fields))
    results = []
    for f, asking in enumerate(fields):
        taken = []
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            scores = torch.stack([(asking @ query[:, part]) @ (asked @ key[:, part]) for asked in fields])
            scores = scores / math.sqrt(width) if parameters.scaled else scores
            attention[h, f] = torch.exp(scores) / torch.exp(scores).sum()
            taken.append(sum(attention[h, f, g] * (asked @ value[:, part]) for g, asked in enumerate(fields)))
        results.append(torch.relu(torch.cat(taken) + asking @ residual))
    if parameters.layer_norm:
        results = [(e - e.mean()) / (e.var(unbiased=False) + 1e-5).sqrt() for e in results]
    return results, attention


@pytest.mark.parametrize(
    "parameters", [SMALL, replace(SMALL, scaled=True), replace(SMALL, layer_norm=True), replace(SMALL, heads=1)]
)
@torch.no_grad()
def test_layers_follow_the_equations_of_the_paper(rows: tuple[Tensor, Tensor], parameters: AutoIntParameters) -> None:
    built = network(parameters)
    logits, attentions = built.attend(built.embedding(*rows))
    for row in range(4):
        fields = list(built.embedding(*rows)[row])
        for layer, found in zip(built.layers, attentions, strict=True):
            fields, attention = layer_by_hand(layer.projection, fields, parameters)
            torch.testing.assert_close(found[row], attention)
        expected = torch.cat(fields) @ built.output.weight[0] + built.output.bias[0]
        torch.testing.assert_close(logits[row, 0], expected)
    torch.testing.assert_close(built(*rows), logits)


def test_autoint_plus_adds_a_plain_network_on_the_same_embeddings(rows: tuple[Tensor, Tensor]) -> None:
    built = network(SMALL_PLUS)
    assert built.deep is not None
    embedded = built.embedding(*rows)
    whole, deep = built(*rows), built.deep(embedded.flatten(1))
    built.deep = None
    torch.testing.assert_close(whole, built(*rows) + deep)
    assert len(built.tables) == 1


@pytest.mark.parametrize("block", [3, 512])
@pytest.mark.parametrize("heads", [1, 2])
def test_fused_attention_has_the_values_and_gradients_of_the_plain_equations(
    monkeypatch: pytest.MonkeyPatch, block: int, heads: int
) -> None:
    monkeypatch.setattr(attention, "BLOCK", block)
    random = torch.Generator().manual_seed(3)
    entered = torch.randn(7, 5, 4, generator=random, dtype=torch.float64, requires_grad=True)
    projection = torch.randn(4, 4 * heads * 3, generator=random, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(7, 5, heads * 3, generator=random, dtype=torch.float64)
    plain, _ = attention.attend(entered, projection, heads)
    fused = attention.attend_fused(entered, projection, heads)
    torch.testing.assert_close(fused, plain)
    found = torch.autograd.grad((fused * weights).sum(), (entered, projection))
    expected = torch.autograd.grad((plain * weights).sum(), (entered, projection))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_one_row_and_one_field_keep_their_axes() -> None:
    alone = EncodedSchema(SCHEMA.fields[:1], ("click",))
    built = AutoInt(alone, SMALL)
    logits = built(torch.tensor([[2]]), torch.zeros(1, 0))
    assert logits.shape == (1, 1)


def three_way(count: int, seed: int) -> EncodedDataset:
    """Only the product of three fields tells the label; no pair of them says anything."""
    random = np.random.default_rng(seed)
    sides = random.integers(0, 2, (4, count))
    label = (sides[0] ^ sides[1] ^ sides[2]) ^ (random.random(count) < 0.05)
    return make_dataset({name: (sides[i] + RESERVED_IDS, 4) for i, name in enumerate("abcd")}, {}, label)


def test_three_fields_that_matter_only_together_are_learned() -> None:
    parameters = AutoIntParameters(
        attention_layers=2, batch_size=128, learning_rate=0.01, epochs=10, l2=1.0, dropout=0.0, patience=5
    )
    model = build(parameters).fit(training_data(three_way(3000, seed=0)), FitContext(seed=1))
    fresh = three_way(1000, seed=9)
    assert auc(fresh.target, model.predict(fresh).logit()) > 0.9


@pytest.fixture(scope="module", params=[AutoIntParameters, AutoIntPlusParameters])
def model(request: pytest.FixtureRequest) -> AutoIntModel:
    fitted = build(request.param(**QUICK, epochs=8)).fit(training_data(main_effects(3000)), FitContext(seed=1))
    assert isinstance(fitted, AutoIntModel)
    return fitted


def explained(model: AutoIntModel, kind: ExplanationKind):  # type: ignore[no-untyped-def]
    (explanation,) = model.explain(ROWS, [kind], ExplainContext())
    return explanation


def test_contributions_are_complete_and_have_the_sign_of_the_effect(model: AutoIntModel) -> None:
    shares = explained(model, ExplanationKind.CONTRIBUTIONS)
    assert isinstance(shares, Contributions)
    np.testing.assert_allclose(shares.baseline + shares.values.sum(1), model.predict(ROWS).logit(), atol=1e-9)
    assert np.corrcoef(shares.values[:, shares.fields.index("size")], ROWS.values[:, 0])[0, 1] > 0.8


def test_fields_that_matter_contribute_more_than_fields_that_do_not(model: AutoIntModel) -> None:
    shares = explained(model, ExplanationKind.CONTRIBUTIONS)
    strength = dict(zip(shares.fields, np.abs(shares.values).mean(0), strict=True))
    assert min(strength["colour"], strength["size"]) > 1.5 * max(strength["region"], strength["age"])


def test_field_importance_is_the_mean_attention_received(model: AutoIntModel) -> None:
    importance = explained(model, ExplanationKind.FIELD_IMPORTANCE)
    assert isinstance(importance, FieldImportance)
    embedded = model.network.embedding(torch.tensor(ROWS.ids), torch.tensor(ROWS.values))
    _, attentions = model.network.attend(embedded)
    expected = torch.stack(attentions).double().mean((0, 1, 2, 3))
    np.testing.assert_allclose(importance.values, expected, rtol=1e-5)
    assert importance.values.sum() == pytest.approx(1)
    assert "ignores" in importance.meaning


def test_pairs_are_attention_times_its_gradient_in_both_directions(model: AutoIntModel) -> None:
    pairs = explained(model, ExplanationKind.PAIR_INTERACTIONS)
    assert isinstance(pairs, PairInteractions)
    expected = np.zeros_like(pairs.values)
    for row in range(len(ROWS)):
        part = ROWS.take(slice(row, row + 1))
        embedded = model.network.embedding(torch.tensor(part.ids), torch.tensor(part.values)).requires_grad_()
        logits, attentions = model.network.attend(embedded)
        for looks, gradient in zip(attentions, torch.autograd.grad(logits.sum(), attentions), strict=True):
            for head in range(looks.shape[1]):
                product = (looks * gradient)[0, head].abs().detach().numpy()
                expected += (product + product.T) / len(ROWS)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(pairs.values, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", [ExplanationKind.FIELD_IMPORTANCE, ExplanationKind.PAIR_INTERACTIONS])
def test_stop_ends_an_explanation_and_no_rows_have_zeros(model: AutoIntModel, kind: ExplanationKind) -> None:
    with pytest.raises(Stopped):
        model.explain(ROWS, [kind], ExplainContext(should_stop=lambda: True))
    (nothing,) = model.explain(ROWS.take(slice(0, 0)), [kind], ExplainContext())
    assert not nothing.values.any()


def test_explaining_leaves_the_model_without_gradients(model: AutoIntModel) -> None:
    model.explain(ROWS, list(ExplanationKind), ExplainContext())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.network.parameters())


def test_another_models_folder_is_refused_in_a_sentence(model: AutoIntModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    facts = tmp_path / "model.json"
    facts.write_text(facts.read_text().replace(type(model.parameters).__name__, "ArmNetParameters"))
    with pytest.raises(StorageError, match="does not hold a readable AutoInt model"):
        load(tmp_path)
