"""What the app relies on in every model of a binary label, as tests to inherit."""

# The name of a test is its sentence.
# ruff: noqa: D102

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pytest

from crosslens.data import EncodedDataset, TrainingData
from crosslens.errors import Stopped, UserError
from crosslens.explanations import (
    Contributions,
    Explanation,
    ExplanationKind,
    FieldImportance,
    InteractionTerms,
    PairInteractions,
)
from crosslens.models import DEVICES, ExplainContext, FitContext, FitProgress, FittedModel, ModelSpec, Task
from crosslens.parameters import parameters_from_plain

from .agreement import agree
from .checkpoints import StopAfter
from .rows import (
    all_missing_column,
    heavier_positives,
    main_effects,
    many_categories,
    one_class,
    training_data,
    unseen_ids,
    xor,
)
from .saved_files import check_saved
from .spec import SpecContract

_NO_SENTENCE = "the error that refuses it says nothing"

Float64Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class ModelContract(SpecContract):
    """Inherit, set `spec`, and pytest runs every promise a model makes to the app.

    parameters            values that differ from the defaults, to keep the tests short
    learns_interactions   False for a model that is additive by construction
    module                the module whose import must be cheap; by default the one that holds the parameter class
    task, asking          the task of the model, and how it is asked to explain; `FunnelContract` sets them for funnels
    """

    spec: ClassVar[ModelSpec]
    learns_interactions: ClassVar[bool] = True
    task: ClassVar[Task] = Task.CTR
    asking: ClassVar[ExplainContext] = ExplainContext()
    _model: ClassVar[FittedModel | None] = None
    _seen: ClassVar[tuple[FitProgress, ...] | None] = None

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls._model = None
        cls._seen = None

    # -- how the tests train ------------------------------------------------------------------------------------------

    @classmethod
    def fit(cls, data: TrainingData, context: FitContext | None = None) -> FittedModel:
        """Train a new model."""
        parameters = parameters_from_plain(cls.spec.parameters, cls.parameters)
        model: FittedModel = cls.spec.build(parameters).fit(cls.training(data), context or FitContext(seed=1))
        return model

    @classmethod
    def training(cls, data: TrainingData) -> TrainingData:
        """Return the rows as a model of this task gets them."""
        return data

    @classmethod
    def trained(cls) -> FittedModel:
        """Return a model of `main_effects`, trained once for all tests of the class."""
        if cls._model is None:
            cls._model = cls.fit(_learnable())
        return cls._model

    @classmethod
    def reported(cls) -> tuple[FitProgress, ...]:
        """Return what a short training reported, run once for all tests of the class."""
        if cls._seen is None:
            seen: list[FitProgress] = []
            cls.fit(training_data(main_effects(800)), FitContext(seed=1, progress=seen.append))
            cls._seen = tuple(seen)
        return cls._seen

    # -- what it is ---------------------------------------------------------------------------------------------------

    def test_it_is_of_the_task_of_this_contract(self) -> None:
        assert self.spec.task is self.task, f"its task is {self.spec.task.value}; is this the right contract for it?"

    # -- what it learns -----------------------------------------------------------------------------------------------

    def test_it_beats_the_base_rate_on_new_rows(self) -> None:
        fresh = main_effects(seed=99)
        rate = float(_learnable().train.target.mean())
        constant = np.full(len(fresh), np.log(rate / (1 - rate)))
        loss, least = _log_loss(self.trained().predict(fresh).logit(), fresh), 0.95 * _log_loss(constant, fresh)
        assert loss < least, f"log loss {loss:.3f} on new rows; below {least:.3f} it has learned something"

    def test_it_learns_xor_of_two_fields(self) -> None:
        if not self.learns_interactions:
            pytest.skip("additive by construction")
        model = self.fit(training_data(xor()))
        fresh = xor(seed=99, noise=0.0)
        right = np.mean((model.predict(fresh).logit() > 0) == (fresh.target > 0.5))
        assert right > 0.95, f"{right:.0%} of rows are right, not 95 %; say learns_interactions = False if it adds up"

    def test_rows_that_weigh_more_count_for_more(self) -> None:
        data, rows = _learnable(), main_effects(500, seed=5)
        weighted = TrainingData(heavier_positives(data.train), heavier_positives(data.validation))
        plain, heavy = (model.predict(rows).probability().mean() for model in (self.trained(), self.fit(weighted)))
        assert heavy > plain + 0.1, "positive rows that weigh 4 times as much change nothing: are weights used?"

    def test_the_same_seed_gives_the_same_numbers(self) -> None:
        again = self.fit(_learnable())
        rows = main_effects(500, seed=5)
        one, other = again.predict(rows).logit(), self.trained().predict(rows).logit()
        agree(one, other, "trained twice with context.seed = 1, it predicts other numbers")

    def test_training_and_predicting_leave_the_rows_as_they_were(self) -> None:
        data = training_data(main_effects(400, seed=3))
        before = [array.copy() for array in _arrays(data.train)]
        self.fit(data).predict(data.train)
        for array, copy in zip(_arrays(data.train), before, strict=True):
            agree(array, copy, "it writes into the rows it was given")

    # -- what it answers ----------------------------------------------------------------------------------------------

    def test_probabilities_are_finite_and_between_0_and_1(self) -> None:
        rows = main_effects(500, seed=5)
        _check_answer(self.trained(), rows)

    def test_a_row_scores_the_same_alone_as_among_others(self) -> None:
        rows, model = main_effects(50, seed=5), self.trained()
        alone = [model.predict(rows.take(slice(i, i + 1))).logit()[0] for i in range(5)]
        among = model.predict(rows).logit()[:5]
        agree(alone, among, "a row's logit depends on the rows beside it", relative=1e-5, absolute=1e-5)

    def test_no_rows_give_no_predictions(self) -> None:
        _check_answer(self.trained(), main_effects(10).take(slice(0, 0)))

    def test_unseen_values_are_answered(self) -> None:
        _check_answer(self.trained(), unseen_ids(main_effects(10)))

    def test_a_column_without_any_value_is_answered(self) -> None:
        rows = all_missing_column(main_effects(600))
        _check_answer(self.fit(training_data(rows)), rows)
        _check_answer(self.trained(), rows)

    def test_ten_thousand_categories_are_answered(self) -> None:
        rows = many_categories()
        model = self.fit(training_data(rows))
        _check_answer(model, rows)
        _check_answer(model, many_categories(seed=1))

    def test_validation_rows_of_one_class_are_answered(self) -> None:
        data = _learnable()
        rows = main_effects(20, seed=5)
        _check_answer(self.fit(TrainingData(main_effects(400), one_class(data.validation))), rows)

    @pytest.mark.parametrize("label", [0.0, 1.0])
    def test_training_rows_of_one_class_are_answered_or_refused_in_a_sentence(self, label: float) -> None:
        rows = one_class(main_effects(200), label=label)
        try:
            model = self.fit(training_data(rows))
        except UserError as error:
            assert error.what.strip(), _NO_SENTENCE
        else:
            _check_answer(model, rows)

    @pytest.mark.parametrize("rows", [0, 1, 2])
    def test_a_handful_of_training_rows_is_answered_or_refused_in_a_sentence(self, rows: int) -> None:
        data = main_effects(40)
        try:
            model = self.fit(TrainingData(data.take(slice(0, rows)), data.take(slice(20, 40))))
        except UserError as error:
            assert error.what.strip(), _NO_SENTENCE
        else:
            _check_answer(model, data)

    # -- how it trains ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("device", DEVICES)
    def test_every_device_is_used_or_passed_over_or_refused_in_a_sentence(self, device: str) -> None:
        rows = main_effects(200, seed=3)
        try:
            model = self.fit(training_data(rows), FitContext(seed=1, device=device))
        except UserError as error:
            assert device not in ("auto", "cpu"), f"every machine has {device!r}, which the app asks for: {error}"
            assert error.what.strip(), _NO_SENTENCE
        else:
            _check_answer(model, rows)
            model.explain(rows, sorted(self.spec.explains), self.asking)

    def test_stop_before_the_first_batch_ends_training_at_once(self) -> None:
        asked = StopAfter(0)
        started = time.monotonic()
        self._fit_until(asked)
        assert asked.more <= 1, "should_stop was asked on and on after it had said yes"
        assert time.monotonic() - started < 10, "training went on after should_stop had said yes"

    def test_stop_in_the_middle_ends_training_within_one_batch(self) -> None:
        asked = StopAfter(2)
        model = self._fit_until(asked)
        assert asked.answers > 2, "should_stop was not asked often enough to stop in the middle"
        assert asked.more <= 1, "training went on after should_stop had said yes"
        if model is not None:
            _check_answer(model, main_effects(20, seed=5))

    def _fit_until(self, asked: StopAfter) -> FittedModel | None:
        try:
            return self.fit(_learnable(), FitContext(seed=1, should_stop=asked))
        except Stopped:
            return None

    def test_progress_is_reported_and_never_goes_back(self) -> None:
        seen = self.reported()
        moments = [(progress.epoch, progress.step) for progress in seen]
        assert moments, "context.progress was never called"
        assert moments == sorted(moments), "epoch or step went back"
        beyond = [each for each in seen if each.epoch > each.epochs or each.step > each.steps]
        assert beyond == [], "more epochs or steps are done than there are"
        assert all(progress.rows_per_second >= 0 for progress in seen), "rows_per_second is below 0"

    def test_progress_carries_finite_validation_metrics(self) -> None:
        metrics = [value for progress in self.reported() for value in progress.metrics.values()]
        assert metrics, "no FitProgress had metrics of the validation rows"
        assert np.isfinite(metrics).all(), f"some metrics are not finite: {metrics}"

    def test_the_loss_falls_while_it_trains(self) -> None:
        training = [progress.loss for progress in self.reported() if progress.loss is not None]
        validation = [progress.metrics["loss"] for progress in self.reported() if "loss" in progress.metrics]
        losses = training or validation
        if len(losses) < 2:
            pytest.skip("reports no loss, or only once")
        assert np.isfinite(losses).all(), f"some losses are not finite: {losses}"
        assert min(losses[1:]) < losses[0], f"no loss is below the first one: {losses}"

    # -- what it keeps ------------------------------------------------------------------------------------------------

    def test_a_saved_model_predicts_the_same_after_loading(self, tmp_path: Path) -> None:
        model, rows = self.trained(), main_effects(300, seed=5)
        model.save(tmp_path)
        loaded = self.spec.load(tmp_path)
        assert loaded.schema == model.schema, "the schema is not the one that was saved"
        agree(loaded.predict(rows).logit(), model.predict(rows).logit(), "it predicts other numbers once loaded")

    def test_a_loaded_model_explains_the_same(self, tmp_path: Path) -> None:
        model, rows = self.trained(), main_effects(60, seed=5)
        model.save(tmp_path)
        kinds = sorted(self.spec.explains)
        before = model.explain(rows, kinds, self.asking)
        after = self.spec.load(tmp_path).explain(rows, kinds, self.asking)
        for one, other in zip(before, after, strict=True):
            sentence = f"its {one.kind.value} are others once loaded"
            agree(_numbers(other), _numbers(one), sentence, relative=1e-6, absolute=1e-6)

    def test_saved_files_hold_no_pickle(self, tmp_path: Path) -> None:
        self.trained().save(tmp_path)
        check_saved(tmp_path)

    # -- what it explains ---------------------------------------------------------------------------------------------

    def test_it_explains_what_it_says_it_explains(self) -> None:
        rows = main_effects(100, seed=5)
        for kind in sorted(self.spec.explains):
            made = self.trained().explain(rows, [kind], self.asking)
            kinds = [each.kind.value for each in made]
            assert kinds == [kind.value], f"asked for {kind.value}, as the spec promises, it gave {kinds or 'nothing'}"
            (explanation,) = made
            _check_explanation(explanation, self.trained(), rows)

    def test_a_single_row_is_explained(self) -> None:
        row = main_effects(20, seed=5).take(slice(3, 4))
        for explanation in self.trained().explain(row, sorted(self.spec.explains), self.asking):
            _check_explanation(explanation, self.trained(), row)

    def test_no_rows_have_no_contributions(self) -> None:
        if ExplanationKind.CONTRIBUTIONS not in self.spec.explains:
            pytest.skip("offers no contributions")
        rows = main_effects(10).take(slice(0, 0))
        (shares,) = self.trained().explain(rows, [ExplanationKind.CONTRIBUTIONS], self.asking)
        assert isinstance(shares, Contributions)
        _check_shape(shares.values, (0, len(rows.schema.fields)), "contributions of no rows")

    def test_the_pair_of_an_xor_is_the_strongest_pair(self) -> None:
        if ExplanationKind.PAIR_INTERACTIONS not in self.spec.explains:
            pytest.skip("offers no pairs")
        model = self.fit(training_data(xor()))
        (pairs,) = model.explain(xor(500, seed=5), [ExplanationKind.PAIR_INTERACTIONS], self.asking)
        assert isinstance(pairs, PairInteractions)
        strongest = np.unravel_index(np.argmax(pairs.values), pairs.values.shape)
        named = sorted({pairs.fields[i] for i in strongest})
        assert named == ["left", "right"], f"left xor right is the label, but the strongest pair is {named}"


def _learnable() -> TrainingData:
    return training_data(main_effects())


def _arrays(data: EncodedDataset) -> list[np.ndarray[Any, Any]]:
    return [data.ids, data.values, *data.labels.values()]


def _log_loss(logits: Float64Array, rows: EncodedDataset) -> float:
    return float(np.mean(np.logaddexp(0.0, np.where(rows.target > 0.5, -logits, logits))))


def _check_shape(array: Any, shape: tuple[int, ...], what: str) -> None:
    assert np.shape(array) == shape, f"the {what} have the shape {np.shape(array)}, not {shape}"


def _check_answer(model: FittedModel, rows: EncodedDataset) -> None:
    predictions = model.predict(rows)
    probability = predictions.probability()
    assert predictions.logit().dtype == np.float64, f"logits are {predictions.logit().dtype}, not float64"
    _check_shape(probability, (len(rows),), "logits")
    assert np.isfinite(predictions.logit()).all(), "some logits are not finite"
    assert ((probability >= 0) & (probability <= 1)).all(), "some probabilities are not between 0 and 1"


def _check_explanation(explanation: Explanation, model: FittedModel, rows: EncodedDataset) -> None:
    assert explanation.method.strip(), "method is empty: how was it computed?"
    if isinstance(explanation, InteractionTerms):
        _check_terms(explanation, rows)
        return
    names = rows.schema.names
    assert explanation.fields == names, f"its fields are {explanation.fields}, those of the schema are {names}"
    assert np.isfinite(explanation.values).all(), "some numbers of the explanation are not finite"
    if isinstance(explanation, Contributions):
        _check_contributions(explanation, model, rows)
    elif isinstance(explanation, FieldImportance):
        _check_shape(explanation.values, (len(names),), "numbers of the field importance")
        assert (explanation.values >= 0).all(), "some field importance is below 0"
    else:
        _check_pairs(explanation)


def _check_contributions(shares: Contributions, model: FittedModel, rows: EncodedDataset) -> None:
    _check_shape(shares.values, (len(rows), len(shares.fields)), "contributions")
    added = shares.baseline + shares.values.sum(axis=1)
    agree(added, shares.logits, "baseline and contributions of a row do not add up to its logit", absolute=1e-4)
    agree(shares.logits, model.predict(rows).logit(), "contributions carry other logits than predict", absolute=1e-4)


def _check_pairs(pairs: PairInteractions) -> None:
    _check_shape(pairs.values, (len(pairs.fields), len(pairs.fields)), "numbers of the pairs")
    agree(pairs.values, pairs.values.T, "the matrix of pairs is not symmetric", relative=1e-7)
    assert (np.diagonal(pairs.values) == 0).all(), "the diagonal of the matrix of pairs is not 0"
    assert (pairs.values >= 0).all(), "some pairs have a strength below 0"


def _check_terms(terms: InteractionTerms, rows: EncodedDataset) -> None:
    frequencies = [term.frequency for term in terms.terms]
    assert frequencies == sorted(frequencies, reverse=True), "the most frequent terms do not come first"
    assert all(term.frequency >= 0 for term in terms.terms), "some frequency is below 0"
    assert all(np.isfinite(term.weight) for term in terms.terms), "some weight is not finite"
    strange = sorted({name for term in terms.terms for name in term.fields} - set(rows.schema.names))
    assert strange == [], f"terms name fields that are not in the schema: {strange}"
    assert all(len(set(term.fields)) == len(term.fields) for term in terms.terms), "a term names a field twice"


def _numbers(explanation: Explanation) -> Float64Array:
    if isinstance(explanation, InteractionTerms):
        return np.array([(term.frequency, term.weight) for term in explanation.terms], np.float64)
    return np.asarray(explanation.values, np.float64)
