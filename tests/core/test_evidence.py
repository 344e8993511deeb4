from __future__ import annotations

import numpy as np
import pytest

from core.differences import additive_part, balanced_sample, second_difference
from core.evidence import Plan, benjamini_hochberg, field_effects, prove_interactions
from crosslens import DataError, EncodedDataset, Stopped

from .analytic import additive, interacting, labelled, product, rows


def _proved(model, data, **more):
    return prove_interactions(model, data, **more)[0]


def test_a_true_interaction_is_found_with_its_exact_size():
    data = labelled(rows(6000), interacting)
    evidence = _proved(interacting, data)
    first = evidence.pairs[0]
    assert first.fields == ("c0", "c1") and first.supported
    assert first.effect == pytest.approx(0.8, abs=0.03)
    assert first.effect_low < first.effect < first.effect_high
    assert first.gain_low > 0 and first.q_value < 1e-6
    assert [pair.supported for pair in evidence.pairs[1:]] == [False] * 5


def test_what_a_pair_gains_is_the_loss_without_it():
    data = labelled(rows(8000), interacting)
    p, q = (1 / (1 + np.exp(-model(data))) for model in (interacting, additive))
    expected = np.mean(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
    first = _proved(interacting, data).pairs[0]
    assert first.gain_low < expected < first.gain_high


def test_an_additive_model_has_no_interactions_at_all():
    evidence = _proved(additive, labelled(rows(3000), interacting))
    assert all(pair.effect == 0.0 and not pair.supported and pair.p_value == 1.0 for pair in evidence.pairs)


def test_an_interaction_the_model_made_up_is_seen_but_not_supported():
    data = labelled(rows(6000), additive)
    evidence = _proved(interacting, data)
    first = evidence.pairs[0]
    assert first.fields == ("c0", "c1") and first.effect > 0.7
    assert not first.supported and first.gain_high < 0


def test_shuffled_labels_support_nothing():
    data = labelled(rows(6000), lambda data: np.full(len(data), -2.0))
    evidence, effects = prove_interactions(interacting, data)
    assert not any(pair.supported for pair in evidence.pairs)
    assert not any(effect.supported for effect in effects)


def test_chance_is_rarely_taken_for_support():
    def slightly(data: EncodedDataset) -> np.ndarray:
        return additive(data) + 0.15 * product(data)

    wrong = 0
    for seed in range(30):
        data = labelled(rows(1500, seed=seed), additive, seed=seed + 100)
        wrong += any(pair.supported for pair in _proved(slightly, data, seed=seed, background=2).pairs)
    assert wrong <= 3


def test_the_noise_of_few_background_rows_does_not_inflate_the_effect():
    data = labelled(rows(6000), interacting)
    few, many = (_proved(interacting, data, background=count).pairs[0].effect for count in (2, 12))
    assert few == pytest.approx(many, abs=0.05)


def test_of_two_tied_fields_what_one_says_alone_is_no_interaction():
    data = rows(4000, cardinalities=(22, 6, 10))
    local = data.local_ids().copy()
    local[:, 1] = 2 + local[:, 0] % 4
    tied = EncodedDataset(data.schema, (local + data.schema.offsets).astype(np.int32), data.values, data.labels)

    def by_trees(rows: EncodedDataset) -> np.ndarray:
        """Uses c1 to say what c0 says, and goes astray where the two do not belong together."""
        ids = rows.local_ids()
        return -1.0 + np.where(ids[:, 1] == 2, (ids[:, 0] % 5) * 0.5, -0.5 * (ids[:, 0] % 3))

    evidence = _proved(by_trees, labelled(tied, by_trees))
    pair = next(pair for pair in evidence.pairs if pair.fields == ("c0", "c1"))
    assert pair.effect < 0.1 and not pair.supported


def test_many_pairs_are_screened_and_the_strong_ones_confirmed_on_more_rows():
    calls = []

    def counting(data: EncodedDataset) -> np.ndarray:
        calls.append(len(data))
        return interacting(data)

    data = labelled(rows(5000, cardinalities=(8, 6, 10, 5, 5), numbers=2), interacting)
    evidence = _proved(counting, data, rows=800, confirm=3, background=2)
    assert evidence.pairs[0].fields == ("c0", "c1") and evidence.pairs[0].supported
    assert len(evidence.pairs) == 21 and evidence.rows == 4000
    assert sum(calls) == 800 * (1 + 2 * (7 + 21)) + 4000 * (1 + 2 * (7 + 3))
    assert "21 pairs on 800 held-out rows, the 3 strongest again on 4,000, positives enriched" in evidence.method


def test_a_slow_model_is_asked_about_fewer_rows_and_the_method_says_so():
    data = labelled(rows(4000), interacting)
    quick, slow = _proved(interacting, data, seconds=1e6), _proved(interacting, data, seconds=1e-9)
    assert (quick.rows, quick.background) == (4000, 4) and "time limit" not in quick.method
    assert (slow.rows, slow.background) == (250, 2) and "time limit" in slow.method


def test_a_budget_spares_the_rows_that_prove_before_those_that_choose():
    plan = Plan(rows=2000, background=4, confirm=15, confirm_rows=4000, available=8000)
    full = plan.cost(14, 91)
    less = plan.within(full / 3, 14, 91)
    assert less.cost(14, 91) <= full / 3 < plan.within(full / 2, 14, 91).cost(14, 91)
    assert (less.background, less.confirm_rows) == (2, 4000) and 500 <= less.rows < 2000
    assert plan.within(full, 14, 91) == plan


def _rare(data: EncodedDataset) -> np.ndarray:
    return interacting(data) - 2.0


def test_a_balanced_sample_has_half_positives_and_weighs_them_back():
    data = labelled(rows(20_000), _rare)
    sample = balanced_sample(data, 2000, np.random.default_rng(0))
    assert len(sample.rows) == 2000 and sample.rows.target.sum() == 1000
    assert sample.design.mean() == pytest.approx(1.0)
    assert np.average(sample.rows.target, weights=sample.design) == pytest.approx(data.target.mean())
    assert np.average(_rare(sample.rows), weights=sample.design) == pytest.approx(_rare(data).mean(), abs=0.1)


@pytest.mark.parametrize(("label", "count"), [(0.0, 40), (1.0, 40), (0.0, 500)])
def test_a_balanced_sample_of_one_class_is_a_plain_one(label, count):
    data = labelled(rows(200), lambda data: np.full(len(data), 100.0 if label else -100.0))
    sample = balanced_sample(data, count, np.random.default_rng(0))
    assert len(sample.rows) == min(count, 200) and set(sample.design.tolist()) == {1.0}


def test_enriched_positives_give_the_same_figures_and_a_much_sharper_proof():
    data, asked = labelled(rows(20_000), _rare), [("c0", "c1")]
    everything, enriched = (_proved(_rare, data, pairs=asked, confirm_rows=count).pairs[0] for count in (20_000, 2000))
    part = _proved(_rare, data.take(slice(0, 2000)), pairs=asked).pairs[0]
    assert enriched.effect == pytest.approx(everything.effect, abs=0.05)
    assert enriched.gain_low < everything.gain < enriched.gain_high
    widths = [pair.gain_high - pair.gain_low for pair in (everything, enriched, part)]
    assert widths[0] < widths[1] < 0.6 * widths[2]


def test_only_the_asked_pairs_are_looked_at():
    evidence = _proved(interacting, labelled(rows(1000), interacting), pairs=[("c1", "n0"), ("c0", "c1")])
    assert {pair.fields for pair in evidence.pairs} == {("c1", "n0"), ("c0", "c1")}


def test_same_seed_same_evidence():
    data = labelled(rows(1500), interacting)
    assert prove_interactions(interacting, data, seed=5) == prove_interactions(interacting, data, seed=5)


def test_a_field_moves_the_logit_by_twice_its_variance():
    data = labelled(rows(8000), additive)
    effects = {effect.field: effect for effect in field_effects(additive, data)}
    assert effects["n0"].effect == pytest.approx(0.4 * np.sqrt(2), abs=0.02)
    assert effects["n0"].supported and effects["n0"].gain_low > 0
    assert effects["c1"].effect == 0.0 and not effects["c1"].supported


def test_progress_rises_to_one():
    told = []
    prove_interactions(additive, labelled(rows(600), additive), progress=told.append)
    assert told == sorted(told) and told[-1] == 1.0


def test_stop_is_obeyed_between_two_questions():
    with pytest.raises(Stopped):
        prove_interactions(additive, labelled(rows(600), additive), should_stop=lambda: True)


def test_no_rows_are_refused_in_words():
    with pytest.raises(DataError, match="no labelled rows"):
        prove_interactions(additive, rows(0))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_handful_of_rows_proves_nothing_but_is_answered(count):
    evidence, effects = prove_interactions(interacting, labelled(rows(count), interacting))
    assert len(evidence.pairs) == 6 and len(effects) == 4
    assert all(np.isfinite([pair.effect, pair.gain, pair.q_value]).all() for pair in evidence.pairs)


def test_missing_numbers_are_a_value_like_any_other():
    data = labelled(rows(2000), additive)
    data.values[::3, 0] = np.nan

    def model(rows: EncodedDataset) -> np.ndarray:
        missing = np.isnan(rows.values[:, 0])
        return np.where(missing, 1.0, -1.0) * np.where(rows.local_ids()[:, 0] % 2 == 0, 1.0, -1.0)

    assert _proved(model, labelled(data, model)).pairs[0].fields == ("c0", "n0")


def test_row_weights_count_in_the_gain():
    data = labelled(rows(4000), interacting)
    asked = [("c0", "c1")]
    heavy = EncodedDataset(data.schema, data.ids, data.values, data.labels, np.full(4000, 7.0, np.float32))
    plain, weighted = (_proved(interacting, each, pairs=asked).pairs[0] for each in (data, heavy))
    assert weighted.gain == pytest.approx(plain.gain)
    kept = (product(data) > 0).astype(np.float32)
    part = EncodedDataset(data.schema, data.ids, data.values, data.labels, kept)
    assert _proved(interacting, part, pairs=asked).pairs[0].gain != pytest.approx(plain.gain)


def test_the_second_difference_of_a_row_is_the_interaction_alone():
    data = rows(4000)
    found = second_difference(interacting, data, ("c0", "c1"), background=16)
    assert np.corrcoef(found, product(data))[0, 1] > 0.9
    assert found[product(data) > 0].mean() == pytest.approx(0.8, abs=0.05)


def test_rare_groups_do_not_swallow_noise():
    rng = np.random.default_rng(0)
    values, groups, other = rng.normal(size=2000), rng.integers(0, 700, 2000), rng.integers(0, 5, 2000)
    assert np.abs(additive_part(values, groups, other)).mean() < 0.15
    assert np.allclose(additive_part(groups % 7 * 1.0, groups, other), groups % 7)


def test_benjamini_hochberg_knows_its_own_example():
    p = [0.01, 0.04, 0.03, 0.005]
    assert benjamini_hochberg(p).tolist() == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert benjamini_hochberg([]).tolist() == []
