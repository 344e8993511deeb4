"""What the app relies on in every model of a binary label, as tests to inherit."""

# The name of a test is its sentence.
# ruff: noqa: D102

from __future__ import annotations

import json
import time
from collections.abc import Mapping
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
from crosslens.models import ExplainContext, FitContext, FitProgress, FittedModel, ModelSpec, Task
from crosslens.parameters import describe_parameters, parameters_from_plain, parameters_to_plain

from .checkpoints import StopAfter
from .imports import import_alone
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
from .saved_files import pickled_files

Float64Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class ModelContract:
    """Inherit, set `spec`, and pytest runs every promise a model makes to the app.

    parameters            values that differ from the defaults, to keep the tests short
    learns_interactions   False for a model that is additive by construction
    module                the module whose import must be cheap; by default the one that holds the parameter class
    task, asking          the task of the model, and how it is asked to explain; `FunnelContract` sets them for funnels
    """

    spec: ClassVar[ModelSpec]
    parameters: ClassVar[Mapping[str, Any]] = {}
    learns_interactions: ClassVar[bool] = True
    module: ClassVar[str] = ""
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

    def test_the_spec_describes_itself(self) -> None:
        assert self.spec.task is self.task
        assert self.spec.id == self.spec.id.strip().lower()
        assert " " not in self.spec.id
        assert self.spec.title.strip()
        assert self.spec.summary.strip()

    def test_importing_the_spec_is_cheap_and_needs_no_heavy_library(self) -> None:
        seconds, heavy = import_alone(self.module or self.spec.parameters.__module__)
        assert heavy == []
        assert seconds < 2.0

    def test_parameters_survive_json(self) -> None:
        given = parameters_from_plain(self.spec.parameters, self.parameters)
        text = json.dumps(parameters_to_plain(given))
        assert parameters_from_plain(self.spec.parameters, json.loads(text)) == given

    def test_every_default_is_within_its_range_and_has_a_label(self) -> None:
        defaults = parameters_to_plain(self.spec.parameters())
        assert parameters_from_plain(self.spec.parameters, defaults) == self.spec.parameters()
        assert all(info.label.strip() for info in describe_parameters(self.spec.parameters))

    # -- what it learns -----------------------------------------------------------------------------------------------

    def test_it_beats_the_base_rate_on_new_rows(self) -> None:
        fresh = main_effects(seed=99)
        rate = float(_learnable().train.target.mean())
        constant = np.full(len(fresh), np.log(rate / (1 - rate)))
        assert _log_loss(self.trained().predict(fresh).logit(), fresh) < 0.95 * _log_loss(constant, fresh)

    def test_it_learns_xor_of_two_fields(self) -> None:
        if not self.learns_interactions:
            pytest.skip("additive by construction")
        model = self.fit(training_data(xor()))
        fresh = xor(seed=99, noise=0.0)
        assert np.mean((model.predict(fresh).logit() > 0) == (fresh.target > 0.5)) > 0.95

    def test_rows_that_weigh_more_count_for_more(self) -> None:
        data, rows = _learnable(), main_effects(500, seed=5)
        weighted = TrainingData(heavier_positives(data.train), heavier_positives(data.validation))
        plain, heavy = (model.predict(rows).probability().mean() for model in (self.trained(), self.fit(weighted)))
        assert heavy > plain + 0.1, "positive rows that weigh 4 times as much change nothing: are weights used?"

    def test_the_same_seed_gives_the_same_numbers(self) -> None:
        again = self.fit(_learnable())
        rows = main_effects(500, seed=5)
        np.testing.assert_array_equal(again.predict(rows).logit(), self.trained().predict(rows).logit())

    def test_training_and_predicting_leave_the_rows_as_they_were(self) -> None:
        data = training_data(main_effects(400, seed=3))
        before = [array.copy() for array in _arrays(data.train)]
        self.fit(data).predict(data.train)
        for array, copy in zip(_arrays(data.train), before, strict=True):
            np.testing.assert_array_equal(array, copy)

    # -- what it answers ----------------------------------------------------------------------------------------------

    def test_probabilities_are_finite_and_between_0_and_1(self) -> None:
        rows = main_effects(500, seed=5)
        _check_answer(self.trained(), rows)

    def test_a_row_scores_the_same_alone_as_among_others(self) -> None:
        rows, model = main_effects(50, seed=5), self.trained()
        alone = [model.predict(rows.take(slice(i, i + 1))).logit()[0] for i in range(5)]
        np.testing.assert_allclose(alone, model.predict(rows).logit()[:5], rtol=1e-5, atol=1e-5)

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
            assert error.what.strip()
        else:
            _check_answer(model, rows)

    @pytest.mark.parametrize("rows", [0, 1, 2])
    def test_a_handful_of_training_rows_is_answered_or_refused_in_a_sentence(self, rows: int) -> None:
        data = main_effects(40)
        try:
            model = self.fit(TrainingData(data.take(slice(0, rows)), data.take(slice(20, 40))))
        except UserError as error:
            assert error.what.strip()
        else:
            _check_answer(model, data)

    # -- how it trains ------------------------------------------------------------------------------------------------

    def test_stop_before_the_first_batch_ends_training_at_once(self) -> None:
        asked = StopAfter(0)
        started = time.monotonic()
        self._fit_until(asked)
        assert asked.more <= 1, "should_stop was asked on and on after it had said yes"
        assert time.monotonic() - started < 10

    def test_stop_in_the_middle_ends_training_within_one_batch(self) -> None:
        asked = StopAfter(2)
        model = self._fit_until(asked)
        assert asked.answers > 2, "should_stop was not asked often enough to stop in the middle"
        assert asked.more <= 1
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
        assert all(progress.epoch <= progress.epochs and progress.step <= progress.steps for progress in seen)
        assert all(progress.rows_per_second >= 0 for progress in seen)

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
        assert np.isfinite(losses).all()
        assert min(losses[1:]) < losses[0]

    # -- what it keeps ------------------------------------------------------------------------------------------------

    def test_a_saved_model_predicts_the_same_after_loading(self, tmp_path: Path) -> None:
        model, rows = self.trained(), main_effects(300, seed=5)
        model.save(tmp_path)
        loaded = self.spec.load(tmp_path)
        assert loaded.schema == model.schema
        np.testing.assert_array_equal(loaded.predict(rows).logit(), model.predict(rows).logit())

    def test_a_loaded_model_explains_the_same(self, tmp_path: Path) -> None:
        model, rows = self.trained(), main_effects(60, seed=5)
        model.save(tmp_path)
        kinds = sorted(self.spec.explains)
        before = model.explain(rows, kinds, self.asking)
        after = self.spec.load(tmp_path).explain(rows, kinds, self.asking)
        for one, other in zip(before, after, strict=True):
            np.testing.assert_allclose(_numbers(one), _numbers(other), rtol=1e-6, atol=1e-6)

    def test_saved_files_hold_no_pickle(self, tmp_path: Path) -> None:
        self.trained().save(tmp_path)
        assert any(path.is_file() for path in tmp_path.rglob("*"))
        assert pickled_files(tmp_path) == ()

    # -- what it explains ---------------------------------------------------------------------------------------------

    def test_it_explains_what_it_says_it_explains(self) -> None:
        rows = main_effects(100, seed=5)
        for kind in sorted(self.spec.explains):
            (explanation,) = self.trained().explain(rows, [kind], self.asking)
            assert explanation.kind is kind
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
        assert shares.values.shape == (0, len(rows.schema.fields))

    def test_the_pair_of_an_xor_is_the_strongest_pair(self) -> None:
        if ExplanationKind.PAIR_INTERACTIONS not in self.spec.explains:
            pytest.skip("offers no pairs")
        model = self.fit(training_data(xor()))
        (pairs,) = model.explain(xor(500, seed=5), [ExplanationKind.PAIR_INTERACTIONS], self.asking)
        assert isinstance(pairs, PairInteractions)
        strongest = np.unravel_index(np.argmax(pairs.values), pairs.values.shape)
        assert {pairs.fields[i] for i in strongest} == {"left", "right"}


def _learnable() -> TrainingData:
    return training_data(main_effects())


def _arrays(data: EncodedDataset) -> list[np.ndarray[Any, Any]]:
    return [data.ids, data.values, *data.labels.values()]


def _log_loss(logits: Float64Array, rows: EncodedDataset) -> float:
    return float(np.mean(np.logaddexp(0.0, np.where(rows.target > 0.5, -logits, logits))))


def _check_answer(model: FittedModel, rows: EncodedDataset) -> None:
    predictions = model.predict(rows)
    probability = predictions.probability()
    assert predictions.logit().dtype == np.float64
    assert probability.shape == (len(rows),)
    assert np.isfinite(predictions.logit()).all(), "some logits are not finite"
    assert ((probability >= 0) & (probability <= 1)).all(), "some probabilities are not between 0 and 1"


def _check_explanation(explanation: Explanation, model: FittedModel, rows: EncodedDataset) -> None:
    assert explanation.method.strip()
    if isinstance(explanation, InteractionTerms):
        _check_terms(explanation, rows)
        return
    assert explanation.fields == rows.schema.names
    assert np.isfinite(explanation.values).all(), "some numbers of the explanation are not finite"
    if isinstance(explanation, Contributions):
        _check_contributions(explanation, model, rows)
    elif isinstance(explanation, FieldImportance):
        assert explanation.values.shape == (len(explanation.fields),)
        assert (explanation.values >= 0).all()
    else:
        _check_pairs(explanation)


def _check_contributions(shares: Contributions, model: FittedModel, rows: EncodedDataset) -> None:
    assert shares.values.shape == (len(rows), len(shares.fields))
    np.testing.assert_allclose(shares.baseline + shares.values.sum(axis=1), shares.logits, atol=1e-4)
    np.testing.assert_allclose(shares.logits, model.predict(rows).logit(), atol=1e-4)


def _check_pairs(pairs: PairInteractions) -> None:
    assert pairs.values.shape == (len(pairs.fields), len(pairs.fields))
    np.testing.assert_allclose(pairs.values, pairs.values.T)
    assert (np.diagonal(pairs.values) == 0).all()
    assert (pairs.values >= 0).all()


def _check_terms(terms: InteractionTerms, rows: EncodedDataset) -> None:
    frequencies = [term.frequency for term in terms.terms]
    assert frequencies == sorted(frequencies, reverse=True)
    assert all(term.frequency >= 0 and np.isfinite(term.weight) for term in terms.terms)
    assert all(set(term.fields) <= set(rows.schema.names) for term in terms.terms)
    assert all(len(set(term.fields)) == len(term.fields) for term in terms.terms)


def _numbers(explanation: Explanation) -> Float64Array:
    if isinstance(explanation, InteractionTerms):
        return np.array([(term.frequency, term.weight) for term in explanation.terms], np.float64)
    return np.asarray(explanation.values, np.float64)
