"""Training sequences cut into windows, and batches of windows of nearly equal length.

A user's items s_1 .. s_n give inputs s_1 .. s_(n-1) with targets s_2 .. s_n. More inputs than fit are cut into windows
that follow each other, full ones last, so every target is trained exactly once an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crosslens import SequenceDataset
from crosslens.data import Int32Array, Int64Array

_POOL = 32  # batches that are sorted by length together


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """W windows over the events of training sequences.

    items  int32 (E,)  all events
    starts int64 (W,)  the first input; the inputs of window w are items[starts[w]] up to starts[w] + lengths[w]
    lengths int64 (W,) inputs, at least one; the target of each input is the event behind it
    users  int64 (W,)  whose
    """

    items: Int32Array
    starts: Int64Array
    lengths: Int64Array
    users: Int64Array

    @classmethod
    def cut(cls, train: SequenceDataset, length: int) -> Windows:
        """Cut sequences into windows of at most `length` inputs."""
        inputs = np.maximum(train.lengths - 1, 0)
        count = -(-inputs // length)  # (U,)
        users = np.repeat(np.arange(len(train)), count)
        number = np.arange(len(users)) - np.repeat(np.cumsum(count) - count, count)  # 0, 1, .. within a user
        ends = train.offsets[:-1][users] + inputs[users] - (count[users] - 1 - number) * length
        starts = np.maximum(ends - length, train.offsets[:-1][users])
        return cls(np.asarray(train.items), starts, ends - starts, users)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def targets(self) -> int:
        """Return how many targets an epoch trains."""
        return int(self.lengths.sum())

    def batch(self, windows: Int64Array) -> Batch:
        """Return some windows as tensors."""
        lengths = self.lengths[windows]
        places = np.arange(lengths.max())
        inside = places < lengths[:, None]  # (B, T)
        events = np.where(inside, self.starts[windows][:, None] + places, 0)
        return Batch(
            items=torch.from_numpy(np.where(inside, self.items[events], 0)),
            lengths=torch.from_numpy(lengths),
            inside=torch.from_numpy(inside),
            targets=torch.from_numpy(self.items[events[inside] + 1].astype(np.int64)),
            users=torch.from_numpy(self.users[windows]),
        )

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield every window once: random batches of at most `size`, of windows of nearly equal length."""
        order = torch.randperm(len(self)).numpy()
        pools = [order[start : start + size * _POOL] for start in range(0, len(order), size * _POOL)]
        cut = [
            part
            for pool in pools
            for part in np.array_split(pool[np.argsort(self.lengths[pool], kind="stable")], -(-len(pool) // size))
        ]
        for number in torch.randperm(len(cut)).tolist():
            yield self.batch(cut[number])

    def batch_count(self, size: int) -> int:
        """Return how many batches `batches` yields."""
        pool = size * _POOL
        whole, rest = divmod(len(self), pool)
        return whole * _POOL + -(-rest // size)


@dataclass(frozen=True, slots=True)
class Batch:
    """items int32 (B, T), 0 behind the end; lengths, users (B,); inside bool (B, T); targets int64 (N,) of `inside`."""

    items: Tensor
    lengths: Tensor
    inside: Tensor
    targets: Tensor
    users: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        if device.type == "cpu":
            return self
        return Batch(*(getattr(self, name).to(device, non_blocking=True) for name in self.__slots__))


def latest(histories: SequenceDataset, users: Int64Array, length: int) -> tuple[Tensor, Tensor]:
    """Return the last `length` items (B, T) of some users, at the left of each row, and how many there are (B,)."""
    lengths = np.minimum(histories.lengths[users], length)
    places = np.arange(max(int(lengths.max(initial=0)), 1))
    inside = places < lengths[:, None]
    events = np.where(inside, (histories.offsets[1:][users] - lengths)[:, None] + places, 0)
    items = np.where(inside, histories.items[events], 0) if len(histories.items) else np.zeros(events.shape, np.int32)
    return torch.from_numpy(items), torch.from_numpy(lengths)
