"""What the app relies on in every model of a funnel, as tests to inherit; and rows with a known funnel."""

# The name of a test is its sentence.
# ruff: noqa: D102

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from crosslens.data import EncodedDataset, TrainingData
from crosslens.errors import UserError
from crosslens.explanations import Contributions, ExplanationKind
from crosslens.models import ExplainContext, FitContext, Output, Task
from crosslens.schema import FieldRole

from .agreement import agree
from .contract import ModelContract
from .rows import frozen, main_effects, one_class, training_data

_SHAPE = np.array([-0.9, 0.0, 0.9])


def with_conversions(data: EncodedDataset, *, rate: float = 0.4, seed: int = 0) -> EncodedDataset:
    """Return the same rows with a second label: of the clicked ones, a random share of `rate` converts."""
    clicked = np.asarray(data.target) > 0.5
    converted = clicked & (np.random.default_rng(seed).random(len(data)) < rate)
    return frozen(data.with_labels({"click": np.array(data.target), "conversion": converted.astype(np.float32)}))


def main_effects_funnel(rows: int = 4000, *, seed: int = 0) -> EncodedDataset:
    """Return the rows of `main_effects` with conversions: of clicked rows, a sum of effects of shape and size.

    The logit of pCVR is -0.3 + (-0.9, 0, 0.9)[shape] - 0.7 size; colour, region and age do nothing for it.
    """
    data = main_effects(rows, seed=seed)
    shape = data.local_ids()[:, 1] - 2
    chance = 1 / (1 + np.exp(0.3 - _SHAPE[shape] + 0.7 * data.values[:, 0]))
    drawn = np.random.default_rng(seed + 1).random(rows) < chance
    converted = drawn & (np.asarray(data.target) > 0.5)
    return frozen(data.with_labels({"click": np.array(data.target), "conversion": converted.astype(np.float32)}))


class FunnelContract(ModelContract):
    """What `ModelContract` asks is asked of the first output, clicks; what is particular to funnels comes on top."""

    task: ClassVar[Task] = Task.FUNNEL
    asking: ClassVar[ExplainContext] = ExplainContext(output=Output.CLICK.value)

    @classmethod
    def training(cls, data: TrainingData) -> TrainingData:
        """Return the rows with conversions, which contracts of one label do not have."""
        if "conversion" in data.train.labels:
            return data
        return TrainingData(*(with_conversions(part, seed=place) for place, part in enumerate(_parts(data))))

    def test_it_needs_both_labels(self) -> None:
        assert {FieldRole.CLICK, FieldRole.CONVERSION} <= self.spec.needs

    def test_its_outputs_are_named_as_those_of_a_funnel(self) -> None:
        rows = main_effects_funnel(50, seed=5)
        named = self.trained().predict(rows).logits
        known = [output.value for output in Output]
        assert named, "predict() names no output"
        assert set(named) <= set(known), f"outputs are called {list(named)}; those of a funnel are {known}"
        assert next(iter(named)) == min(named, key=known.index), (
            f"the first output is to be the first of {known} it has"
        )
        for name, logits in named.items():
            assert logits.shape == (50,), f"the logits of {name} have the shape {logits.shape}, not (50,)"
            assert np.isfinite(logits).all(), f"some logits of {name} are not finite"

    def test_the_product_is_no_likelier_than_either_of_its_parts(self) -> None:
        found = self.trained().predict(main_effects_funnel(300, seed=5))
        if len(found.logits) < len(Output):
            pytest.skip("does not predict all three")
        click, conversion, both = (found.probability(output.value) for output in Output)
        agree(both, click * conversion, "pCTCVR is not pCTR times pCVR", relative=1e-4, absolute=1e-7)

    def test_conversions_are_learned_from_clicked_rows(self) -> None:
        data = training_data(main_effects_funnel())
        model, fresh = self.fit(data), main_effects_funnel(seed=77)
        clicked = fresh.take(np.flatnonzero(fresh.target > 0.5))
        predictions = model.predict(clicked)
        if Output.CONVERSION.value not in predictions.logits:
            pytest.skip("does not predict conversions")
        target = clicked.labels["conversion"]
        rate = float(target.mean())
        constant = -rate * np.log(rate) - (1 - rate) * np.log1p(-rate)
        logits = predictions.logit(Output.CONVERSION.value)
        loss, least = np.logaddexp(0.0, np.where(target > 0.5, -logits, logits)).mean(), 0.98 * constant
        assert loss < least, f"log loss of pCVR {loss:.3f} on clicked rows; below {least:.3f} it has learned something"

    def test_validation_rows_of_one_class_are_answered(self) -> None:
        """Without a single click there is nothing that conversions could be validated on: a sentence will do."""
        data = training_data(main_effects())
        clicked = TrainingData(main_effects(400), one_class(data.validation, label=1.0))
        assert self.fit(clicked).predict(data.validation).logits, "predict() names no output"
        self._answered_or_refused(self.training(TrainingData(main_effects(400), one_class(data.validation))))

    def test_a_funnel_without_conversions_is_answered_or_refused_in_a_sentence(self) -> None:
        data = training_data(main_effects(300))
        none = TrainingData(*(with_conversions(part, rate=0.0) for part in _parts(data)))
        self._answered_or_refused(none)

    def test_a_funnel_without_clicks_is_answered_or_refused_in_a_sentence(self) -> None:
        rows = one_class(main_effects(300), label=0.0)
        self._answered_or_refused(training_data(with_conversions(rows)))

    def test_conversions_without_clicks_count_as_none(self) -> None:
        data = main_effects_funnel(3000)
        stray = np.array(data.labels["conversion"])
        stray[np.asarray(data.target) < 0.5] = 1.0
        strange = frozen(data.with_labels({"click": np.array(data.target), "conversion": stray}))
        rows = main_effects_funnel(100, seed=5)
        one, other = (self.fit(training_data(each)).predict(rows) for each in (data, strange))
        for name, logits in one.logits.items():
            sentence = "a conversion of a row that is not clicked changes what is learned"
            agree(other.logit(name), logits, sentence, relative=1e-5, absolute=1e-5)

    def test_contributions_of_every_output_sum_to_its_logit(self) -> None:
        if ExplanationKind.CONTRIBUTIONS not in self.spec.explains:
            pytest.skip("offers no contributions")
        rows = main_effects_funnel(40, seed=5)
        predictions = self.trained().predict(rows)
        for name in predictions.logits:
            asked = ExplainContext(output=name)
            found = [
                each
                for each in self.trained().explain(rows, [ExplanationKind.CONTRIBUTIONS], asked)
                if isinstance(each, Contributions) and each.task == name
            ]
            assert len(found) == 1, f"asked for contributions to {name}, it gave {len(found)} with that task"
            added = found[0].baseline + found[0].values.sum(axis=1)
            agree(
                found[0].logits, predictions.logit(name), f"not the logits of {name} that predict gives", absolute=1e-4
            )
            agree(added, found[0].logits, f"contributions to {name} do not add up to its logit", absolute=1e-4)

    def _answered_or_refused(self, data: TrainingData) -> None:
        try:
            model = self.fit(data, FitContext(seed=1))
        except UserError as error:
            assert error.what.strip(), "the error that refuses it says nothing"
        else:
            logits = model.predict(data.validation).logits.values()
            assert all(np.isfinite(each).all() for each in logits), "some logits are not finite"


def _parts(data: TrainingData) -> tuple[EncodedDataset, EncodedDataset]:
    return data.train, data.validation
