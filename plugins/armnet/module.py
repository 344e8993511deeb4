"""ARM-Net: adaptive relation modelling network (Cai et al., SIGMOD 2021).

    a_kof = q_ko' W_k e_f / sqrt(E)                     alignment of neuron o of head k with field f
    z_ko  = alpha-entmax over fields (a_ko)             sparse gate: which fields the neuron uses, row by row
    w_kof = z_kof v_kof                                 signed weights
    y_ko  = exp( sum_f w_kof e_f )                      exponential neuron, elementwise: a product of powers of exp(e_f)
    logit = MLP( BatchNorm over the K*O neurons (y) )

ARM-Net+ adds a plain network on embeddings of its own: logit = w1 logit_arm + w2 logit_deep + b, trained jointly.

The values of a multi-valued field enter as one: f counts tokens, each a field or the mean of a field's values
(`neural.pooling`). A gate lets the mean in or shuts it out; in explanations a gate and a weight count for each value
that the row has, so that exponents stay sums over fields.

Axes: B batch, F field, F' token, E embedding, N = K*O neurons.

DIFF: numerical fields are value x vector + bias vector, with a trained vector where the value is missing; the authors
clamp values to [0.001, 1] and have no bias vector.
DIFF: the neurons reach the MLP in the order (E, N), not (N, E): the same function, the first layer's columns permuted.
DIFF: the MLP has no batch normalisation of its own, and its output bias starts at the logit of the label's rate.
DIFF: running statistics are plain means over the first batches, so that a short training can be evaluated too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crosslens import EncodedSchema

from ..neural.devices import full_precision
from ..neural.embedding import FieldEmbedding
from ..neural.layers import mlp, start_at_rate
from ..neural.network import Network
from ..neural.pooling import Tokens
from . import ArmNetParameters, ArmNetPlusParameters
from .gate import exponents, products, weights
from .graph import exponents_graph

_ALIGNED = 0.25
"""Spread of the alignments before training. Wider gates start nearly shut and learn less; narrower ones never shut."""
_MOMENTUM = 0.1


class ArmBranch(nn.Module):
    """The exponential neurons and the network behind them."""

    def __init__(self, fields: int, parameters: ArmNetParameters) -> None:
        super().__init__()
        heads, neurons, width = parameters.heads, parameters.neurons, parameters.embedding
        self.alpha = parameters.alpha
        self.query = nn.Parameter(
            torch.randn(heads, neurons, width) * _ALIGNED / parameters.initial_spread
        )  # Q: K x O x E
        self.bilinear = nn.Parameter(torch.randn(heads, width, width) / math.sqrt(width))  # W: K x E x E
        self.values = nn.Parameter(torch.randn(fields, heads * neurons))  # V: F' x K*O
        self.norm = nn.BatchNorm1d(heads * neurons, momentum=_MOMENTUM)
        self.mlp = mlp(width * heads * neurons, parameters.layers, parameters.dropout)

    def alignment(self) -> Tensor:
        """Return W and Q folded into one map (E, N): the alignment of a field is its embedding times this."""
        width = self.query.shape[2]
        folded = torch.einsum("koi,kij->jko", self.query, self.bilinear)
        return folded.reshape(width, -1) / math.sqrt(width)

    def exponents(self, embedded: Tensor) -> Tensor:
        """Return s (B, E, N) for tokens (B, F', E)."""
        with full_precision(embedded.device):  # thresholds and exponentials need the digits
            return exponents(embedded.float(), self.alignment(), self.values, self.alpha)

    def products(self, embedded: Tensor) -> Tensor:
        """Return y (B, E, N) for tokens (B, F', E)."""
        with full_precision(embedded.device):
            return products(embedded.float(), self.alignment(), self.values, self.alpha)

    def weights(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gates z and the signed weights w of tokens (B, F', E), each (B, F', N), without a graph."""
        return weights(embedded, self.alignment(), self.values, self.alpha)

    def head(self, sums: Tensor) -> Tensor:
        """Return logits (B,) for s (B, E, N)."""
        return self.behind(sums.exp())

    def behind(self, products: Tensor) -> Tensor:
        """Return logits (B,) for y (B, E, N), which is normalised over B and E."""
        normalised = self.norm(products.flatten(0, 1)).view_as(products)
        return self.mlp(normalised.flatten(1)).squeeze(1)  # type: ignore[no-any-return]


class DeepBranch(nn.Module):
    """The network beside the neurons in ARM-Net+, and the weights that join both."""

    def __init__(self, schema: EncodedSchema, parameters: ArmNetPlusParameters) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, parameters.deep_embedding, parameters.initial_spread)
        self.tokens = Tokens(schema)
        self.mlp = mlp(parameters.deep_embedding * self.tokens.count, parameters.deep_layers, parameters.dropout)
        self.mix = nn.Parameter(torch.full((2,), 0.5))  # w1, w2
        self.bias = nn.Parameter(torch.zeros(()))  # b

    def head(self, embedded: Tensor) -> Tensor:
        """Return logits (B,) for this branch's embeddings (B, F, E)."""
        return self.mlp(self.tokens(embedded).flatten(1)).squeeze(1)  # type: ignore[no-any-return]

    def join(self, arm: Tensor, deep: Tensor) -> Tensor:
        """Return w1 arm + w2 deep + b."""
        return self.mix[0] * arm + self.mix[1] * deep + self.bias


@dataclass(frozen=True, slots=True)
class Inside:
    """What explains a logit. `deep` (B, F, E) are the embeddings of ARM-Net+'s second branch.

    gates (B, F, N); signed weights (B, F, N); embedded (B, F, E): s_ne = sum_f weights_fn embedded_fe.
    """

    embedded: Tensor
    gates: Tensor
    weights: Tensor
    deep: Tensor | None

    @property
    def sums(self) -> Tensor:
        """Return s (B, E, N)."""
        return self.embedded.transpose(1, 2) @ self.weights


class ArmNet(Network):
    """ARM-Net, or ARM-Net+ when built from `ArmNetPlusParameters`."""

    def __init__(self, schema: EncodedSchema, parameters: ArmNetParameters, rate: float = 0.5) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, parameters.embedding, parameters.initial_spread)
        self.tokens = Tokens(schema)
        self.arm = ArmBranch(self.tokens.count, parameters)
        self.deep = DeepBranch(schema, parameters) if isinstance(parameters, ArmNetPlusParameters) else None
        for branch in (self.arm, self.deep):
            if branch is not None:
                start_at_rate(branch.mlp[-1], rate)

    def embeddings(self, ids: Tensor, values: Tensor) -> tuple[Tensor, ...]:
        """Return the embeddings (B, F, E) of the neurons and, in ARM-Net+, those of the network beside them."""
        own = self.embedding(ids, values)
        return (own,) if self.deep is None else (own, self.deep.embedding(ids, values))

    def logits(self, *embeddings: Tensor) -> Tensor:
        """Return logits (B, 1) for what `embeddings` returned."""
        arm = self.arm.behind(self.arm.products(self.tokens(embeddings[0])))
        return self._joined(arm, *embeddings[1:]).unsqueeze(1)

    def plain_logits(self, *embeddings: Tensor) -> Tensor:
        """Return logits (B, 1) as `logits` does, without blocks and without asking whether a gate is found."""
        branch = self.arm
        sums = exponents_graph(self.tokens(embeddings[0]), branch.alignment(), branch.values, branch.alpha)
        return self.head(sums, *embeddings[1:]).unsqueeze(1)

    def inside(self, ids: Tensor, values: Tensor) -> Inside:
        """Return gates, weights and embeddings of every row, without a graph."""
        with torch.no_grad():
            embedded, *deep = self.embeddings(ids, values)
            has = self.embedding.value_shares(ids, values).ne(0).unsqueeze(2)
            gates, signed = (self.tokens.spread(each, 1) * has for each in self.arm.weights(self.tokens(embedded)))
        return Inside(embedded, gates, signed, deep[0] if deep else None)

    def head(self, sums: Tensor, deep: Tensor | None = None) -> Tensor:
        """Return logits (B,) from the exponents s (B, E, N) and the deep embeddings: what lies behind the sums."""
        return self._joined(self.arm.head(sums), deep)

    def _joined(self, arm: Tensor, deep: Tensor | None = None) -> Tensor:
        return arm if self.deep is None or deep is None else self.deep.join(arm, self.deep.head(deep))

    def average_statistics(self, step: int) -> None:
        """Let running statistics be plain means until `step` (from 1) makes them slower than the usual momentum."""
        self.arm.norm.momentum = max(_MOMENTUM, 1 / step)
