"""Cross tables keep every promise a Crosslens model makes, and find what they are for."""

# The name of a test is its sentence.
# ruff: noqa: D101, D103

import numpy as np
from crosslens_cross_tables import SPEC, CrossTablesParameters

from crosslens import ExplainContext, ExplanationKind, FitContext
from crosslens.testing import ModelContract, main_effects, training_data, xor


class TestCrossTables(ModelContract):
    spec = SPEC


def test_only_the_pair_that_matters_gets_a_table():
    model = SPEC.build(CrossTablesParameters(pairs=1)).fit(training_data(xor()), FitContext())
    (pairs,) = model.explain(xor(seed=1), [ExplanationKind.PAIR_INTERACTIONS], ExplainContext())
    left, right = pairs.fields.index("left"), pairs.fields.index("right")
    assert pairs.values[left, right] > 1
    assert np.count_nonzero(pairs.values) == 2


def test_contributions_are_centred_on_the_training_rows():
    data = training_data(main_effects())
    model = SPEC.build(CrossTablesParameters()).fit(data, FitContext())
    (shares,) = model.explain(data.train, [ExplanationKind.CONTRIBUTIONS], ExplainContext())
    np.testing.assert_allclose(shares.values.mean(axis=0), 0.0, atol=1e-9)
