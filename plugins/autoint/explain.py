"""What AutoInt says about itself besides contributions: where it looked, and how much the logit hung on it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from crosslens import EncodedDataset, ExplainContext, FieldImportance, PairInteractions
from crosslens.data import Float64Array

from ..neural.gradients import watched
from .module import AutoInt

_IGNORES = (
    "It has no sign and ignores what the value projection, the residual, the output weights and (in AutoInt+) the "
    "plain network make of what is looked at; behind the first layer a field's place holds a mixture of fields."
)


_SHARED = " What goes to or from a field with several values is shared evenly by the values that the row has."


def attention_received(network: AutoInt, data: EncodedDataset, context: ExplainContext) -> FieldImportance:
    """Return how much attention each field gets from all fields: a mean over rows, layers, heads and asking fields."""
    total = np.zeros(len(data.schema.fields))
    for _, ids, values in watched(data, context):
        with torch.no_grad():
            _, attentions = network.attend(*network.embeddings(ids, values))
            received = torch.stack([part.mean((1, 2)) for part in attentions]).mean(0)  # (B, F')
            shared = network.tokens.spread(received, 1) * network.embedding.value_shares(ids, values)
        total += shared.double().sum(0).numpy()
    return FieldImportance(
        fields=data.schema.names,
        values=total / max(len(data), 1),
        method="Mean attention received, over rows, layers, heads and asking fields, as the paper's heat maps show it."
        + (_SHARED if network.tokens.pools else ""),
        meaning=f"High: the other fields look at this one. {_IGNORES}",
        rows=len(data),
    )


def attended_pairs(network: AutoInt, data: EncodedDataset, context: ExplainContext) -> PairInteractions:
    """Return how much the logit hangs on what each pair of fields takes from each other.

    Mean over rows of |a_fg d logit / d a_fg|, summed over layers and heads, both directions added.
    """
    fields = len(data.schema.fields)
    total = np.zeros((fields, fields))
    for _, ids, values in watched(data, context):
        with torch.enable_grad():
            embedded = network.embeddings(ids, values)[0].requires_grad_()
            logits, attentions = network.attend(embedded)
            gradients = torch.autograd.grad(logits.sum(), attentions)
        found = torch.stack([(a * g).detach().abs().sum(1) for a, g in zip(attentions, gradients, strict=True)]).sum(0)
        total += _of_fields(network, found, network.embedding.value_shares(ids, values))
    return PairInteractions(
        fields=data.schema.names,
        values=_symmetric(total) / max(len(data), 1),
        method="Mean of |attention x gradient of the logit at it|, summed over layers, heads and directions."
        + (_SHARED if network.tokens.pools else ""),
        meaning="High: the logit would change if these two fields took less from each other. Taking alone makes no "
        "interaction: a field's own effect may travel through another field's place; whether a pair interacts is "
        "decided at the output.",
        rows=len(data),
    )


def _of_fields(network: AutoInt, found: Tensor, shares: Tensor) -> Float64Array:
    """Return sums over rows (F, F) of what pairs of tokens have (B, F', F'); none between values of one field."""
    tokens = network.tokens
    pairs = tokens.spread(tokens.spread(found, 1), 2).double()
    total = torch.einsum("bfg,bf,bg->fg", pairs, shares.double(), shares.double())
    own = torch.tensor(tokens.of)
    return total.masked_fill(own == own.unsqueeze(1), 0).numpy()


def _symmetric(values: Float64Array) -> Float64Array:
    both = values + values.T
    np.fill_diagonal(both, 0.0)
    return both
