"""Several values of a field as one vector: their mean (Song et al., CIKM 2019, section 4.3).

The values of a multi-valued field reach a network as yes/no fields of one group. Each has a vector of its own, so that
contributions name the values; a network sums the members of a group before anything else, into one token:

    e_member = vector(yes) / number of the row's values     where the row has it, 0 where it has not
    e_lead   = vector(missing, unknown or no)               of the first member, where the row has none of the values
    token    = sum over members e_member

A value that was hidden or deleted is one value less in the mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crosslens import EncodedSchema
from crosslens.data import PRESENT_ID


class ValueShares(nn.Module):
    """How much of each categorical field's vector a row takes: 1, or its share of the values of a group.

    member (C, G): whether a field belongs to a group; lead (C, G): whether as its first; alone (C,): to none;
    present (C,): the id that says "yes", -1 where the field is alone.
    """

    member: Tensor
    lead: Tensor
    alone: Tensor
    present: Tensor

    def __init__(self, schema: EncodedSchema) -> None:
        super().__init__()
        fields = schema.categorical
        groups = group_names(schema)
        member = torch.tensor([[field.group == group for group in groups] for field in fields])
        lead = member & (member.cumsum(0) == 1)
        alone = torch.tensor([not field.group for field in fields])
        ids = [first + PRESENT_ID if field.group else -1 for first, field in zip(schema.offsets, fields, strict=True)]
        for name, tensor in (("member", member.float()), ("lead", lead.float()), ("alone", alone.float())):
            self.register_buffer(name, tensor, persistent=False)
        self.register_buffer("present", torch.tensor(ids, dtype=torch.int32), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Return shares (B, C) for ids (B, C) in the shared table; those of a group sum to 1."""
        has = (ids == self.present).float()
        counts = _product(has, self.member)  # (B, G)
        taken = has + _product((counts == 0).float(), self.lead.T) + self.alone
        return taken / (_product(counts.clamp(min=1), self.member.T) + self.alone)


class Tokens(nn.Module):
    """Sums the members of every group. `of` (F,) is each field's token, `count` how many tokens there are."""

    belongs: Tensor  # (F', F)

    def __init__(self, schema: EncodedSchema) -> None:
        super().__init__()
        keys = [field.group or place for place, field in enumerate(schema.fields)]
        places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        self.count = len(places)
        self.pools = self.count < len(keys)
        self.of = tuple(places[key] for key in keys)
        if self.pools:
            belongs = torch.nn.functional.one_hot(torch.tensor(self.of), self.count).T.float()
            self.register_buffer("belongs", belongs, persistent=False)

    def forward(self, embedded: Tensor) -> Tensor:
        """Return one vector per token (B, F', E) for e (B, F, E)."""
        return self.belongs.to(embedded.dtype) @ embedded if self.pools else embedded

    def spread(self, values: Tensor, dim: int) -> Tensor:
        """Return for every field what its token has along `dim`: (..., F', ...) to (..., F, ...)."""
        return values.index_select(dim, torch.tensor(self.of, device=values.device)) if self.pools else values


def group_names(schema: EncodedSchema) -> tuple[str, ...]:
    """Return the groups of a schema, each once, in order."""
    return tuple(dict.fromkeys(field.group for field in schema.categorical if field.group))


def group_leads(schema: EncodedSchema) -> tuple[int, ...]:
    """Return for every categorical field (C,) the column of its group's first member, or its own."""
    first: dict[str, int] = {}
    return tuple(
        first.setdefault(field.group, column) if field.group else column
        for column, field in enumerate(schema.categorical)
    )


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right with all digits whatever is asked of products: counts have to be whole."""
    return (left.unsqueeze(2) * right).sum(1)
