"""AutoInt: feature interactions by self-attention over fields (Song et al., CIKM 2019).

    a_fg  = softmax over g ( <W_Q e_f, W_K e_g> )      per head: how much field f takes from field g     (eq. 5)
    e~_f  = sum_g a_fg W_V e_g                         heads side by side                               (eq. 6, 7)
    e'_f  = ReLU( e~_f + W_Res e_f )                   one layer; the next one starts from e'           (eq. 8)
    logit = w' concat_f e'_f + b                       behind the last layer                            (eq. 9)

AutoInt+ adds a plain network on the same embeddings: logit + MLP(concat_f e_f), trained jointly.

The values of a multi-valued field enter as one: f counts tokens, each a field or the mean of a field's values
(section 4.3; see `neural.pooling`).

Axes: B batch, F field, F' token, E width of what enters a layer, H heads, D width per head.

DIFF: numerical fields are value x vector + bias vector, with a trained vector where the value is missing, and take part
in the attention like the others; the paper has no bias vector.
DIFF: dropout falls on what leaves a layer, not on the attention weights: what a row attends to is what was trained.
DIFF: the output bias starts at the logit of the label's rate.
Not in the paper, off by default: scores divided by sqrt(D) (`scaled`), layer normalisation of e' (`layer_norm`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from crosslens import EncodedSchema

from ..neural.embedding import FieldEmbedding
from ..neural.layers import mlp, start_at_rate
from ..neural.network import Network
from ..neural.pooling import Tokens
from . import AutoIntParameters, AutoIntPlusParameters
from .attention import attend, attend_fused


class AttentionLayer(nn.Module):
    """One layer of attention over fields, with Q, K, V and the residual in a single projection."""

    def __init__(self, width: int, parameters: AutoIntParameters) -> None:
        super().__init__()
        heads, size = parameters.heads, parameters.head_width
        self.heads = heads
        self.scale = size**-0.5 if parameters.scaled else 1.0
        self.projection = nn.Parameter(torch.empty(width, 4 * heads * size))  # W_Q, W_K, W_V, W_Res side by side
        bound = math.sqrt(6 / (width + heads * size))  # Glorot & Bengio, AISTATS 2010, of each of the four
        nn.init.uniform_(self.projection, -bound, bound)
        self.norm = nn.LayerNorm(heads * size) if parameters.layer_norm else nn.Identity()
        self.dropout = nn.Dropout(parameters.dropout)

    def forward(self, entered: Tensor) -> Tensor:
        """Return e' (B, F, H*D) for what enters the layer (B, F, E)."""
        if entered.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            return self._finish(attend_fused(entered, self._projection(), self.heads))
        return self._finish(attend(entered, self._projection(), self.heads)[0])

    def shown(self, entered: Tensor) -> tuple[Tensor, Tensor]:
        """Return e' and the attention (B, H, F, F), with a graph through both: for explanations."""
        left, attention = attend(entered, self._projection(), self.heads)
        return self._finish(left), attention

    def _projection(self) -> Tensor:
        """Return W_Q, W_K, W_V and W_Res side by side; scores are scaled through W_Q."""
        if self.scale == 1:
            return self.projection
        query, others = self.projection.tensor_split([self.projection.shape[1] // 4], 1)
        return torch.cat((query * self.scale, others), 1)

    def _finish(self, left: Tensor) -> Tensor:
        result: Tensor = self.dropout(self.norm(left))
        return result


class AutoInt(Network):
    """AutoInt, or AutoInt+ when built from `AutoIntPlusParameters`."""

    def __init__(self, schema: EncodedSchema, parameters: AutoIntParameters, rate: float = 0.5) -> None:
        super().__init__()
        self.tokens = Tokens(schema)
        fields, width = self.tokens.count, parameters.heads * parameters.head_width
        self.embedding = FieldEmbedding(schema, parameters.embedding, parameters.initial_spread)
        widths = [parameters.embedding] + [width] * (parameters.attention_layers - 1)
        self.layers = nn.ModuleList(AttentionLayer(entering, parameters) for entering in widths)
        self.output = nn.Linear(fields * width, 1)
        start_at_rate(self.output, rate)
        self.deep = None
        if isinstance(parameters, AutoIntPlusParameters):
            self.deep = mlp(fields * parameters.embedding, parameters.deep_layers, parameters.dropout)

    def embeddings(self, ids: Tensor, values: Tensor) -> tuple[Tensor, ...]:
        """Return e (B, F, E), which attention and, in AutoInt+, the plain network share."""
        return (self.embedding(ids, values),)

    def logits(self, *embeddings: Tensor) -> Tensor:
        """Return logits (B, 1) for what `embeddings` returned."""
        left = tokens = self.tokens(embeddings[0])
        for layer in self.layers:
            left = layer(left)
        return self._head(left, tokens)

    def plain_logits(self, *embeddings: Tensor) -> Tensor:
        """Return logits (B, 1) as `logits` does, by the equations instead of blocks of rows."""
        return self.attend(embeddings[0])[0]

    def attend(self, embedded: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return logits (B, 1) and the attention (B, H, F', F') of every layer for e (B, F, E), with a graph."""
        left = tokens = self.tokens(embedded)
        attentions = []
        for layer in self.layers:
            assert isinstance(layer, AttentionLayer)
            left, attention = layer.shown(left)
            attentions.append(attention)
        return self._head(left, tokens), attentions

    def _head(self, left: Tensor, tokens: Tensor) -> Tensor:
        logits: Tensor = self.output(left.flatten(1))
        return logits if self.deep is None else logits + self.deep(tokens.flatten(1))
