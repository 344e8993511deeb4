from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crosslens import (
    DataError,
    EncodedDataset,
    FitContext,
    FitProgress,
    StorageError,
    TrainingData,
)
from crosslens.testing import main_effects, training_data, unseen_ids, xor
from plugins.armnet import SPECS, ArmNetParameters, ArmNetPlusParameters, build, load
from plugins.neural import click
from plugins.neural.regularise import Prior
from plugins.neural.scoring import auc
from plugins.neural.training_state import TrainingState

QUICK = ArmNetParameters(heads=2, neurons=4, embedding=4, layers=(16,), batch_size=256, epochs=3, learning_rate=0.005)
QUICK_PLUS = ArmNetPlusParameters(
    heads=2, neurons=4, embedding=4, layers=(16,), batch_size=256, epochs=3, learning_rate=0.005,
    deep_embedding=3, deep_layers=(8,),
)  # fmt: skip


class Folder:
    """Checkpoints in a folder; `copies` of every one are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.saved = 0

    def save(self, write: Callable[[Path], None]) -> None:
        self.saved += 1
        target = self.folder / str(self.saved)
        target.mkdir(parents=True)
        write(target)

    def latest(self) -> Path | None:
        return self.folder / str(self.saved) if self.saved else None


class Crash(Exception):
    pass


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return training_data(main_effects(1600))


def test_two_fields_that_matter_only_together_are_learned() -> None:
    parameters = ArmNetParameters(heads=1, neurons=8, layers=(32,), batch_size=256, epochs=15, learning_rate=0.005)
    model = build(parameters).fit(training_data(xor(3000)), FitContext(seed=1))
    fresh = xor(1000, seed=9)
    assert auc(fresh.target, model.predict(fresh).logit()) > 0.85


@pytest.mark.parametrize("parameters", [QUICK, QUICK_PLUS])
def test_a_resumed_training_gives_the_numbers_of_an_uninterrupted_one(
    data: TrainingData, tmp_path: Path, parameters: ArmNetParameters
) -> None:
    whole = build(parameters).fit(data, FitContext(seed=4))

    def crash_in_the_second_epoch(progress: FitProgress) -> None:
        if progress.epoch == 2:
            raise Crash

    kept = Folder(tmp_path)
    with pytest.raises(Crash):
        build(parameters).fit(data, FitContext(seed=4, checkpoints=kept, progress=crash_in_the_second_epoch))
    again = Folder(tmp_path)
    again.saved = 1
    shutil.rmtree(tmp_path / "2")
    resumed = build(parameters).fit(data, FitContext(seed=4, checkpoints=again))
    np.testing.assert_array_equal(resumed.predict(data.validation).logit(), whole.predict(data.validation).logit())
    assert again.saved == parameters.epochs


def test_rows_updated_one_by_one_survive_a_resume_too(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.neural.embedding.SPARSE_TABLE", 10)
    whole = build(QUICK).fit(data, FitContext(seed=4, checkpoints=Folder(tmp_path)))
    kept = Folder(tmp_path)
    kept.saved = 1
    for later in ("2", "3"):
        shutil.rmtree(tmp_path / later)
    resumed = build(QUICK).fit(data, FitContext(seed=4, checkpoints=kept))
    np.testing.assert_array_equal(resumed.predict(data.validation).logit(), whole.predict(data.validation).logit())


def test_a_finished_training_is_not_repeated(data: TrainingData, tmp_path: Path) -> None:
    kept = Folder(tmp_path)
    first = build(QUICK).fit(data, FitContext(seed=4, checkpoints=kept))
    second = build(QUICK).fit(data, FitContext(seed=4, checkpoints=kept))
    assert kept.saved == QUICK.epochs
    np.testing.assert_array_equal(first.predict(data.validation).logit(), second.predict(data.validation).logit())


def test_a_checkpoint_of_another_training_is_left_alone_and_said(
    data: TrainingData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Folder(tmp_path)
    build(QUICK).fit(data, FitContext(seed=4, checkpoints=kept))
    other = build(QUICK).fit(data, FitContext(seed=5, checkpoints=kept))
    assert "belongs to other rows or parameters" in caplog.text
    fresh = build(QUICK).fit(data, FitContext(seed=5))
    np.testing.assert_array_equal(other.predict(data.validation).logit(), fresh.predict(data.validation).logit())


def test_a_damaged_checkpoint_starts_training_anew_and_says_so(
    data: TrainingData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Folder(tmp_path)
    kept.save(lambda folder: (folder / "training.json").write_text("{"))
    build(replace(QUICK, epochs=1)).fit(data, FitContext(checkpoints=kept))
    assert "cannot be read" in caplog.text


def test_the_best_epoch_is_restored(data: TrainingData) -> None:
    losses: list[float] = []
    parameters = replace(QUICK, epochs=12, learning_rate=0.05, l2=0.0, dropout=0.0, patience=12)
    context = FitContext(progress=lambda p: losses.append(p.metrics["loss"]) if p.metrics else None)
    model = build(parameters).fit(TrainingData(data.train.take(slice(0, 300)), data.validation), context)
    logits = model.predict(data.validation).logit()
    signs = np.where(data.validation.target > 0.5, -1, 1)
    assert losses.index(min(losses)) < len(losses) - 1
    assert np.logaddexp(0, signs * logits).mean() == pytest.approx(min(losses), abs=1e-9)


def test_the_learning_rate_falls_at_a_plateau_and_training_ends_at_the_next() -> None:
    state = TrainingState()
    for loss in (0.5, 0.6, 0.6):
        state = state.after(loss, patience=2, epochs=20)
    assert state.rate(0.01) == pytest.approx(0.001)
    assert not state.ended
    for loss in (0.6, 0.6):
        state = state.after(loss, patience=2, epochs=20)
    assert state.best_epoch == 1
    assert state.ended == "Validation stopped improving."


def test_stop_in_the_first_epoch_keeps_the_steps_made(data: TrainingData) -> None:
    answers = iter([False, False])
    reports: list[FitProgress] = []
    context = FitContext(should_stop=lambda: next(answers, True), progress=reports.append)
    model = build(QUICK).fit(data, context)
    assert np.isfinite(model.predict(data.validation).logit()).all()
    assert reports[-1].step == 2
    assert reports[-1].metrics["loss"] > 0


def test_the_callers_random_numbers_and_threads_are_left_as_they_were(data: TrainingData) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    build(replace(QUICK, epochs=1)).fit(data, FitContext(seed=3, threads=2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_what_came_before_does_not_change_the_numbers(data: TrainingData) -> None:
    first = build(replace(QUICK, epochs=1)).fit(data, FitContext(seed=3)).predict(data.validation).logit()
    torch.rand(7)
    second = build(replace(QUICK, epochs=1)).fit(data, FitContext(seed=3)).predict(data.validation).logit()
    np.testing.assert_array_equal(first, second)


def test_validation_rows_of_one_class_are_judged_by_log_loss_alone(data: TrainingData) -> None:
    positives = data.validation.take(np.flatnonzero(data.validation.target == 1))
    metrics: list[dict[str, float]] = []
    context = FitContext(progress=lambda p: metrics.append(dict(p.metrics)) if p.metrics else None)
    build(replace(QUICK, epochs=1)).fit(TrainingData(data.train, positives), context)
    assert [set(each) for each in metrics] == [{"loss"}]


def test_a_single_training_pair_in_batches_of_one_is_learned_from(data: TrainingData) -> None:
    target = data.train.target
    rows = np.array([int(np.argmax(target == 0)), int(np.argmax(target == 1))])
    parameters = replace(QUICK, batch_size=1, epochs=1)
    model = build(parameters).fit(TrainingData(data.train.take(rows), data.validation), FitContext())
    assert np.isfinite(model.predict(data.validation).logit()).all()


def test_a_loss_that_is_no_number_in_the_first_epoch_is_said_with_a_remedy(data: TrainingData) -> None:
    with pytest.raises(DataError, match="Lower the learning rate"):
        build(replace(QUICK, learning_rate=1.0, initial_spread=1.0)).fit(exploding(data), FitContext())


def test_a_loss_that_is_lost_later_keeps_the_best_epoch(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    epochs: Iterator[dict[str, float]] = iter([{"loss": 0.5}, {"loss": float("nan")}])
    monkeypatch.setattr(click, "validation_metrics", lambda *_: next(epochs))
    messages: list[str] = []
    model = build(QUICK).fit(data, FitContext(progress=lambda p: messages.append(p.message)))
    assert np.isfinite(model.predict(data.validation).logit()).all()
    assert "the best epoch before it was kept" in messages[-1]
    assert "not a number" in caplog.text


def exploding(data: TrainingData) -> TrainingData:
    values = np.where(np.isnan(data.train.values), np.nan, 1e30).astype(np.float32)
    train = EncodedDataset(data.schema, data.train.ids, values, data.train.labels)
    return TrainingData(train, data.validation)


def test_the_prior_holds_a_value_back_once_an_epoch_however_often_it_occurs(data: TrainingData) -> None:
    prior = Prior(data.train, 3.0, 0.0, torch.device("cpu"))
    ids = torch.tensor(data.train.ids)
    ones = torch.ones(*ids.shape, 2)
    present = len(np.unique(data.train.ids))
    assert prior.penalty(ids, ones).item() * len(ids) == pytest.approx(3.0 * 2 * present, rel=1e-5)


def test_a_stronger_prior_keeps_embeddings_shorter(data: TrainingData) -> None:
    lengths = [
        build(replace(QUICK, l2=l2)).fit(data, FitContext()).network.embedding.table.norm().item()
        for l2 in (0.0, 300.0)
    ]
    assert lengths[1] < 0.7 * lengths[0]


def test_rows_without_weight_do_not_count(data: TrainingData) -> None:
    labels = data.train.target.copy()
    half = len(labels) // 2
    labels[half:] = 1 - labels[half:]
    weights = np.r_[np.ones(half), np.zeros(len(labels) - half)].astype(np.float32)
    train = EncodedDataset(data.schema, data.train.ids, data.train.values, {"click": labels}, weights)
    model = build(QUICK).fit(TrainingData(train, data.validation), FitContext(seed=1))
    assert auc(data.validation.target, model.predict(data.validation).logit()) > 0.65


def test_weights_that_are_all_zero_are_refused(data: TrainingData) -> None:
    train = replace(data.train, weights=np.zeros(len(data.train), np.float32))
    with pytest.raises(DataError, match="weight above 0"):
        build(QUICK).fit(TrainingData(train, data.validation), FitContext())


def test_ids_never_seen_are_answered_by_the_unknown_vector(data: TrainingData) -> None:
    model = build(replace(QUICK, field_dropout=0.2)).fit(data, FitContext())
    rows = unseen_ids(main_effects(50, seed=5))
    logits = model.predict(rows).logit()
    assert np.isfinite(logits).all()
    assert np.abs(logits).max() < 5


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.id)
def test_a_loaded_model_predicts_bit_by_bit_and_needs_no_training_rows(
    spec: object, data: TrainingData, tmp_path: Path
) -> None:
    parameters = QUICK_PLUS if spec is SPECS[1] else QUICK
    model = build(parameters).fit(data, FitContext(seed=2))
    model.save(tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]
    loaded = load(tmp_path)
    assert (loaded.predict(data.validation).logit() == model.predict(data.validation).logit()).all()
    assert loaded.schema == data.schema


@pytest.mark.parametrize("damage", ["missing", "not json", "cut weights", "newer format", "other parameters"])
def test_a_damaged_model_folder_is_said_in_a_sentence(data: TrainingData, tmp_path: Path, damage: str) -> None:
    build(replace(QUICK, epochs=1)).fit(data, FitContext()).save(tmp_path)
    facts, weights = tmp_path / "model.json", tmp_path / "weights.safetensors"
    plain = json.loads(facts.read_text())
    match damage:
        case "missing":
            weights.unlink()
        case "not json":
            facts.write_text("{")
        case "cut weights":
            weights.write_bytes(weights.read_bytes()[:100])
        case "newer format":
            facts.write_text(json.dumps(plain | {"format": 99}))
        case "other parameters":
            facts.write_text(json.dumps(plain | {"parameters": plain["parameters"] | {"neurons": 7}}))
    with pytest.raises(StorageError, match="does not hold a readable ARM-Net model"):
        load(tmp_path)


def test_rows_of_another_schema_are_refused(data: TrainingData) -> None:
    model = build(replace(QUICK, epochs=1)).fit(data, FitContext())
    with pytest.raises(DataError, match="other fields"):
        model.predict(xor(10))


def test_progress_counts_steps_within_the_epoch_and_says_how_training_ended(data: TrainingData) -> None:
    reports: list[FitProgress] = []
    build(QUICK).fit(data, FitContext(progress=reports.append))
    ends = [report for report in reports if report.metrics]
    assert [report.epoch for report in ends] == [1, 2, 3]
    assert all(report.step == report.steps == 5 for report in ends)
    assert ends[-1].message == "The last epoch is done."
    assert all(report.loss is not None and report.loss > 0 for report in ends)


def test_auc_counts_ties_half_and_respects_weights() -> None:
    target = np.array([0, 1, 0, 1], np.float32)
    assert auc(target, np.array([0.0, 0.0, 0.0, 0.0])) == 0.5
    assert auc(target, np.array([0.1, 0.9, 0.8, 0.2])) == 0.75
    assert auc(target, np.array([0.1, 0.9, 0.8, 0.2]), np.array([1, 1, 1, 3], np.float32)) == pytest.approx(0.625)
