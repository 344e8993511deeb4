"""What a network has to offer to be trained, explained and saved like the others."""

from __future__ import annotations

from torch import Tensor, nn

from .embedding import FieldEmbedding


class Network(nn.Module):
    """A network over embeddings of the fields, with one logit per output.

    Everything behind the embeddings must be differentiable: contributions are carried back to them. Axes: B batch, C
    categorical fields, M numerical fields, F = C + M fields, E embedding width, T outputs.
    """

    def embeddings(self, ids: Tensor, values: Tensor) -> tuple[Tensor, ...]:
        """Return one or more embeddings (B, F, E) for ids (B, C) in the shared table and values (B, M)."""
        raise NotImplementedError

    def logits(self, *embeddings: Tensor) -> Tensor:
        """Return logits (B, T) for what `embeddings` returned."""
        raise NotImplementedError

    def forward(self, ids: Tensor, values: Tensor) -> Tensor:
        """Return logits (B, T) for ids (B, C) and values (B, M)."""
        return self.logits(*self.embeddings(ids, values))

    def plain_logits(self, *embeddings: Tensor) -> Tensor:
        """Return `logits` by plain tensor operations: no blocks, no steps that depend on the numbers.

        What cannot be written down as a graph otherwise says it here once more.
        """
        return self.logits(*embeddings)

    def average_statistics(self, step: int) -> None:
        """Prepare running statistics for training step `step` (from 1); networks without any do nothing."""

    @property
    def tables(self) -> list[FieldEmbedding]:
        """Return the embedding tables of the network."""
        return [part for part in self.modules() if isinstance(part, FieldEmbedding)]
