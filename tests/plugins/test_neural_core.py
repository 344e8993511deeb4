"""What every neural click model shares, on a network of two outputs that is small enough to check by hand."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from crosslens import (
    Contributions,
    DataError,
    EncodedDataset,
    EncodedField,
    EncodedSchema,
    ExplainContext,
    ExplanationKind,
    FieldKind,
    FitContext,
    FitProgress,
    ParameterError,
    TrainingData,
)
from crosslens.testing import main_effects, training_data
from crosslens.testing.checkpoints import FolderCheckpoints
from plugins.neural import recipe, training
from plugins.neural.devices import Precision, chosen_device
from plugins.neural.embedding import FieldEmbedding
from plugins.neural.estimate import estimate_training
from plugins.neural.fitted import FittedNetwork
from plugins.neural.gradients import embedding_contributions, mean_embeddings
from plugins.neural.imbalance import Imbalance
from plugins.neural.layers import mlp
from plugins.neural.network import Network
from plugins.neural.optimisers import clip, optimisers
from plugins.neural.probe import MemoryNeeded, check_memory, memory_needed
from plugins.neural.scoring import auc, log_loss
from plugins.neural.step import Objective
from plugins.neural.training import train_network


@dataclass(frozen=True, slots=True)
class Parameters:
    embedding: int = recipe.embedding(4)
    l2: float = recipe.l2(1.0)
    learning_rate: float = recipe.learning_rate(0.01)
    batch_size: int = recipe.batch_size(256)
    epochs: int = recipe.epochs(4)
    patience: int = recipe.patience(2)
    field_dropout: float = recipe.field_dropout(0.02)
    gradient_clip: float = recipe.gradient_clip(0.0)
    positive_weight: float = recipe.positive_weight()
    negative_rate: float = recipe.negative_rate()


class TwoTowers(Network):
    """One table, two plain networks."""

    def __init__(self, schema: EncodedSchema, parameters: Parameters) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, parameters.embedding, 0.05)
        self.towers = nn.ModuleList(mlp(parameters.embedding * len(schema.fields), (8,), 0.0) for _ in range(2))

    def embeddings(self, ids: Tensor, values: Tensor) -> tuple[Tensor, ...]:
        return (self.embedding(ids, values),)

    def logits(self, *embeddings: Tensor) -> Tensor:
        return torch.cat([tower(embeddings[0].flatten(1)) for tower in self.towers], 1)


class Fitted(FittedNetwork):
    title = "Two towers"
    kinds = (Parameters,)
    outputs = ("click", "conversion")

    @classmethod
    def make(cls, schema: EncodedSchema, parameters: Parameters, rate: float = 0.5) -> TwoTowers:
        return TwoTowers(schema, parameters)


def loss(logits: Tensor, batch: object) -> Tensor:
    click, conversion = batch.labels["click"], batch.labels["conversion"]  # type: ignore[attr-defined]
    targets = torch.stack((click, conversion), 1)
    weights = None if batch.weights is None else batch.weights.unsqueeze(1)  # type: ignore[attr-defined]
    return functional.binary_cross_entropy_with_logits(logits, targets, weight=weights)


def metrics(logits: np.ndarray, rows: EncodedDataset) -> dict[str, float]:
    losses = [log_loss(rows.labels[name], logits[:, column]) for column, name in enumerate(Fitted.outputs)]
    return {"loss": sum(losses), "auc_conversion": auc(rows.labels["conversion"], logits[:, 1])}


OBJECTIVE = Objective(Fitted.outputs, loss, metrics)


def both_labels(data: EncodedDataset) -> EncodedDataset:
    schema = EncodedSchema(data.schema.fields, Fitted.outputs)
    conversion = np.roll(data.target, 1)
    return EncodedDataset(schema, data.ids, data.values, {"click": data.target, "conversion": conversion})


@pytest.fixture(scope="module")
def data() -> TrainingData:
    parts = training_data(main_effects(2000))
    return TrainingData(both_labels(parts.train), both_labels(parts.validation))


def fit(data: TrainingData, parameters: Parameters, context: FitContext | None = None) -> Fitted:
    trained = train_network(
        lambda schema: TwoTowers(schema, parameters), OBJECTIVE, parameters, data, context or FitContext(seed=1)
    )
    return Fitted.from_training(trained, parameters, data.train)


# -- outputs ----------------------------------------------------------------------------------------------------------


def test_every_output_has_logits_under_its_name(data: TrainingData) -> None:
    predictions = fit(data, Parameters()).predict(data.validation)
    assert set(predictions.logits) == {"click", "conversion"}
    assert auc(data.validation.labels["click"], predictions.logit("click")) > 0.7
    assert auc(data.validation.labels["conversion"], predictions.logit("conversion")) < 0.6


def test_a_saved_model_of_two_outputs_predicts_the_same(data: TrainingData, tmp_path: Path) -> None:
    model = fit(data, Parameters(epochs=1))
    model.save(tmp_path)
    loaded = Fitted.load(tmp_path)
    for name in Fitted.outputs:
        same = loaded.predict(data.validation).logit(name) == model.predict(data.validation).logit(name)
        assert same.all()


def test_contributions_of_every_output_sum_to_its_logit(data: TrainingData) -> None:
    model, rows = fit(data, Parameters()), data.validation.take(slice(0, 70))
    explained = model.explain(rows, [ExplanationKind.CONTRIBUTIONS], ExplainContext())
    assert [shares.task for shares in explained] == ["click", "conversion"]
    for shares in explained:
        assert isinstance(shares, Contributions)
        np.testing.assert_allclose(shares.baseline + shares.values.sum(1), model.predict(rows).logit(shares.task))


def test_a_logit_made_of_several_is_explained_too(data: TrainingData) -> None:
    model, rows = fit(data, Parameters()), data.validation.take(slice(0, 70))

    def both(logits: Tensor) -> Tensor:
        return functional.logsigmoid(logits).sum(1)

    shares = model.contributions(rows, ExplainContext(), "both", both)
    expected = both(torch.from_numpy(np.stack(list(model.predict(rows).logits.values()), 1))).numpy()
    np.testing.assert_allclose(shares.baseline + shares.values.sum(1), expected, atol=1e-5)


def test_contributions_of_a_linear_network_are_weight_times_distance_from_the_mean() -> None:
    rows = main_effects(300)

    class Linear(TwoTowers):
        def logits(self, *embeddings: Tensor) -> Tensor:
            return embeddings[0].sum((1, 2)).unsqueeze(1)

    network = Linear(rows.schema, Parameters()).requires_grad_(False)
    origin = mean_embeddings(network, rows, seed=0)
    shares = embedding_contributions(network, origin, rows, ExplainContext(), pick=lambda logits: logits[:, 0])
    embedded = network.embedding(torch.tensor(rows.ids), torch.tensor(rows.values))
    np.testing.assert_allclose(shares.values, (embedded - embedded.mean(0)).sum(2), atol=1e-5)


# -- rare positives ---------------------------------------------------------------------------------------------------


@given(rate=st.floats(0.01, 0.99), weight=st.floats(0.1, 50), kept=st.floats(0.01, 1.0), moved=st.floats(-2, 2))
def test_the_shifted_loss_is_least_at_the_true_logit(rate: float, weight: float, kept: float, moved: float) -> None:
    shift, truth = math.log(weight / kept), math.log(rate / (1 - rate))

    def expected_loss(logit: float) -> float:
        return weight * rate * np.logaddexp(0, -(logit + shift)) + kept * (1 - rate) * np.logaddexp(0, logit + shift)

    assert expected_loss(truth) <= expected_loss(truth + moved) + 1e-12


@pytest.mark.parametrize("changes", [{}, {"positive_weight": 8.0}, {"negative_rate": 0.2},
                                     {"positive_weight": 3.0, "negative_rate": 0.3}])  # fmt: skip
def test_probabilities_stay_those_of_the_data_whatever_is_weighed_or_left_out(changes: dict[str, float]) -> None:
    parts = training_data(main_effects(8000))
    data = TrainingData(both_labels(parts.train), both_labels(parts.validation))
    model = fit(data, replace(Parameters(epochs=8, batch_size=128), **changes))
    fresh = main_effects(4000, seed=7)
    predicted = model.predict(fresh).probability("click")
    assert predicted.mean() / fresh.target.mean() == pytest.approx(1, abs=0.08)
    assert auc(fresh.target, predicted) > 0.75


def test_an_epoch_sees_all_positives_and_a_fresh_share_of_the_negatives(data: TrainingData) -> None:
    imbalance = Imbalance.of(data.train, Parameters(negative_rate=0.25))
    first, second = set(imbalance.order()), set(imbalance.order())
    positives = set(np.flatnonzero(data.train.labels["click"] > 0.5))
    negatives = len(data.train) - len(positives)
    assert positives <= first
    assert len(first) == imbalance.rows_per_epoch == len(positives) + round(negatives / 4)
    assert first != second


def test_weights_have_mean_one_over_the_rows_of_an_epoch(data: TrainingData) -> None:
    imbalance = Imbalance.of(data.train, Parameters(positive_weight=5.0, negative_rate=0.5))
    weights = imbalance.weights(data.train)
    assert weights is not None
    assert weights[imbalance.order()].mean() == pytest.approx(1, rel=1e-5)


def test_a_resumed_training_draws_the_negatives_an_uninterrupted_one_would(data: TrainingData, tmp_path: Path) -> None:
    class Crash(Exception):
        pass

    def crash(progress: FitProgress) -> None:
        if progress.epoch == 3:
            raise Crash

    parameters, kept = Parameters(negative_rate=0.3, gradient_clip=0.5), FolderCheckpoints(tmp_path)
    whole = fit(data, parameters)
    with pytest.raises(Crash):
        fit(data, parameters, FitContext(seed=1, checkpoints=kept, progress=crash))
    resumed = fit(data, parameters, FitContext(seed=1, checkpoints=kept))
    np.testing.assert_array_equal(
        resumed.predict(data.validation).logit("click"), whole.predict(data.validation).logit("click")
    )
    shutil.rmtree(tmp_path)


def test_a_checkpoint_of_as_many_other_rows_is_left_alone_and_said(
    data: TrainingData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = FolderCheckpoints(tmp_path)
    fit(data, Parameters(epochs=1), FitContext(seed=1, checkpoints=kept))
    others = TrainingData(data.train.take(np.arange(len(data.train))[::-1]), data.validation)
    resumed = fit(others, Parameters(epochs=1), FitContext(seed=1, checkpoints=kept))
    assert "belongs to other rows or parameters" in caplog.text
    anew = fit(others, Parameters(epochs=1), FitContext(seed=1))
    np.testing.assert_array_equal(
        resumed.predict(data.validation).logit("click"), anew.predict(data.validation).logit("click")
    )


# -- steps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True])
def test_a_long_gradient_is_shortened_to_the_limit_and_keeps_its_direction(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch, sparse: bool
) -> None:
    monkeypatch.setattr("plugins.neural.embedding.SPARSE_TABLE", 10 if sparse else 10**9)
    network = TwoTowers(data.schema, Parameters())
    ids = torch.tensor(data.train.ids[:50])
    network(ids, torch.tensor(data.train.values[:50])).sum().backward()
    before = gradient(network)
    clip(network, 0.5)
    torch.testing.assert_close(gradient(network), before * 0.5 / before.norm())
    clip(network, 100.0)
    torch.testing.assert_close(gradient(network).norm(), torch.tensor(0.5))


def gradient(network: Network) -> Tensor:
    return torch.cat([parameter.grad.to_dense().flatten() for parameter in network.parameters()])  # type: ignore[union-attr]


def test_large_tables_have_an_optimiser_of_their_own(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(optimisers(TwoTowers(data.schema, Parameters()))) == 1
    monkeypatch.setattr("plugins.neural.embedding.SPARSE_TABLE", 10)
    _, sparse = optimisers(TwoTowers(data.schema, Parameters()))
    assert isinstance(sparse, torch.optim.SparseAdam)


@pytest.mark.parametrize("scaled", [False, True])
def test_products_with_fewer_digits_learn_the_same(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch, scaled: bool
) -> None:
    device = torch.device("cpu")
    lowered = Precision(device, torch.bfloat16, torch.amp.GradScaler("cpu") if scaled else None)
    exact = fit(data, Parameters(gradient_clip=1.0)).predict(data.validation).logit("click")
    monkeypatch.setattr(Precision, "of", lambda _: lowered)
    coarse = fit(data, Parameters(gradient_clip=1.0)).predict(data.validation).logit("click")
    assert not np.array_equal(coarse, exact)
    assert np.corrcoef(coarse, exact)[0, 1] > 0.98


def test_a_device_that_is_not_there_is_said(data: TrainingData) -> None:
    absent = "cuda" if not torch.cuda.is_available() else "mps"
    with pytest.raises(ParameterError, match=f"no device '{absent}'.*Choose one of: .*cpu"):
        fit(data, Parameters(), FitContext(device=absent))
    assert chosen_device("auto").type in ("cpu", "cuda", "mps")


# -- before the first step --------------------------------------------------------------------------------------------


def test_a_vocabulary_that_does_not_fit_is_refused_before_anything_is_allocated() -> None:
    rows = main_effects(200)
    fields = tuple(
        replace(field, cardinality=2_000_000_000) if field.name == "region" else field for field in rows.schema.fields
    )
    wide = EncodedDataset(EncodedSchema(fields, Fitted.outputs), rows.ids, rows.values, dict.fromkeys(
        Fitted.outputs, rows.target))  # fmt: skip
    with pytest.raises(DataError, match="Hash region or cut its rare values") as refused:
        fit(TrainingData(wide, wide), Parameters(embedding=256))
    assert refused.value.facts["needed"] > 2_000_000_000 * 256 * 4


SCHEMA = EncodedSchema((EncodedField("item", FieldKind.CATEGORICAL, 1002),), ("click",))


@pytest.mark.parametrize(
    ("needed", "advice"),
    [
        (MemoryNeeded(tables=900, weights=50, batch=100), "Hash item"),
        (MemoryNeeded(tables=100, weights=50, batch=900), "Lower the batch size"),
        (MemoryNeeded(tables=100, weights=900, batch=100), "widths of the layers"),
    ],
)
def test_what_does_not_fit_names_what_takes_most(needed: MemoryNeeded, advice: str) -> None:
    with pytest.raises(DataError, match=advice):
        check_memory(needed, 500, Parameters(), SCHEMA)
    check_memory(needed, needed.total, Parameters(), SCHEMA)


def test_memory_is_counted_by_parameter_and_grows_with_the_batch(data: TrainingData) -> None:
    def needed(batch_size: int) -> MemoryNeeded:
        parameters = Parameters(batch_size=batch_size)
        return memory_needed(lambda s: TwoTowers(s, parameters), OBJECTIVE, parameters, data.schema, 10**9)

    small, large = needed(100), needed(1000)
    table = data.schema.table_size * (4 * 5 + 3) * 4
    assert small.tables == large.tables == table
    assert large.batch == pytest.approx(10 * small.batch, rel=0.01)
    assert 1000 * len(data.schema.fields) * 4 * 4 < large.batch < 1000 * 10_000


def test_weights_that_never_fit_are_counted_and_not_allocated(data: TrainingData) -> None:
    made: list[bool] = []

    def make(schema: EncodedSchema) -> Network:
        made.append(torch.empty(0).is_meta)
        return TwoTowers(schema, Parameters())

    needed = memory_needed(make, OBJECTIVE, Parameters(), data.schema, 1000, free=100)
    assert needed.weights > 0 == needed.batch
    assert made == [True]


def test_an_estimate_leaves_random_numbers_alone_and_times_an_epoch(data: TrainingData) -> None:
    before = torch.get_rng_state()
    make: Callable[[EncodedSchema], Network] = lambda schema: TwoTowers(schema, Parameters())  # noqa: E731
    found = estimate_training(make, OBJECTIVE, Parameters(), data, FitContext())
    assert torch.equal(torch.get_rng_state(), before)
    assert found.pace.epoch_seconds == pytest.approx(len(data.train) / found.pace.rows_per_second)


def test_training_rows_fewer_than_a_batch_can_be_estimated(data: TrainingData) -> None:
    few = TrainingData(data.train.take(slice(0, 20)), data.validation)
    make: Callable[[EncodedSchema], Network] = lambda schema: TwoTowers(schema, Parameters())  # noqa: E731
    assert estimate_training(make, OBJECTIVE, Parameters(), few, FitContext()).pace.rows_per_second > 0


def test_too_little_free_memory_ends_training_before_it_starts(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "free_memory", lambda _: 1000)
    with pytest.raises(DataError, match=r"needs about .* of memory; 1 kB are free"):
        fit(data, Parameters())
