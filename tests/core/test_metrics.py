from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.metrics import auc, compare_auc, compare_log_loss, evaluate, log_losses, wilson
from crosslens import DataError

LABELS = np.array([0, 0, 1, 1, 0, 1, 0, 0])
LOGITS = np.array([-2.0, -1.0, -1.0, 2.0, 0.5, 0.5, -3.0, 0.0])


def _clicks(count: int, seed: int = 0, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(-2.0, spread, count)
    return (rng.random(count) < 1 / (1 + np.exp(-logits))).astype(float), logits


def _pairs_won(labels: np.ndarray, scores: np.ndarray) -> float:
    """AUC by its definition: the share of pairs ordered rightly, ties half."""
    differences = scores[labels == 1][:, None] - scores[labels == 0][None, :]
    return float(((differences > 0) + 0.5 * (differences == 0)).mean())


def _delong(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Variance of the difference of two AUCs by the definition of DeLong et al., over all pairs."""
    parts = []
    for scores in (first, second):
        differences = scores[labels == 1][:, None] - scores[labels == 0][None, :]
        wins = (differences > 0) + 0.5 * (differences == 0)
        parts.append((wins.mean(axis=1), wins.mean(axis=0)))
    positive, negative = parts[0][0] - parts[1][0], parts[0][1] - parts[1][1]
    return float(positive.var(ddof=1) / len(positive) + negative.var(ddof=1) / len(negative))


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=40))
@settings(max_examples=30, deadline=None)
def test_auc_is_the_share_of_pairs_ordered_rightly_with_ties_as_half(pairs):
    labels, scores = (np.array(column, float) for column in zip(*pairs, strict=True))
    if len(set(labels)) == 2:
        assert auc(labels, scores) == pytest.approx(_pairs_won(labels, scores))
    else:
        assert np.isnan(auc(labels, scores))


def test_the_paired_comparison_has_delongs_variance():
    labels, first = _clicks(400)
    second = first + np.random.default_rng(1).normal(0, 0.7, 400)
    found = compare_auc(labels, first, second)
    error = np.sqrt(_delong(labels, first, second))
    assert found.difference == pytest.approx(_pairs_won(labels, first) - _pairs_won(labels, second))
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * error)


def test_weights_count_as_repeated_rows():
    weights = np.array([1, 2, 3, 1, 1, 2, 1, 4])
    repeated = evaluate(np.repeat(LABELS, weights), np.repeat(LOGITS, weights))
    weighted = evaluate(LABELS, LOGITS, weights=weights)
    for name in ("auc", "log_loss", "normalised_entropy", "pr_auc", "calibration_ratio"):
        assert weighted.metric(name).value == pytest.approx(repeated.metric(name).value), name


def test_known_numbers_come_out():
    quality = evaluate([1, 0, 1, 0], [0.0, 0.0, 0.0, 0.0])
    assert quality.metric("log_loss").value == pytest.approx(np.log(2))
    assert quality.metric("normalised_entropy").value == pytest.approx(1.0)
    assert quality.metric("pr_auc").value == pytest.approx(0.5)
    assert quality.metric("auc").value == 0.5
    assert quality.metric("calibration_error").value == pytest.approx(0.0)
    assert quality.metric("calibration_ratio").value == pytest.approx(1.0)


def test_average_precision_of_a_perfect_ranking_is_one():
    assert evaluate([0, 0, 1, 1], [-2, -1, 1, 2]).metric("pr_auc").value == 1.0


def test_every_interval_holds_its_value_and_narrows_with_more_rows():
    few, many = evaluate(*_clicks(500)), evaluate(*_clicks(8000))
    assert {metric.name for metric in few.metrics} == {
        "auc", "log_loss", "normalised_entropy", "pr_auc", "calibration_error", "calibration_ratio"
    }  # fmt: skip
    for small, large in zip(few.metrics, many.metrics, strict=True):
        assert small.low <= small.value <= small.high, small.name
        assert large.high - large.low < small.high - small.low, small.name


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    labels, logits = _clicks(80_000)
    truth = {metric.name: metric.value for metric in evaluate(labels, logits).metrics}
    names = ("auc", "log_loss", "pr_auc", "calibration_ratio")
    covered = dict.fromkeys(names, 0)
    for part in range(100):
        rows = slice(part * 800, (part + 1) * 800)
        quality = evaluate(labels[rows], logits[rows], seed=part)
        for name in names:
            covered[name] += quality.metric(name).low <= truth[name] <= quality.metric(name).high
    assert all(88 <= count <= 99 for count in covered.values()), covered


def test_rows_that_come_in_clusters_are_worth_less_than_independent_ones():
    labels, logits = _clicks(500)
    users = np.repeat(np.arange(500), 10)
    repeated = np.repeat(labels, 10), np.repeat(logits, 10)
    honest, naive = evaluate(*repeated, clusters=users), evaluate(*repeated)
    for name in ("auc", "log_loss"):
        wide, narrow = honest.metric(name), naive.metric(name)
        assert wide.value == narrow.value
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_same_seed_same_numbers():
    assert evaluate(*_clicks(300), seed=3) == evaluate(*_clicks(300), seed=3)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_single_class_leaves_out_what_it_cannot_tell_and_says_so(label):
    quality = evaluate(np.full(40, label), np.linspace(-1, 1, 40))
    names = {metric.name for metric in quality.metrics}
    assert names >= {"log_loss", "calibration_error"}
    assert not names & {"auc", "pr_auc", "normalised_entropy"}
    assert any("ranking cannot be measured" in warning for warning in quality.warnings)
    assert quality.roc.x == ()


def test_no_rows_are_answered():
    quality = evaluate([], [])
    assert quality.metrics == () and quality.rows == 0
    assert quality.warnings == ("There are no rows to measure on.",)


def test_one_row_is_answered():
    assert evaluate([1], [0.0]).metric("log_loss").value == pytest.approx(np.log(2))


def test_perfect_separation_has_an_interval_that_is_not_a_point():
    found = evaluate([0] * 20 + [1] * 5, [-1.0] * 20 + [1.0] * 5).metric("auc")
    assert found.value == found.high == 1.0
    assert 0.3 < found.low < 0.7


@pytest.mark.parametrize(
    ("labels", "logits", "weights", "words"),
    [
        ([0, 1], [0.0, np.nan], None, "not numbers"),
        ([0, 2], [0.0, 0.0], None, "neither 0 nor 1"),
        ([0, np.nan], [0.0, 0.0], None, "neither 0 nor 1"),
        ([0, 1], [0.0, 0.0], [1.0, -1.0], "weight"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_sentence(labels, logits, weights, words):
    with pytest.raises(DataError, match=words):
        evaluate(labels, logits, weights=weights)


def test_lengths_that_differ_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="lengths differ"):
        evaluate([0, 1], [0.0])


def test_confident_mistakes_keep_their_exact_loss():
    assert log_losses(np.array([0.0, 1.0]), np.array([800.0, -800.0])).tolist() == [800.0, 800.0]


def test_few_positives_and_impossible_quality_are_warned_about():
    few = evaluate([1] * 10 + [0] * 990, np.linspace(1, -1, 1000)[np.random.default_rng(0).permutation(1000)])
    assert any("Only 10 positive rows" in warning for warning in few.warnings)
    leak = evaluate([1] * 500 + [0] * 500, np.linspace(5, -5, 1000))
    assert any("gives the label away" in warning for warning in leak.warnings)


def test_curves_are_thin_and_keep_their_ends():
    quality = evaluate(*_clicks(20_000))
    for curve in (quality.roc, quality.gains):
        assert len(curve.x) <= 200
        assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0.0, 0.0, 1.0, 1.0)
        assert list(curve.x) == sorted(curve.x) and list(curve.y) == sorted(curve.y)
    assert len(quality.precision_recall.x) <= 200 and quality.precision_recall.x[-1] == 1.0


def test_a_thinned_roc_curve_still_has_the_area_of_the_metric():
    quality = evaluate(*_clicks(20_000))
    assert np.trapezoid(quality.roc.y, quality.roc.x) == pytest.approx(quality.metric("auc").value, abs=0.002)


def test_reliability_bins_are_of_equal_mass_and_hold_all_rows():
    bins = evaluate(*_clicks(8000)).reliability
    assert 10 <= len(bins) <= 20
    assert sum(entry.rows for entry in bins) == 8000
    assert max(entry.rows for entry in bins) <= 1.1 * min(entry.rows for entry in bins)
    assert all(entry.low <= entry.observed <= entry.high for entry in bins)


def test_equal_predictions_share_one_reliability_bin():
    bins = evaluate([0, 1] * 50, np.zeros(100)).reliability
    assert [(entry.rows, entry.predicted, entry.observed) for entry in bins] == [(100, 0.5, 0.5)]


def test_a_biased_model_shows_in_calibration():
    labels, logits = _clicks(20_000)
    ratio = evaluate(labels, logits + 1.0).metric("calibration_ratio")
    assert ratio.low > 1.5
    assert evaluate(labels, logits).metric("calibration_ratio").low < 1 < ratio.value


def test_two_equal_models_are_not_different_and_two_unlike_ones_are():
    labels, logits = _clicks(4000)
    noisy = logits + np.random.default_rng(2).normal(0, 1, 4000)
    for compare in (compare_auc, compare_log_loss):
        same, other = compare(labels, logits, logits), compare(labels, logits, noisy)
        assert (same.difference, same.p_value, same.different) == (0.0, 1.0, False)
        assert other.different and other.p_value < 0.001
    assert compare_log_loss(labels, logits, noisy).difference < 0 < compare_auc(labels, logits, noisy).difference


def test_comparing_on_one_class_is_refused_in_words():
    with pytest.raises(DataError, match="one class"):
        compare_auc([0, 0], [0.0, 1.0], [1.0, 0.0])


def test_wilson_knows_the_textbook_interval():
    low, high = wilson(8, 10)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_interval_of_the_calibration_error_is_not_pushed_up_by_resampling():
    found = evaluate(*_clicks(4000)).metric("calibration_error")
    above, below = found.high - found.value, found.value - found.low
    assert 0.3 < above / below < 3.0
