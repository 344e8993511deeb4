"""LightGBM's explanations: equal to brute force where that is possible, and to LightGBM's own where it has them."""

from __future__ import annotations

from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest

from crosslens import ExplainContext, ExplanationKind, FitContext, Stopped
from crosslens.testing import make_dataset, training_data, xor
from plugins import lightgbm_model
from plugins.lightgbm_model import LightGBMParameters, interactions
from plugins.lightgbm_model.fitted import LightGBMModel
from plugins.lightgbm_model.interactions import mean_pair_effects
from plugins.lightgbm_model.matrix import feature_matrix

PARAMETERS = LightGBMParameters(
    num_trees=6,
    num_leaves=12,
    min_data_in_leaf=5,
    min_data_per_group=5,
    max_cat_to_onehot=3,
    cat_l2=1.0,
    cat_smooth=1.0,
)


def rows_with_everything(rows: int = 1500, *, seed: int = 0):
    """Pairs and a triple of fields matter; one-hot splits, sorted splits, numbers with and without gaps."""
    random = np.random.default_rng(seed)
    two, many = random.integers(0, 3, rows), random.integers(0, 12, rows)
    full, gaps = random.normal(size=rows), random.normal(size=rows)
    gaps[random.random(rows) < 0.2] = np.nan
    logit = np.where(two == 1, 2.0, -1.0) * np.where(many < 5, 1.0, -1.0) + full * np.nan_to_num(gaps, nan=-2.0)
    label = random.random(rows) < 1 / (1 + np.exp(-logit))
    return make_dataset({"two": (two, 3), "many": (many, 14)}, {"full": full, "gaps": gaps}, label)


@pytest.fixture(scope="module")
def model() -> LightGBMModel:
    return lightgbm_model.build(PARAMETERS).fit(training_data(rows_with_everything()), FitContext())


@pytest.fixture(scope="module")
def some_rows():
    """Rows like the training rows, and rows with unseen ids and gaps where training had none."""
    rows = rows_with_everything(12, seed=4)
    ids, values = rows.ids.copy(), rows.values.copy()
    ids[0, 1], values[1, 0] = rows.schema.offsets[1] + 13, np.nan
    return rows.with_features(ids, values)


def value_of(node: dict[str, Any], row: np.ndarray, known: frozenset[int]) -> float:
    """Return the path-dependent value of a coalition, straight from the definition."""
    if "leaf_value" in node:
        return float(node["leaf_value"])
    left, right = node["left_child"], node["right_child"]
    if node["split_feature"] in known:
        return value_of(left if goes_left(node, row[node["split_feature"]]) else right, row, known)
    share = rows_below(left) / (rows_below(left) + rows_below(right))
    return share * value_of(left, row, known) + (1 - share) * value_of(right, row, known)


def goes_left(node: dict[str, Any], value: float) -> bool:
    if node["decision_type"] == "==":
        return str(int(value)) in node["threshold"].split("||")
    if np.isnan(value) and node["missing_type"] == "NaN":
        return bool(node["default_left"])
    return bool(np.nan_to_num(float(value)) <= node["threshold"])


def rows_below(node: dict[str, Any]) -> int:
    return node["leaf_count"] if "leaf_value" in node else node["internal_count"]


def brute_force(model: LightGBMModel, row: np.ndarray, first: int, second: int) -> float:
    """Return the Shapley interaction index of a pair as a sum over all coalitions of the other fields."""
    trees = [described["tree_structure"] for described in model.booster.dump_model()["tree_info"]]
    others = [field for field in range(len(row)) if field not in (first, second)]
    total = 0.0
    for size in range(len(others) + 1):
        weight = factorial(size) * factorial(len(others) - size) / factorial(len(others) + 1)
        for chosen in combinations(others, size):
            worth = [
                sum(value_of(tree, row, frozenset({*chosen, *pair})) for tree in trees)
                for pair in ((first, second), (first,), (second,), ())
            ]
            total += weight * (worth[0] - worth[1] - worth[2] + worth[3])
    return total


def test_the_trees_hold_every_kind_of_decision(model: LightGBMModel) -> None:
    nodes = [node for tree in model.trees for node in tree.nodes]
    assert {node.field for node in nodes} == {0, 1, 2, 3}
    assert max(len(node.ids) for node in nodes if node.ids is not None) > 1
    assert {node.nan_is_missing for node in nodes if node.ids is None} == {True, False}
    assert max(len(leaf.fields) for tree in model.trees for leaf in tree.leaves) == 4


def test_pair_effects_are_those_of_the_definition(model: LightGBMModel, some_rows) -> None:
    matrix = feature_matrix(some_rows)
    for number, row in enumerate(matrix):
        effects = mean_pair_effects(model.trees, matrix[number : number + 1])
        for first, second in combinations(range(4), 2):
            expected = abs(brute_force(model, row, first, second))
            np.testing.assert_allclose(effects[first, second], expected, atol=1e-12)
        np.testing.assert_array_equal(effects, effects.T)
        np.testing.assert_array_equal(np.diag(effects), 0)


def test_paths_too_long_for_a_full_table_give_the_same(
    model: LightGBMModel, some_rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = mean_pair_effects(model.trees, feature_matrix(some_rows))
    monkeypatch.setattr(interactions, "_MOST_TABLE_BITS", 2)
    np.testing.assert_allclose(mean_pair_effects(model.trees, feature_matrix(some_rows)), expected, atol=1e-12)


def test_the_mean_over_blocks_is_the_mean_over_rows(
    model: LightGBMModel, some_rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = feature_matrix(some_rows)
    expected = np.mean([mean_pair_effects(model.trees, matrix[n : n + 1]) for n in range(len(matrix))], axis=0)
    monkeypatch.setattr(interactions, "_BLOCK", 5)
    np.testing.assert_allclose(mean_pair_effects(model.trees, matrix), expected, atol=1e-12)


def test_a_row_reaches_the_leaf_that_lightgbm_says(model: LightGBMModel, some_rows) -> None:
    matrix = feature_matrix(some_rows)
    reached = model.booster.predict(matrix, pred_leaf=True)
    for index, tree in enumerate(model.trees):
        decisions = tree.decisions(matrix)
        for number, leaf in enumerate(tree.leaves):
            passed = [decisions[node] == left for way in leaf.ways for node, left in way]
            np.testing.assert_array_equal(np.all(passed, axis=0), reached[:, index] == number)


def test_contributions_are_shapley_values_around_the_mean_of_the_trees(model: LightGBMModel, some_rows) -> None:
    (shares,) = model.explain(some_rows, [ExplanationKind.CONTRIBUTIONS], ExplainContext())
    np.testing.assert_allclose(shares.baseline, sum(tree.mean for tree in model.trees), atol=1e-9)
    np.testing.assert_allclose(shares.baseline + shares.values.sum(axis=1), model.predict(some_rows).logit(), atol=1e-9)


def test_terms_count_the_trees_whose_path_uses_exactly_these_fields(model: LightGBMModel, some_rows) -> None:
    (terms,) = model.explain(some_rows, [ExplanationKind.INTERACTION_TERMS], ExplainContext())
    reached = model.booster.predict(feature_matrix(some_rows), pred_leaf=True).astype(int)
    for term in terms.terms:
        fields = {some_rows.schema.names.index(name) for name in term.fields}
        used = [
            set(model.trees[tree].leaves[leaf].fields) == fields for row in reached for tree, leaf in enumerate(row)
        ]
        assert term.frequency == pytest.approx(sum(used) / len(some_rows))
    assert all(term.order >= 2 for term in terms.terms)


def test_a_field_that_does_nothing_interacts_least() -> None:
    model = lightgbm_model.build(LightGBMParameters(num_trees=30)).fit(training_data(xor()), FitContext())
    (pairs,) = model.explain(xor(800, seed=3), [ExplanationKind.PAIR_INTERACTIONS], ExplainContext())
    left, right, other = (pairs.fields.index(name) for name in ("left", "right", "other"))
    assert pairs.values[left, right] > 20 * max(pairs.values[left, other], pairs.values[right, other])


def test_only_the_kinds_asked_for_come_back_in_that_order(model: LightGBMModel, some_rows) -> None:
    kinds = [ExplanationKind.PAIR_INTERACTIONS, ExplanationKind.FIELD_IMPORTANCE]
    assert [explanation.kind for explanation in model.explain(some_rows, kinds, ExplainContext())] == kinds


def test_pair_effects_end_when_asked_to_stop(model: LightGBMModel, some_rows) -> None:
    with pytest.raises(Stopped):
        model.explain(some_rows, [ExplanationKind.PAIR_INTERACTIONS], ExplainContext(should_stop=lambda: True))


def test_progress_of_pair_effects_ends_at_one(model: LightGBMModel, some_rows) -> None:
    seen: list[float] = []
    model.explain(some_rows, [ExplanationKind.PAIR_INTERACTIONS], ExplainContext(progress=seen.append))
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)


def test_no_rows_have_explanations_of_every_kind(model: LightGBMModel, some_rows) -> None:
    none = some_rows.take(slice(0, 0))
    shares, importance, terms, pairs = model.explain(none, list(ExplanationKind), ExplainContext())
    assert shares.values.shape == (0, 4)
    assert importance.values.shape == (4,)
    assert terms.terms == ()
    assert not pairs.values.any()
