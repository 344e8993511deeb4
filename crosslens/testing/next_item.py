"""What the app relies on in every next-item model, as tests to inherit."""

# The name of a test is its sentence.
# ruff: noqa: D102

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from crosslens.data import RESERVED_IDS, Float32Array
from crosslens.errors import DataError, Stopped, UserError
from crosslens.models import DEVICES, FitContext, FitProgress, ModelSpec, Task
from crosslens.parameters import parameters_from_plain
from crosslens.schema import FieldRole
from crosslens.sequences import Catalogue, HeldOut, NextItemModel, SequenceDataset, SequenceTrainingData

from .agreement import agree
from .checkpoints import Crash, FolderCheckpoints, StopAfter
from .saved_files import check_saved
from .sequences import (
    leave_last_out,
    planted_encoders,
    planted_sequences,
    planted_training,
    sequences,
    small_catalogue,
)
from .spec import SpecContract

_NO_SENTENCE = "the error that refuses it says nothing"


class NextItemContract(SpecContract):
    """Inherit, set `spec`, and pytest runs every promise a next-item model makes to the app.

    parameters  values that differ from the defaults, to keep the tests short
    module      the module whose import must be cheap; by default the one that holds the parameter class
    uses_order  False for a model that scores every history alike
    """

    spec: ClassVar[ModelSpec]
    uses_order: ClassVar[bool] = True
    _model: ClassVar[NextItemModel | None] = None

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls._model = None

    # -- how the tests train ------------------------------------------------------------------------------------------

    @classmethod
    def fit(cls, data: SequenceTrainingData, **lent: Any) -> NextItemModel:
        """Train a new model; `lent` goes into its FitContext."""
        parameters = parameters_from_plain(cls.spec.parameters, cls.parameters)
        context = FitContext(**{"seed": 1, "text_encoders": planted_encoders(), **lent})
        model: NextItemModel = cls.spec.build(parameters).fit(data, context)
        return model

    @classmethod
    def trained(cls) -> NextItemModel:
        """Return a model of `planted_training`, trained once for all tests of the class."""
        if cls._model is None:
            cls._model = cls.fit(planted_training())
        return cls._model

    # -- what it is ---------------------------------------------------------------------------------------------------

    def test_it_is_of_the_task_of_this_contract(self) -> None:
        assert self.spec.task is Task.NEXT_ITEM, f"its task is {self.spec.task.value}: another contract is for it"
        assert self.spec.needs >= {FieldRole.USER, FieldRole.ITEM}, "a next-item model needs the roles user and item"

    # -- what it learns -----------------------------------------------------------------------------------------------

    def test_it_ranks_the_next_item_better_than_chance(self) -> None:
        fresh = leave_last_out(small_catalogue(30), planted_sequences(seed=99)).validation
        ranks = _ranks(self.trained().score(fresh.histories), fresh.targets)
        least = 0.8 * (30 + 1) / 2
        assert ranks.mean() < least, f"the next item has rank {ranks.mean():.1f} of 30 on average, not below {least}"

    def test_the_latest_items_matter(self) -> None:
        if not self.uses_order:
            pytest.skip("scores every history alike")
        catalogue = small_catalogue(30)
        one, other = self.trained().score(sequences(catalogue, [[2, 3, 4], [20, 21, 22]]))
        alike = np.allclose(one[RESERVED_IDS:], other[RESERVED_IDS:])
        assert not alike, "two different histories have the same scores; say uses_order = False if that is meant"

    def test_the_same_seed_gives_the_same_numbers(self) -> None:
        again = self.fit(planted_training())
        histories = _fresh()
        sentence = "trained twice with context.seed = 1, it gives other scores"
        agree(again.score(histories), self.trained().score(histories), sentence)

    def test_training_and_scoring_leave_the_sequences_as_they_were(self) -> None:
        data = planted_training(60)
        before = [array.copy() for array in _arrays(data)]
        self.fit(data).score(data.validation.histories)
        for array, copy in zip(_arrays(data), before, strict=True):
            agree(array, copy, "it writes into the sequences it was given")

    # -- what it answers ----------------------------------------------------------------------------------------------

    def test_every_item_gets_a_score_and_reserved_ids_get_none(self) -> None:
        _check_scores(self.trained(), _fresh())

    def test_scoring_twice_gives_the_same_numbers(self) -> None:
        agree(self.trained().score(_fresh()), self.trained().score(_fresh()), "scored twice, the scores are others")

    def test_a_user_scores_the_same_alone_as_among_others(self) -> None:
        histories, model = _fresh(), self.trained()
        alone = np.concatenate([model.score(histories.take(slice(user, user + 1))) for user in range(5)])
        sentence = "a user's scores depend on the users beside"
        agree(alone, model.score(histories)[:5], sentence, relative=1e-4, absolute=1e-4)

    def test_no_users_get_no_scores(self) -> None:
        _check_scores(self.trained(), _fresh().take(slice(0, 0)))

    def test_a_user_without_a_history_gets_scores_that_favour_what_is_liked(self) -> None:
        catalogue = small_catalogue(30)
        scores = self.trained().score(sequences(catalogue, [[], [2, 3], []]))
        _check_scores(self.trained(), sequences(catalogue, [[], [2, 3], []]))
        counts = np.bincount(planted_training().train.items, minlength=catalogue.size)
        assert counts[scores[0].argmax()] == counts.max(), "without a history it does not favour the item chosen most"
        agree(scores[0], scores[2], "two users without a history have different scores")

    def test_items_outside_the_catalogue_are_passed_over(self) -> None:
        catalogue = small_catalogue(30)
        model = self.trained()
        with_unknown = model.score(sequences(catalogue, [[2, 1, 3], [1]]))
        without = model.score(sequences(catalogue, [[2, 3], []]))
        agree(with_unknown, without, "id 1, an item outside the catalogue, changes the scores")

    def test_a_history_longer_than_any_in_training_is_answered(self) -> None:
        _check_scores(self.trained(), sequences(small_catalogue(30), [[2 + number % 30 for number in range(700)]]))

    def test_histories_of_another_catalogue_are_refused_in_a_sentence(self) -> None:
        with pytest.raises(DataError) as refusal:
            self.trained().score(sequences(small_catalogue(31), [[2]]))
        assert refusal.value.what.strip(), _NO_SENTENCE

    @pytest.mark.parametrize(
        ("items", "histories"),
        [
            (30, []),
            (30, [[]]),
            (30, [[2]]),
            (30, [[2], [3], [4]]),
            (30, [[1, 1, 1]]),
            (30, [[2, 3, 4]]),
            (1, [[2, 2, 2], [2, 2]]),
            (30, [[2, 1, 3, 4], [1, 5, 6]]),
            (0, [[1], [1, 1]]),
            (30, [[number % 30 + 2 for number in range(300)], [2, 3]]),
        ],
        ids=["no users", "an empty history", "one event", "histories of one event", "unknown items only", "one user",
             "one item", "some unknown items", "no item", "one long history"],
    )  # fmt: skip
    def test_odd_sequences_are_answered_or_refused_in_a_sentence(self, items: int, histories: list[list[int]]) -> None:
        data = leave_last_out(small_catalogue(items), histories)
        try:
            model = self.fit(data)
        except UserError as error:
            assert error.what.strip(), _NO_SENTENCE
        else:
            _check_scores(model, data.train)

    def test_items_without_titles_and_texts_are_answered(self) -> None:
        data = planted_training(60)
        plain = Catalogue(data.catalogue.size)
        _check_scores(self.fit(_with_catalogue(data, plain)), _fresh())

    def test_thousands_of_items_most_of_them_never_chosen_are_answered(self) -> None:
        data = planted_training(60, 3000)
        _check_scores(self.fit(data), data.train)

    def test_nobody_to_validate_on_is_answered(self) -> None:
        data = planted_training(60)
        nobody = HeldOut(data.train.take(slice(0, 0)), np.zeros(0, np.int32))
        _check_scores(self.fit(SequenceTrainingData(data.train, nobody)), _fresh())

    # -- how it trains ------------------------------------------------------------------------------------------------

    def test_stop_before_the_first_batch_ends_training_at_once(self) -> None:
        asked = StopAfter(0)
        started = time.monotonic()
        self._fit_until(asked)
        assert asked.more <= 2, "training went on after should_stop had said yes"
        assert time.monotonic() - started < 10, "training went on after should_stop had said yes"

    def test_stop_in_the_middle_ends_training_within_one_batch(self) -> None:
        asked = StopAfter(4)
        model = self._fit_until(asked)
        assert asked.more <= 2, "training went on after should_stop had said yes"
        if model is not None:
            _check_scores(model, _fresh())

    def _fit_until(self, asked: StopAfter) -> NextItemModel | None:
        try:
            return self.fit(planted_training(), should_stop=asked)
        except Stopped:
            return None

    @pytest.mark.parametrize("device", DEVICES)
    def test_every_device_is_used_or_passed_over_or_refused_in_a_sentence(self, device: str) -> None:
        try:
            model = self.fit(planted_training(40), device=device)
        except UserError as error:
            assert device not in ("auto", "cpu"), f"every machine has {device!r}, which the app asks for: {error}"
            assert error.what.strip(), _NO_SENTENCE
        else:
            _check_scores(model, _fresh())

    def test_progress_is_reported_with_finite_metrics_and_never_goes_back(self) -> None:
        seen: list[FitProgress] = []
        self.fit(planted_training(100), progress=seen.append)
        moments = [(progress.epoch, progress.step) for progress in seen]
        metrics = [value for progress in seen for value in progress.metrics.values()]
        assert moments, "context.progress was never called"
        assert moments == sorted(moments), "epoch or step went back"
        beyond = [each for each in seen if each.epoch > each.epochs or each.step > each.steps]
        assert beyond == [], "more epochs or steps are done than there are"
        assert metrics, "no FitProgress had metrics of the validation targets"
        assert np.isfinite(metrics).all(), f"some metrics are not finite: {metrics}"

    def test_a_training_broken_off_goes_on_to_the_same_numbers(self, tmp_path: Path) -> None:
        data = planted_training(100)
        whole = self.fit(data)
        kept = FolderCheckpoints(tmp_path)

        def crash_in_the_second_epoch(progress: FitProgress) -> None:
            if progress.epoch == 2:
                raise Crash

        try:
            self.fit(data, checkpoints=kept, progress=crash_in_the_second_epoch)
        except Crash:
            assert kept.latest() is not None, "nothing was kept with context.checkpoints at the end of an epoch"
        resumed = self.fit(data, checkpoints=kept)
        sentence = "broken off and resumed, it comes to other scores than in one go"
        agree(resumed.score(_fresh()), whole.score(_fresh()), sentence)

    # -- what it keeps ------------------------------------------------------------------------------------------------

    def test_a_saved_model_scores_the_same_after_loading(self, tmp_path: Path) -> None:
        self.trained().save(tmp_path)
        loaded = self.spec.load(tmp_path)
        assert loaded.catalogue.size == self.trained().catalogue.size, "it ranks another number of items once loaded"
        histories = sequences(small_catalogue(30), [[], *planted_sequences(20, seed=5)])
        agree(loaded.score(histories), self.trained().score(histories), "it gives other scores once loaded")

    def test_saved_files_hold_no_pickle(self, tmp_path: Path) -> None:
        self.trained().save(tmp_path)
        check_saved(tmp_path)

    def test_a_folder_without_the_model_is_refused_in_a_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(UserError) as refusal:
            self.spec.load(tmp_path)
        assert refusal.value.what.strip(), _NO_SENTENCE


def _fresh() -> SequenceDataset:
    return sequences(small_catalogue(30), planted_sequences(40, seed=5))


def _with_catalogue(data: SequenceTrainingData, catalogue: Catalogue) -> SequenceTrainingData:
    train, histories = data.train, data.validation.histories
    return SequenceTrainingData(
        SequenceDataset(catalogue, train.offsets, train.items, train.times, train.users),
        HeldOut(
            SequenceDataset(catalogue, histories.offsets, histories.items, histories.times, histories.users),
            data.validation.targets,
        ),
    )


def _arrays(data: SequenceTrainingData) -> list[np.ndarray[Any, Any]]:
    histories = data.validation.histories
    return [data.train.offsets, data.train.items, histories.offsets, histories.items, data.validation.targets]


def _ranks(scores: Float32Array, targets: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    own = scores[np.arange(len(scores)), targets][:, None]
    return np.asarray((scores > own).sum(axis=1) + ((scores == own).sum(axis=1) + 1) / 2)


def _check_scores(model: NextItemModel, histories: SequenceDataset) -> None:
    scores = model.score(histories)
    shape = (len(histories), histories.catalogue.size)
    assert scores.dtype == np.float32, f"scores are {scores.dtype}, not float32"
    assert scores.shape == shape, f"scores have the shape {scores.shape}, not {shape}"
    assert (scores[:, :RESERVED_IDS] == -np.inf).all(), "ids 0 and 1 are no items: their scores are to be -inf"
    assert np.isfinite(scores[:, RESERVED_IDS:]).all(), "some scores of items are not finite"
