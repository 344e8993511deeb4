"""The two contrastive losses of SRA-CL (Cui et al., NeurIPS 2025).

    InfoNCE(a, p)  = mean over b of -log( exp(cos(a_b, p_b) / tau) / sum over c of exp(cos(a_b, p_c) / tau) )
    z_u  = sum_j w_uj h_j,   w_uj = softmax_j( <A s_u, C s_j> / sqrt(E) )      j in the k users most alike to u
    L_CS = InfoNCE(h_u, z_u)                                                   across sequences
    L_IS = ( InfoNCE(h', h'') + InfoNCE(h'', h') ) / 2                         within a sequence

s are the users' semantic vectors, A and C are learned with everything else (the synthesizer), h' and h'' are the states
of two views of a history, each with a share of its items replaced by one of the k items most alike. Negatives are the
other sequences of the batch; those of the same user are none.

DIFF: neighbours are other users, never prefixes of the same sequence. Their states h_j come from a bank filled at the
start of every epoch (`bank`), or from the network with gradients (`exact`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from crosslens import RESERVED_IDS, SequenceDataset

from . import SraClParameters
from .module import SasRec
from .semantics import Semantics
from .windows import Batch, latest

_BANK_BLOCK = 2048


def info_nce(anchors: Tensor, positives: Tensor, users: Tensor, temperature: float) -> Tensor:
    """Return the mean InfoNCE loss in nats of anchors (B, E) and positives (B, E); users (B,) say whose they are."""
    cosines = functional.normalize(anchors, dim=1) @ functional.normalize(positives, dim=1).T
    same = (users[:, None] == users) & ~torch.eye(len(users), dtype=torch.bool, device=users.device)
    logits = (cosines / temperature).masked_fill(same, -torch.inf)
    loss: Tensor = functional.cross_entropy(logits, torch.arange(len(users), device=users.device))
    return loss


class Synthesizer(nn.Module):
    """Weighs the users most alike into one positive for each anchor."""

    def __init__(self, semantic_width: int, width: int) -> None:
        super().__init__()
        self.anchor = nn.Linear(semantic_width, width, bias=False)
        self.candidate = nn.Linear(semantic_width, width, bias=False)

    def forward(self, anchors: Tensor, candidates: Tensor, found: Tensor, states: Tensor) -> Tensor:
        """Return (B, E) from semantics (B, D) and (B, k, D), whether there is one (B, k), and states (B, k, E)."""
        queries, keys = self.anchor(anchors), self.candidate(candidates)
        scores = (queries[:, None] * keys).sum(2) / keys.shape[2] ** 0.5  # (B, k)
        weights = scores.masked_fill(~found, -torch.inf).softmax(1)
        mixed: Tensor = (weights[:, :, None] * states).sum(1)
        return mixed


def replaced(items: Tensor, alike: Tensor, share: float) -> Tensor:
    """Return items (B, T), a share of them replaced by one of the items alike (I, k) picked evenly.

    -1 in `alike` is no item; items without any stay, and so does padding.
    """
    options = alike[items.long()]  # (B, T, k)
    choices = (options >= RESERVED_IDS).sum(2)
    chance = torch.rand((2, *items.shape), device=items.device)
    pick = torch.minimum((chance[0] * choices).long(), choices - 1).clamp_(min=0)
    others = options.gather(2, pick[:, :, None])[:, :, 0].to(items.dtype)
    return torch.where((chance[1] < share) & (choices > 0), others, items)


@dataclass(eq=False)
class Contrast:
    """What SRA-CL adds to the loss of a step. `synthesizer` is trained with the network; the rest is looked up."""

    parameters: SraClParameters
    train: SequenceDataset
    synthesizer: Synthesizer
    user_vectors: Tensor
    users: Tensor
    items: Tensor
    bank: Tensor | None = None

    @classmethod
    def prepare(
        cls, parameters: SraClParameters, train: SequenceDataset, semantics: Semantics, device: torch.device
    ) -> Contrast:
        """Make the synthesizer and move what is looked up to the device."""
        vectors = torch.from_numpy(semantics.user_vectors).to(device)
        return cls(
            parameters=parameters,
            train=train,
            synthesizer=Synthesizer(vectors.shape[1], parameters.width).to(device),
            user_vectors=vectors,
            users=torch.from_numpy(semantics.users).to(device),
            items=torch.from_numpy(semantics.items).to(device),
        )

    def begin_epoch(self, network: SasRec) -> None:
        """Fill the bank (U, E) with the states of all users as the network sees them now."""
        if self.parameters.alpha and self.parameters.neighbour_states == "bank":
            self.bank = states_of(network, self.train, self.user_vectors.device)

    def loss(self, network: SasRec, batch: Batch, anchors: Tensor) -> Tensor:
        """Return alpha L_CS + beta L_IS of a batch with final states `anchors` (B, E)."""
        total = anchors.new_zeros(())
        if self.parameters.alpha:
            total = total + self.parameters.alpha * self.across(network, batch.users, anchors)
        if self.parameters.beta:
            total = total + self.parameters.beta * self.within(network, batch)
        return total

    def across(self, network: SasRec, users: Tensor, anchors: Tensor) -> Tensor:
        """Return L_CS; 0 when no user of the batch has a neighbour."""
        alike = self.users[users].long()  # (B, k)
        found = alike >= 0
        some = found[:, 0]
        users, anchors, alike, found = users[some], anchors[some], alike[some], found[some]
        if not len(users):
            return anchors.sum() * 0.0
        others = alike.clamp(min=0)
        states = self._states(network, others)
        positives = self.synthesizer(self.user_vectors[users], self.user_vectors[others], found, states)
        return info_nce(anchors, positives, users, self.parameters.temperature)

    def within(self, network: SasRec, batch: Batch) -> Tensor:
        """Return L_IS: both views go through the network together."""
        views = [replaced(batch.items, self.items, self.parameters.replaced) for _ in range(2)]
        states = network.final(torch.cat(views), batch.lengths.repeat(2))
        one, other = states.chunk(2)
        temperature = self.parameters.temperature
        forth = info_nce(one, other, batch.users, temperature)
        return (forth + info_nce(other, one, batch.users, temperature)) / 2

    def _states(self, network: SasRec, users: Tensor) -> Tensor:
        """Return the states (B, k, E) of users (B, k)."""
        if self.bank is not None:
            return self.bank[users]
        distinct, places = torch.unique(users, return_inverse=True)
        items, lengths = latest(self.train, distinct.cpu().numpy(), network.length)
        states = network.final(items.to(users.device), lengths.to(users.device))
        return states[places]


@torch.no_grad()
def states_of(network: SasRec, train: SequenceDataset, device: torch.device) -> Tensor:
    """Return the state (U, E) of every user after their last training event, without dropout; 0 without events."""
    training = network.training
    network.eval()
    bank = torch.zeros((len(train), network.items.embedding_dim), device=device)
    order = train.lengths.clip(max=network.length).argsort(kind="stable")
    order = order[train.lengths[order] > 0]
    for start in range(0, len(order), _BANK_BLOCK):
        users = order[start : start + _BANK_BLOCK]
        items, lengths = latest(train, users, network.length)
        bank[torch.from_numpy(users).to(device)] = network.final(items.to(device), lengths.to(device))
    network.train(training)
    return bank
