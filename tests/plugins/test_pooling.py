"""The values of a multi-valued field enter a network as one vector, their mean, and are explained one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from crosslens import (
    EncodedDataset,
    EncodedField,
    EncodedSchema,
    ExplainContext,
    ExplanationKind,
    FieldKind,
    FieldRole,
    FitContext,
    TrainingData,
)
from crosslens.plain import from_plain, to_plain
from plugins import armnet, autoint
from plugins.armnet import ArmNetParameters, ArmNetPlusParameters
from plugins.autoint import AutoIntParameters, AutoIntPlusParameters
from plugins.autoint.module import AutoInt
from plugins.esmm import EsmmParameters
from plugins.esmm.module import Esmm
from plugins.neural.embedding import FieldEmbedding
from plugins.neural.pooling import Tokens
from plugins.neural.regularise import FieldDropout, Prior

MISSING, UNKNOWN, NO, YES = range(4)
CPU = torch.device("cpu")


def field(name: str, cardinality: int = 4, group: str = "") -> EncodedField:
    kind = FieldKind.CATEGORICAL if cardinality else FieldKind.NUMERICAL
    return EncodedField(name, kind, cardinality, FieldRole.FEATURE, group)


FIELDS = (
    field("user", 6),
    field("tags: a", group="tags"),
    field("tags: b", group="tags"),
    field("city", 5),
    field("tags: c", group="tags"),
    field("genre: x", group="genre"),
    field("price", 0),
)
TAGS = (1, 2, 4)
SCHEMA = EncodedSchema(FIELDS, ("click",))


def rows(count: int, seed: int = 0) -> EncodedDataset:
    """Return rows of SCHEMA: a few hidden values, NaN, and all combinations of tags, drawn at random."""
    rng = np.random.default_rng(seed)
    local = np.stack([rng.integers(0, each.cardinality, count) for each in SCHEMA.categorical], 1)
    local[:, list(TAGS)] = rng.choice([NO, YES], (count, 3), p=[0.6, 0.4])
    local[rng.random(count) < 0.15] = [UNKNOWN, MISSING, MISSING, UNKNOWN, MISSING, MISSING]
    values = rng.normal(size=(count, 1)).astype(np.float32)
    values[rng.random(count) < 0.1] = np.nan
    logits = 2.0 * (local[:, 1] == YES) - 2.0 * (local[:, 4] == YES) + (local[:, 0] > 3) - 0.5
    labels = (rng.random(count) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    return EncodedDataset(SCHEMA, (local + SCHEMA.offsets).astype(np.int32), values, {"click": labels})


def tensors(data: EncodedDataset) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(np.array(data.ids)), torch.from_numpy(np.array(data.values))


def naive_tokens(embedding: FieldEmbedding, data: EncodedDataset) -> Tensor:
    """Return tokens (B, F', E), row by row and value by value: user, tags, city, genre, price."""
    result = []
    for ids, local, value in zip(data.ids.tolist(), data.local_ids().tolist(), data.values[:, 0].tolist(), strict=True):
        tags = [embedding.table[ids[place]] for place in TAGS if local[place] == YES]
        mean = torch.stack(tags).mean(0) if tags else embedding.table[ids[TAGS[0]]]
        price = embedding.missing[0] if np.isnan(value) else value * embedding.vector[0] + embedding.bias[0]
        result.append(
            torch.stack([embedding.table[ids[0]], mean, embedding.table[ids[3]], embedding.table[ids[5]], price])
        )
    return torch.stack(result)


def test_a_group_is_one_token_in_the_place_of_its_first_member() -> None:
    tokens = Tokens(SCHEMA)
    assert (tokens.count, tokens.of, tokens.pools) == (5, (0, 1, 1, 2, 1, 3, 4), True)


def test_a_token_is_the_mean_of_the_vectors_of_the_rows_values() -> None:
    embedding, tokens, data = FieldEmbedding(SCHEMA, 4, 1.0), Tokens(SCHEMA), rows(200)
    torch.testing.assert_close(tokens(embedding(*tensors(data))), naive_tokens(embedding, data))


def test_gradients_are_those_of_the_mean() -> None:
    embedding, tokens, data = FieldEmbedding(SCHEMA, 4, 1.0), Tokens(SCHEMA), rows(60)
    weight = torch.randn(60, 5, 4)
    ours = torch.autograd.grad((tokens(embedding(*tensors(data))) * weight).sum(), list(embedding.parameters()))
    naive = torch.autograd.grad((naive_tokens(embedding, data) * weight).sum(), list(embedding.parameters()))
    torch.testing.assert_close(ours, naive)


def test_a_row_without_a_known_value_has_a_vector_of_its_own() -> None:
    embedding = FieldEmbedding(SCHEMA, 4, 1.0)
    local = np.full((3, 6), 2)
    local[0, list(TAGS)], local[1, list(TAGS)], local[2, list(TAGS)] = NO, MISSING, UNKNOWN
    ids = torch.from_numpy((local + SCHEMA.offsets).astype(np.int32))
    found = Tokens(SCHEMA)(embedding(ids, torch.zeros(3, 1)))[:, 1]
    first = int(SCHEMA.offsets[1])
    torch.testing.assert_close(found, embedding.table[[first + NO, first + MISSING, first + UNKNOWN]])


@pytest.mark.parametrize("hidden", [MISSING, UNKNOWN, NO])
def test_a_deleted_value_is_one_value_less_in_the_mean(hidden: int) -> None:
    embedding, offset = FieldEmbedding(SCHEMA, 4, 1.0), SCHEMA.offsets
    local = np.array([[2, YES, YES, 2, YES, NO]])
    local[0, 2] = hidden
    ids = torch.from_numpy((local + offset).astype(np.int32))
    found = Tokens(SCHEMA)(embedding(ids, torch.zeros(1, 1)))[0, 1]
    wanted = (embedding.table[offset[1] + YES] + embedding.table[offset[4] + YES]) / 2
    torch.testing.assert_close(found, wanted)


def test_a_schema_without_groups_has_a_token_for_every_field() -> None:
    schema = EncodedSchema(tuple(field(each.name, each.cardinality) for each in FIELDS), ("click",))
    tokens, embedding = Tokens(schema), FieldEmbedding(schema, 4, 1.0)
    embedded = embedding(*tensors(rows(9)))
    assert tokens.count == len(FIELDS)
    assert tokens(embedded) is embedded
    assert embedding.shares is None
    torch.testing.assert_close(embedded[:, 2], embedding.table[rows(9).ids[:, 2]])


def test_the_values_of_a_field_are_hidden_together() -> None:
    ids, values = tensors(rows(4000))
    first, place = torch.from_numpy(SCHEMA.offsets).int(), list(TAGS)
    hidden, _ = FieldDropout(SCHEMA.offsets, 0.5, CPU, (0, 1, 1, 3, 1, 5))(ids, values)
    changed = (hidden - first != ids - first)[ids[:, 1] - first[1] > UNKNOWN][:, place]
    assert (changed == changed[:, :1]).all()
    assert 0.4 < changed.float().mean() < 0.6
    alone, _ = FieldDropout(SCHEMA.offsets, 0.5, CPU)(ids, values)
    assert not ((alone != ids)[:, 1] == (alone != ids)[:, 2]).all()


def test_a_vector_taken_in_part_is_held_back_as_a_whole() -> None:
    embedding, data = FieldEmbedding(SCHEMA, 4, 1.0), rows(50)
    local = data.local_ids()
    prior, (ids, values) = Prior(data, 3.0, 0.0, CPU), tensors(data)
    whole = torch.nn.functional.embedding(ids, embedding.table).square().sum(2)  # (B, C)
    members = torch.from_numpy(local[:, list(TAGS)] == YES)
    held = torch.ones(local.shape, dtype=torch.bool)
    held[:, list(TAGS)] = members
    held[:, 1] |= ~members.any(1)
    wanted = (whole * prior.share[ids.long()] * held).sum() / len(ids)
    torch.testing.assert_close(prior.penalty(ids, embedding(ids, values)), wanted)


def test_a_group_of_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="members of a group must be categorical"):
        EncodedSchema((field("price", 0, "prices"),), ("click",))


def test_groups_travel_as_plain_data_and_are_not_written_where_there_are_none() -> None:
    assert from_plain(EncodedSchema, to_plain(SCHEMA)) == SCHEMA
    assert "group" not in to_plain(FIELDS[0])


# --- models -----------------------------------------------------------------------------------------------------------

SMALL: dict[str, Any] = {"epochs": 3, "batch_size": 256, "l2": 0.1, "learning_rate": 0.02, "embedding": 4}
MODELS: dict[str, tuple[Any, Callable[[Any], Any], Callable[[Path], Any]]] = {
    "autoint": (AutoIntParameters(**SMALL, head_width=4), autoint.build, autoint.load),
    "autoint-plus": (AutoIntPlusParameters(**SMALL, head_width=4, deep_layers=(8,)), autoint.build, autoint.load),
    "arm-net": (ArmNetParameters(**SMALL, alpha=2.0, layers=(8,)), armnet.build, armnet.load),
    "arm-net-plus": (ArmNetPlusParameters(**SMALL, layers=(8,), deep_layers=(8,)), armnet.build, armnet.load),
}


@pytest.fixture(scope="module", params=MODELS)
def trained(request: pytest.FixtureRequest) -> tuple[Any, Callable[[Path], Any]]:
    parameters, build, load = MODELS[request.param]
    return build(parameters).fit(TrainingData(rows(1500), rows(500, seed=1)), FitContext(seed=1)), load


def test_contributions_name_the_values_and_sum_to_the_logit(trained: tuple[Any, Any]) -> None:
    model, data = trained[0], rows(40, seed=2)
    (found,) = model.explain(data, {ExplanationKind.CONTRIBUTIONS}, ExplainContext())
    assert found.fields == SCHEMA.names
    np.testing.assert_allclose(found.values.sum(1), found.logits - found.baseline, atol=1e-6)
    np.testing.assert_allclose(found.logits, model.predict(data).logit(), atol=1e-5)
    has, has_not = (data.local_ids()[:, 1] == local for local in (YES, NO))
    assert found.values[has, 1].mean() > found.values[has_not, 1].mean() + 0.05


def test_a_saved_model_pools_the_same_values(trained: tuple[Any, Callable[[Path], Any]], tmp_path: Path) -> None:
    model, load = trained
    model.save(tmp_path)
    np.testing.assert_array_equal(load(tmp_path).predict(rows(50)).logit(), model.predict(rows(50)).logit())


@pytest.mark.parametrize(
    "kind", [ExplanationKind.FIELD_IMPORTANCE, ExplanationKind.PAIR_INTERACTIONS, ExplanationKind.INTERACTION_TERMS]
)
def test_what_is_published_speaks_of_every_value(trained: tuple[Any, Any], kind: ExplanationKind) -> None:
    for found in trained[0].explain(rows(60, seed=3), {kind}, ExplainContext()):
        if kind is ExplanationKind.INTERACTION_TERMS:
            assert all(set(term.fields) <= set(SCHEMA.names) for term in found.terms)
        else:
            assert found.fields == SCHEMA.names
            assert "value" in found.method


def test_a_term_names_only_values_that_a_row_has() -> None:
    model = armnet.build(ArmNetParameters(**{**SMALL, "epochs": 1}, alpha=1.0, layers=(8,))).fit(
        TrainingData(rows(400), rows(200, seed=1)), FitContext(seed=1)
    )
    local = np.array([[2, NO, YES, 2, NO, NO]])
    data = EncodedDataset(SCHEMA, (local + SCHEMA.offsets).astype(np.int32), np.zeros((1, 1), np.float32))
    (terms,) = model.explain(data, {ExplanationKind.INTERACTION_TERMS}, ExplainContext())
    assert [term.fields for term in terms.terms] == [("user", "tags: b", "city", "genre: x", "price")]


def test_attention_to_a_field_is_shared_by_the_values_of_the_row() -> None:
    torch.manual_seed(0)
    network = AutoInt(SCHEMA, AutoIntParameters(embedding=4, head_width=4, initial_spread=1.0)).eval()
    local = np.array([[2, YES, NO, 2, YES, NO]])
    data = EncodedDataset(SCHEMA, (local + SCHEMA.offsets).astype(np.int32), np.zeros((1, 1), np.float32))
    found = autoint_importance(network, data)
    _, attentions = network.attend(*network.embeddings(*tensors(data)))
    received = attentions[0].mean((0, 1, 2)).tolist()
    np.testing.assert_allclose(found[[1, 2, 4]], [received[1] / 2, 0, received[1] / 2], rtol=1e-5)
    np.testing.assert_allclose(found[[0, 3, 5, 6]], np.array(received)[[0, 2, 3, 4]], rtol=1e-5)
    pairs = autoint_pairs(network, data)
    np.testing.assert_allclose(pairs[1], pairs[4])
    assert pairs[1, 4] == pairs[2].max() == 0 < pairs[1, 0]


def autoint_importance(network: AutoInt, data: EncodedDataset) -> np.ndarray:
    from plugins.autoint.explain import attention_received

    return attention_received(network, data, ExplainContext()).values


def autoint_pairs(network: AutoInt, data: EncodedDataset) -> np.ndarray:
    from plugins.autoint.explain import attended_pairs

    return attended_pairs(network, data, ExplainContext()).values


def test_the_towers_of_esmm_see_the_mean() -> None:
    network, data = Esmm(SCHEMA, EsmmParameters(embedding=4, layers=(8,), dropout=0.0)).eval(), rows(30)
    tokens = naive_tokens(network.embedding[0], data).flatten(1)  # type: ignore[arg-type]
    wanted = torch.cat((network.ctr(tokens), network.cvr(tokens)), 1)
    torch.testing.assert_close(network(*tensors(data)), wanted)
