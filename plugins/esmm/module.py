"""Two towers on an embedding of the fields (Ma et al., SIGIR 2018, figure 2).

    e = concat_f e_f            one embedding for both towers, or one for each
    a = MLP_ctr(e)              logit of pCTR
    b = MLP_cvr(e)              logit of pCVR

Multi-valued fields are pooled as in the paper, by the mean of their values (`neural.pooling`). Both output biases start
at the logits of the rates instead of 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crosslens import EncodedSchema

from ..funnel import Rates
from ..neural.embedding import FieldEmbedding
from ..neural.layers import mlp, start_at_rate
from ..neural.network import Network
from ..neural.pooling import Tokens
from . import EsmmParameters, Variant

EVEN = Rates(0.5, 0.5)


class Esmm(Network):
    """Embeddings and the two towers. Logits (B, 2): those of pCTR and pCVR."""

    def __init__(self, schema: EncodedSchema, parameters: EsmmParameters, rates: Rates = EVEN) -> None:
        super().__init__()
        count = 1 if Variant(parameters.variant).shares_embedding else 2
        self.embedding = nn.ModuleList(
            FieldEmbedding(schema, parameters.embedding, parameters.initial_spread) for _ in range(count)
        )
        self.tokens = Tokens(schema)
        width = parameters.embedding * self.tokens.count
        self.ctr = mlp(width, parameters.layers, parameters.dropout, 1)
        self.cvr = mlp(width, parameters.layers, parameters.dropout, 1)
        for tower, rate in ((self.ctr, rates.click), (self.cvr, rates.conversion)):
            start_at_rate(tower[-1], rate)

    def embeddings(self, ids: Tensor, values: Tensor) -> tuple[Tensor, ...]:
        """Return the embedding (B, F, E) of both towers, or one for each."""
        return tuple(embedding(ids, values) for embedding in self.embedding)

    def logits(self, *embeddings: Tensor) -> Tensor:
        """Return logits (B, 2) for what `embeddings` returned."""
        of_clicks, of_conversions = self.tokens(embeddings[0]), self.tokens(embeddings[-1])
        return torch.cat((self.ctr(of_clicks.flatten(1)), self.cvr(of_conversions.flatten(1))), 1)
