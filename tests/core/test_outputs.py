"""Every output of a model is checked by its own label on its own rows, and never pooled with another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from core.outputs import (
    BOTH,
    CLICK,
    CONVERSION,
    labelled_for,
    logits,
    measured_rows,
    metric_key,
    output_title,
    outputs_of,
    training_for,
)
from crosslens import EncodedDataset, ModelSpec, PluginError, Predictions, Task, TrainingData

from .analytic import rows

Y = np.array([0, 1, 1, 0, 1], np.float32)
Z = np.array([0, 0, 1, 1, 1], np.float32)


def funnel() -> EncodedDataset:
    return rows(5).with_labels({CLICK: Y, CONVERSION: Z})


def spec(task: Task) -> ModelSpec:
    return ModelSpec("m", "M", "s", task, object, build=lambda _: None, load=lambda _: None)


@dataclass
class Says:
    """A model that predicts the named outputs and notes how often it is asked."""

    names: tuple[str, ...]
    asked: list[Any] = field(default_factory=list)

    def predict(self, data: EncodedDataset) -> Predictions:
        self.asked.append(len(data))
        return Predictions({name: np.zeros(len(data)) for name in self.names})


@pytest.mark.parametrize(
    "output, places, label",
    [
        (CLICK, [0, 1, 2, 3, 4], [0, 1, 1, 0, 1]),
        (CONVERSION, [1, 2, 4], [0, 1, 1]),
        (BOTH, [0, 1, 2, 3, 4], [0, 0, 1, 0, 1]),
    ],
)
def test_an_output_has_rows_and_a_label_of_its_own(output: str, places: list[int], label: list[int]) -> None:
    data = funnel()
    found = measured_rows(output, data)
    assert found.tolist() == places
    part = labelled_for(output, data.take(found))
    assert part.schema.labels == (output,)
    assert part.target.tolist() == label


def test_a_model_of_clicks_has_one_output_whatever_it_calls_it() -> None:
    model = Says(("something",))
    assert outputs_of(spec(Task.CTR), model, funnel()) == (CLICK,)
    assert logits(model.predict(funnel()), CLICK).tolist() == [0.0] * 5


def test_the_outputs_of_a_funnel_come_in_the_order_of_the_funnel_and_cost_no_prediction() -> None:
    model = Says((BOTH, CONVERSION, CLICK))
    assert outputs_of(spec(Task.FUNNEL), model, funnel()) == (CLICK, CONVERSION, BOTH)
    assert model.asked == [0]
    assert outputs_of(spec(Task.FUNNEL), Says((CONVERSION,)), funnel()) == (CONVERSION,)


@pytest.mark.parametrize("names", [(), ("click", "sale"), ("sale",)])
def test_a_funnel_model_that_names_outputs_otherwise_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(PluginError, match="not a part of a funnel"):
        outputs_of(spec(Task.FUNNEL), Says(names), funnel())


def test_a_model_of_clicks_does_not_see_conversions() -> None:
    data = TrainingData(funnel(), funnel())
    seen = training_for(Task.CTR, data)
    assert (seen.schema.labels, set(seen.validation.labels)) == ((CLICK,), {CLICK})
    assert training_for(Task.FUNNEL, data).schema.labels == (CLICK, CONVERSION)


def test_metrics_of_the_first_output_keep_their_plain_names() -> None:
    names = (CLICK, CONVERSION)
    assert [metric_key(name, "auc", names) for name in names] == ["auc", "conversion.auc"]


def test_an_output_is_called_by_its_usual_name() -> None:
    assert [output_title(name) for name in (CLICK, CONVERSION, BOTH, "next_item")] == [
        "pCTR", "pCVR", "pCTCVR", "next item",
    ]  # fmt: skip
