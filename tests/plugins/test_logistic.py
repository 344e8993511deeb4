"""Logistic regression: the same numbers as scikit-learn's, strength by validation, additive to the last digit."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from crosslens import (
    DataError,
    ExplainContext,
    ExplanationKind,
    FitContext,
    FitProgress,
    Stopped,
    StorageError,
    TrainingData,
)
from crosslens.testing import main_effects, make_dataset, training_data, xor
from plugins import logistic
from plugins.logistic import LogisticParameters
from plugins.logistic_model import log_loss, one_hot


def fit(data: TrainingData, parameters: LogisticParameters | None = None, **context: object):
    return logistic.build(parameters or LogisticParameters()).fit(data, FitContext(**context))


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return training_data(main_effects())


def test_a_row_is_one_per_id_then_values_then_missing_flags() -> None:
    rows = make_dataset(
        {"a": (np.array([0, 2]), 3)}, {"x": np.array([np.nan, 0.5]), "y": np.array([1.0, np.nan])}, np.ones(2)
    )
    np.testing.assert_array_equal(one_hot(rows).toarray(), [[1, 0, 0, 0, 1, 1, 0], [0, 0, 1, 0.5, 0, 0, 1]])


def test_predictions_are_those_of_scikit_learn(data: TrainingData) -> None:
    parameters = LogisticParameters(strongest=2.0, weakest=2.0, fits=1, tolerance=1e-8)
    reference = LogisticRegression(C=0.5, tol=1e-8, max_iter=1000).fit(one_hot(data.train), data.train.target)
    expected = reference.decision_function(one_hot(data.validation))
    np.testing.assert_allclose(fit(data, parameters).predict(data.validation).logit(), expected, atol=1e-4)


def test_validation_chooses_the_strength(data: TrainingData) -> None:
    seen: list[FitProgress] = []
    model = fit(data, LogisticParameters(strongest=1e4, weakest=1e-3, fits=6), progress=seen.append)
    losses = [progress.metrics["loss"] for progress in seen]
    assert log_loss(model.predict(data.validation).logit(), data.validation.target, None) == pytest.approx(min(losses))
    assert seen[-1].best_epoch == int(np.argmin(losses)) + 1
    assert min(losses) < losses[0]


def test_stop_between_fits_keeps_the_best_so_far(data: TrainingData) -> None:
    seen: list[FitProgress] = []
    asked = iter([False, False, True])
    fit(data, should_stop=lambda: next(asked), progress=seen.append)
    assert [progress.epoch for progress in seen] == [1, 2]


def test_stop_before_the_first_fit_keeps_nothing(data: TrainingData) -> None:
    with pytest.raises(Stopped):
        fit(data, should_stop=lambda: True)


def test_a_fit_cut_short_is_said_in_the_log(data: TrainingData, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        fit(data, LogisticParameters(iterations=1, fits=1))
    assert "failed to converge" in caplog.text


def test_contributions_are_centred_on_the_training_rows(data: TrainingData) -> None:
    model = fit(data)
    (shares,) = model.explain(data.train, [ExplanationKind.CONTRIBUTIONS], ExplainContext())
    np.testing.assert_allclose(shares.values.mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_array_equal(shares.baseline + shares.values.sum(axis=1), model.predict(data.train).logit())


def test_it_offers_no_interactions_and_has_none() -> None:
    rows = xor()
    model, corners = fit(training_data(rows)), np.tile(rows.schema.offsets + 2, (4, 1))
    corners[[1, 3], 0] += 1
    corners[[2, 3], 1] += 1
    logits = model.predict(rows.with_features(corners.astype(np.int32), np.zeros((4, 0), np.float32))).logit()
    assert logits[3] - logits[1] - logits[2] + logits[0] == pytest.approx(0.0, abs=1e-12)
    assert ExplanationKind.PAIR_INTERACTIONS not in logistic.SPEC.explains


def test_a_missing_number_has_a_weight_of_its_own() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=2000)
    missing = random.random(2000) < 0.3
    values[missing] = np.nan
    rows = make_dataset({}, {"x": values}, missing ^ (random.random(2000) < 0.1))
    probability = fit(training_data(rows)).predict(rows).probability()
    assert probability[missing].min() > 0.8
    assert probability[~missing].max() < 0.2


def test_rows_without_any_field_are_refused() -> None:
    with pytest.raises(DataError, match="no field"):
        fit(training_data(make_dataset({}, {}, np.arange(8) % 2)))


@pytest.mark.parametrize("part", ["train", "validation"])
def test_an_empty_part_is_refused_by_name(part: str, data: TrainingData) -> None:
    empty = replace(data, **{part: data.train.take(slice(0, 0))})
    with pytest.raises(DataError, match="no training rows" if part == "train" else "no validation rows"):
        fit(empty)


@pytest.mark.parametrize("damage", ["weights.safetensors", "model.json"])
def test_a_damaged_folder_is_reported_with_what_to_do(damage: str, data: TrainingData, tmp_path: Path) -> None:
    fit(data, LogisticParameters(fits=1)).save(tmp_path)
    (tmp_path / damage).write_text("{", encoding="utf-8")
    with pytest.raises(StorageError, match="Train it again"):
        logistic.load(tmp_path)
