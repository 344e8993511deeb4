from __future__ import annotations

import numpy as np
import pytest

from core.faithfulness import measure_faithfulness
from crosslens import Contributions, DataError, EncodedDataset, Stopped

from .analytic import rows


def _linear(data: EncodedDataset) -> np.ndarray:
    local = data.local_ids()
    return 1.0 * (local[:, 0] % 2) + 0.2 * (local[:, 1] % 2) + 0.05 * data.values[:, 0].astype(np.float64)


def _contributions(data: EncodedDataset, values: np.ndarray) -> Contributions:
    baseline = np.zeros(len(data))
    return Contributions(data.schema.names, values, baseline, values.sum(axis=1), "by hand")


def _true(data: EncodedDataset) -> Contributions:
    local = data.local_ids()
    parts = (local[:, 0] % 2 - 0.5, 0.2 * (local[:, 1] % 2 - 0.5), np.zeros(len(data)), 0.05 * data.values[:, 0])
    return _contributions(data, np.stack(parts, axis=1).astype(np.float64))


def test_true_contributions_beat_random_order():
    data = rows(800)
    found = measure_faithfulness(_linear, data, _true(data))
    assert found.low > 0.1 and found.low < found.area < found.high
    assert found.rows == 500


def test_contributions_upside_down_are_worse_than_random():
    data = rows(800)
    upside_down = _contributions(data, 1.0 / (np.abs(_true(data).values) + 0.01))
    assert measure_faithfulness(_linear, data, upside_down).high < 0


def test_random_contributions_are_no_better_than_random():
    data = rows(800)
    noise = _contributions(data, np.random.default_rng(0).normal(size=(800, 4)))
    found = measure_faithfulness(_linear, data, noise)
    assert abs(found.area) < 0.06


def test_curves_run_from_the_prediction_to_the_background_and_back():
    data = rows(300)
    found = measure_faithfulness(_linear, data, _true(data))
    for away in (found.deletion, found.deletion_random):
        assert (away.x[0], away.y[0], away.x[-1]) == (0.0, 0.0, 1.0) and away.y[-1] == pytest.approx(1.0)
    for home in (found.insertion, found.insertion_random):
        assert home.y[0] == pytest.approx(1.0) and home.y[-1] == 0.0
    assert found.deletion.y[1] > found.deletion_random.y[1]


def test_values_come_from_the_given_background():
    data, other = rows(100), rows(1, seed=9)
    asked = []

    def seeing(rows: EncodedDataset) -> np.ndarray:
        asked.append(rows.ids)
        return _linear(rows)

    measure_faithfulness(seeing, data, _true(data), background=other, draws=1)
    known = {tuple(column) for column in (np.unique(np.concatenate(asked)[:, 0]),)}
    assert set(*known) <= set(data.ids[:, 0]) | {other.ids[0, 0]}
    assert any((ids == other.ids[0]).all(axis=1).any() for ids in asked)


def test_a_model_that_never_moves_is_answered_with_zero():
    data = rows(50)
    found = measure_faithfulness(lambda rows: np.full(len(rows), -1.0), data, _true(data))
    assert (found.area, found.low, found.high) == (0.0, 0.0, 0.0)


def test_same_seed_same_figure():
    data = rows(100)
    assert measure_faithfulness(_linear, data, _true(data)) == measure_faithfulness(_linear, data, _true(data))


def test_contributions_of_other_rows_are_a_mistake():
    data = rows(20)
    with pytest.raises(ValueError, match="other rows"):
        measure_faithfulness(_linear, data.take(slice(0, 10)), _true(data))


def test_no_rows_and_stop_are_answered():
    nothing = rows(0)
    with pytest.raises(DataError, match="no rows"):
        measure_faithfulness(_linear, nothing, _true(nothing))
    with pytest.raises(Stopped):
        measure_faithfulness(_linear, rows(20), _true(rows(20)), should_stop=lambda: True)
