"""DCN-V2 keeps every promise a Crosslens model makes, and its layers are those of the paper."""

# The name of a test is its sentence.
# ruff: noqa: D101, D103

import numpy as np
import torch
from crosslens_dcn import SPEC, DcnParameters
from crosslens_dcn.network import CrossLayer, DcnNetwork

from crosslens import ExplainContext, ExplanationKind, FitContext
from crosslens.testing import ModelContract, main_effects, training_data


class TestDcnV2(ModelContract):
    spec = SPEC


def test_a_cross_layer_is_equation_1():
    layer, first, x = CrossLayer(3), torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[4.0, 5.0, 6.0]])
    weights, bias = (part.detach().numpy() for part in layer.parameters())
    expected = first.numpy() * (x.numpy() @ weights.T + bias) + x.numpy()
    np.testing.assert_allclose(layer(first, x).detach().numpy(), expected, rtol=1e-6)


def test_block_norms_are_those_of_the_blocks_of_two_fields():
    network = DcnNetwork(4, 2, 0, embedding=3, cross=1, deep=(2,))
    weights = network.cross[0].linear.weight.detach().numpy()
    assert np.isclose(network.block_norms(2)[0, 1].item(), np.linalg.norm(weights[:3, 3:]))


def test_contributions_are_complete():
    model = SPEC.build(DcnParameters(epochs=2)).fit(training_data(main_effects(600)), FitContext())
    (shares,) = model.explain(main_effects(50, seed=1), [ExplanationKind.CONTRIBUTIONS], ExplainContext())
    np.testing.assert_allclose(shares.baseline + shares.values.sum(axis=1), shares.logits, atol=1e-5)
