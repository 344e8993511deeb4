"""LightGBM: what it learns from, how it trains, stops and resumes, and what it keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crosslens import (
    DataError,
    EncodedDataset,
    EncodedField,
    EncodedSchema,
    ExplainContext,
    ExplanationKind,
    FieldKind,
    FitContext,
    FitProgress,
    Stopped,
    StorageError,
    TrainingData,
)
from crosslens.testing import main_effects, make_dataset, training_data, xor
from crosslens.testing.checkpoints import FolderCheckpoints
from plugins import lightgbm_model
from plugins.lightgbm_model import LightGBMParameters, estimator
from plugins.lightgbm_model.matrix import feature_matrix

QUICK = LightGBMParameters(num_trees=40, min_data_in_leaf=20)


def fit(data: TrainingData, parameters: LightGBMParameters = QUICK, **context: object):
    return lightgbm_model.build(parameters).fit(data, FitContext(seed=1, **context))


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return training_data(main_effects())


def test_the_matrix_holds_local_ids_beside_values_with_gaps() -> None:
    rows = make_dataset(
        {"a": (np.array([0, 1]), 3), "b": (np.array([2, 3]), 4)}, {"x": np.array([np.nan, 0.5])}, np.ones(2)
    )
    np.testing.assert_array_equal(feature_matrix(rows), [[0, 2, np.nan], [1, 3, 0.5]])
    assert feature_matrix(rows).dtype == np.float32


def test_ids_beyond_what_float32_can_tell_apart_stay_apart() -> None:
    large = (1 << 24) + 3
    schema = EncodedSchema((EncodedField("a", FieldKind.CATEGORICAL, large),), ("click",))
    ids = np.array([[large - 2], [large - 1]], np.int32)
    matrix = feature_matrix(EncodedDataset(schema, ids, np.zeros((2, 0), np.float32)))
    assert matrix[:, 0].tolist() == [large - 2, large - 1]


def test_the_model_keeps_the_number_of_trees_that_validated_best(data: TrainingData) -> None:
    seen: list[FitProgress] = []
    model = fit(data, replace(QUICK, num_trees=400, patience=10, learning_rate=0.3), progress=seen.append)
    logits, target = model.predict(data.validation).logit(), data.validation.target
    losses = [progress.metrics["loss"] for progress in seen]
    loss = float(np.logaddexp(0.0, np.where(target > 0.5, -logits, logits)).mean())
    assert model.booster.num_trees() == seen[-1].best_epoch == seen[-1].epoch - 10
    assert loss == pytest.approx(float(np.min([*losses, loss])))


def test_progress_tells_training_loss_and_both_validation_metrics(data: TrainingData) -> None:
    seen: list[FitProgress] = []
    fit(data, progress=seen.append)
    assert set(seen[-1].metrics) == {"loss", "auc"}
    assert seen[-1].loss is not None
    assert seen[-1].loss < seen[0].loss
    assert seen[-1].rows_per_second > 0


def test_auc_is_left_out_where_validation_has_one_class(data: TrainingData) -> None:
    seen: list[FitProgress] = []
    positives = np.flatnonzero(data.validation.target > 0.5)
    fit(TrainingData(data.train, data.validation.take(positives)), progress=seen.append)
    assert set(seen[-1].metrics) == {"loss"}


def test_stop_returns_the_best_trees_so_far(data: TrainingData) -> None:
    asked = iter([False] * 6 + [True] * 100)
    model = fit(data, should_stop=lambda: next(asked))
    assert 1 <= model.booster.num_trees() <= 6


def test_stop_before_the_first_tree_keeps_nothing(data: TrainingData) -> None:
    with pytest.raises(Stopped):
        fit(data, should_stop=lambda: True)


@pytest.mark.parametrize("interrupted_after", [3, 25, 39])
def test_a_resumed_training_gives_the_trees_of_an_uninterrupted_one(
    data: TrainingData, interrupted_after: int, tmp_path: Path
) -> None:
    asked = iter([False] * interrupted_after + [True])
    checkpoints = FolderCheckpoints(tmp_path)
    fit(data, should_stop=lambda: next(asked), checkpoints=checkpoints)
    resumed = fit(data, checkpoints=checkpoints)
    whole = fit(data)
    np.testing.assert_array_equal(resumed.predict(data.validation).logit(), whole.predict(data.validation).logit())
    assert resumed.booster.num_trees() == whole.booster.num_trees()


def test_a_training_killed_between_checkpoints_resumes_from_the_last(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimator, "CHECKPOINT_TREES", 10)

    def killed(progress: FitProgress) -> None:
        if progress.epoch >= 17:
            raise KeyboardInterrupt

    monkeypatch.setattr(estimator, "REPORT_SECONDS", 0.0)
    checkpoints, seen = FolderCheckpoints(tmp_path), []
    with pytest.raises(KeyboardInterrupt):
        fit(data, progress=killed, checkpoints=checkpoints)
    resumed = fit(data, progress=seen.append, checkpoints=checkpoints)
    assert seen[0].epoch == 11
    np.testing.assert_array_equal(resumed.predict(data.train).logit(), fit(data).predict(data.train).logit())


def test_a_finished_training_resumes_to_itself(data: TrainingData, tmp_path: Path) -> None:
    parameters = replace(QUICK, num_trees=25)
    checkpoints = FolderCheckpoints(tmp_path)
    first = fit(data, parameters, checkpoints=checkpoints)
    again = fit(data, parameters, checkpoints=checkpoints)
    np.testing.assert_array_equal(again.predict(data.train).logit(), first.predict(data.train).logit())


def test_stop_during_a_resumed_training_keeps_what_the_checkpoint_has(data: TrainingData, tmp_path: Path) -> None:
    checkpoints = FolderCheckpoints(tmp_path)
    asked = iter([False] * 5 + [True])
    first = fit(data, should_stop=lambda: next(asked), checkpoints=checkpoints)
    again = fit(data, should_stop=lambda: True, checkpoints=checkpoints)
    np.testing.assert_array_equal(again.predict(data.train).logit(), first.predict(data.train).logit())


def test_a_checkpoint_of_other_parameters_is_not_used(
    data: TrainingData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = FolderCheckpoints(tmp_path)
    fit(data, checkpoints=checkpoints)
    other = replace(QUICK, num_leaves=4)
    model = fit(data, other, checkpoints=checkpoints)
    np.testing.assert_array_equal(model.predict(data.train).logit(), fit(data, other).predict(data.train).logit())
    assert "training starts anew" in caplog.text


def test_training_prints_nothing(data: TrainingData, capfd: pytest.CaptureFixture[str]) -> None:
    model = fit(data, replace(QUICK, num_trees=5))
    model.predict(data.train)
    assert capfd.readouterr() == ("", "")


def test_names_that_lightgbm_refuses_are_no_matter() -> None:
    rows = xor(400)
    names = ['a":{}', "[b],", "größe \t x"]
    schema = EncodedSchema(
        tuple(replace(f, name=n) for f, n in zip(rows.schema.fields, names, strict=True)), ("click",)
    )
    odd = EncodedDataset(schema, rows.ids, rows.values, rows.labels)
    model = fit(training_data(odd))
    assert model.explain(odd, [ExplanationKind.CONTRIBUTIONS], ExplainContext())[0].fields == tuple(names)


def test_the_label_s_name_is_in_the_refusal_of_a_single_class() -> None:
    rows = make_dataset({"a": (np.full(8, 2), 3)}, {}, np.zeros(8))
    with pytest.raises(DataError, match="same click: 0"):
        fit(training_data(rows))


def test_rows_without_any_field_are_refused() -> None:
    rows = make_dataset({}, {}, np.arange(8) % 2)
    with pytest.raises(DataError, match="no field"):
        fit(training_data(rows))


def test_threads_do_not_change_the_numbers(data: TrainingData) -> None:
    few = replace(QUICK, num_trees=5)
    one, two = (fit(data, few, threads=threads).predict(data.validation).logit() for threads in (1, 2))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-12)


@pytest.mark.parametrize("damage", ["model.txt", "model.json"])
def test_a_damaged_folder_is_reported_with_what_to_do(damage: str, data: TrainingData, tmp_path: Path) -> None:
    fit(data, replace(QUICK, num_trees=2)).save(tmp_path)
    (tmp_path / damage).write_text("{", encoding="utf-8")
    with pytest.raises(StorageError, match="Train it again"):
        lightgbm_model.load(tmp_path)
