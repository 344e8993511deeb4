from __future__ import annotations

import numpy as np
import pytest

from core.value_table import MINIMUM_SUPPORT, OTHER, value_table
from crosslens import MISSING_ID, EncodedDataset

from .analytic import additive, interacting, labelled, product, rows


def _decode(field: str, value: float) -> str:
    return "missing" if np.isnan(value) else f"{field}:{value:.2f}" if field[0] == "n" else f"{field}:{int(value)}"


def test_cells_hold_the_rates_of_their_rows():
    data = labelled(rows(3000), interacting)
    made = value_table(interacting, data, ("c0", "c1"), decode=_decode)
    row, column = made.observed.rows.index("c0:4"), made.observed.columns.index("c1:3")
    here = (data.local_ids()[:, 0] == 4) & (data.local_ids()[:, 1] == 3)
    assert made.observed.counts[row][column] == here.sum()
    assert made.observed.values[row][column] == pytest.approx(data.target[here].mean())
    chance = 1 / (1 + np.exp(-interacting(data)[here]))
    assert made.predicted.values[row][column] == pytest.approx(chance.mean())


def test_the_effect_is_what_only_the_pair_says():
    data = labelled(rows(6000), interacting)
    effect = value_table(interacting, data, ("c0", "c1"), decode=_decode).effect
    signs = [
        value * (1 if int(row[-1]) % 2 == int(column[-1]) % 2 else -1)
        for row, values in zip(effect.rows, effect.values, strict=True)
        for column, value in zip(effect.columns, values, strict=True)
    ]
    assert effect.diverging and signs == pytest.approx([0.8] * len(signs), abs=0.15)


def test_an_additive_model_has_an_empty_effect():
    effect = value_table(additive, labelled(rows(500), additive), ("c0", "n0"), decode=_decode).effect
    assert all(abs(value) < 1e-9 for row in effect.values for value in row if value is not None)


def test_the_most_frequent_values_stand_alone_and_the_rest_is_other():
    data = labelled(rows(2000, cardinalities=(30, 6, 10)), additive)
    made = value_table(additive, data, ("c0", "c1"), decode=_decode, top=5)
    counts = np.bincount(data.local_ids()[:, 0])
    assert made.observed.rows == (*(f"c0:{place}" for place in np.argsort(-counts, kind="stable")[:5]), OTHER)
    assert sum(map(sum, made.observed.counts)) == 2000


def test_numbers_are_cut_into_bins_of_equal_mass_with_readable_bounds():
    data = labelled(rows(1200), additive)
    data.values[:100, 0] = np.nan
    made = value_table(additive, data, ("n0", "c1"), decode=_decode, bins=4)
    names, counts = made.observed.rows, [sum(row) for row in made.observed.counts]
    assert len(names) == 5 and names[0].startswith("< n0:") and names[3].startswith("≥ n0:") and names[4] == "missing"
    assert counts[4] == 100 and max(counts[:4]) - min(counts[:4]) <= 1


def test_cells_without_rows_are_empty_and_thin_ones_grey():
    data = rows(200)
    local = data.local_ids().copy()
    local[:, 0] = np.where(local[:, 1] == 2, MISSING_ID, 3)
    thin = EncodedDataset(data.schema, (local + data.schema.offsets).astype(np.int32), data.values, data.labels)
    made = value_table(product, thin, ("c0", "c1"), decode=_decode)
    for values, counts, greyed in zip(made.observed.values, made.observed.counts, made.observed.greyed, strict=True):
        for value, count, grey in zip(values, counts, greyed, strict=True):
            assert (value is None) == (count == 0) and grey == (count < MINIMUM_SUPPORT)
    assert any(value is None for row in made.observed.values for value in row)


def test_many_rows_are_sampled_and_the_note_says_how_many():
    made = value_table(additive, labelled(rows(900), additive), ("c0", "c1"), decode=_decode, rows=300)
    assert sum(map(sum, made.observed.counts)) == 300 and "300 held-out rows" in made.observed.note


def test_the_effect_is_asked_of_fewer_rows_than_the_rates():
    asked = []

    def counting(data: EncodedDataset) -> np.ndarray:
        asked.append(len(data))
        return interacting(data)

    made = value_table(counting, labelled(rows(900), additive), ("c0", "c1"), decode=_decode, effect_rows=200)
    assert (sum(map(sum, made.observed.counts)), sum(map(sum, made.effect.counts))) == (900, 200)
    assert sum(asked) == 900 + 200 * (1 + 3 * 3) and "200 held-out rows" in made.effect.note


def test_no_rows_make_an_empty_table():
    made = value_table(additive, rows(0), ("c0", "c1"), decode=_decode)
    assert made.observed.values == () and made.effect.rows == ()
