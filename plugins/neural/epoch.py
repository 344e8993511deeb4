"""One pass over the training rows, watched: how far it is, how fast, and what it has lost so far.

Losses are summed where they are made and read only when something is told: reading a number makes a device wait.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

from crosslens import FitContext, FitProgress

REPORT_SECONDS = 0.2

AnyBatch = TypeVar("AnyBatch")


class EpochMeter:
    """Counts the steps and rows of epoch `epoch` (from 1) and tells the context of them.

    `best_epoch` is 0 before there is one; `steps_before` are those of earlier epochs. `is_finite` says whether every
    loss that was read is a number.
    """

    def __init__(
        self,
        context: FitContext,
        device: torch.device,
        *,
        epoch: int,
        epochs: int,
        steps: int,
        best_epoch: int = 0,
        steps_before: int = 0,
    ) -> None:
        self.context = context
        self.epoch = epoch
        self.epochs = epochs
        self.steps = steps
        self.best_epoch = best_epoch
        self.steps_before = steps_before
        self.steps_done = 0
        self.rows_done = 0
        self.is_finite = True
        self._started = self._reported = time.monotonic()
        self._ended = 0.0  # validation does not count as training time
        self._sum = torch.zeros((), device=device)
        self._losses = 0
        self._last_loss: float | None = None

    @property
    def next_step(self) -> int:
        """Return the number of the step to come, from 1 over all epochs."""
        return self.steps_before + self.steps_done + 1

    def watch(self, batches: Iterable[AnyBatch], step: Callable[[AnyBatch], tuple[Tensor, int]]) -> bool:
        """Take a step with every batch; return whether the epoch went through, False on Stop.

        `step` returns the mean loss of a batch, which is not waited for, and how many rows it had. The pass ends early,
        as one that went through, when the loss is seen to be no number.
        """
        stopped = False
        for batch in batches:
            stopped = self.context.should_stop()
            if stopped:
                break
            self._count(*step(batch))
            if time.monotonic() - self._reported >= REPORT_SECONDS:
                self.report()
                if not self.is_finite:
                    break
        self._read()
        self._ended = time.monotonic()
        return not stopped

    def report(self, metrics: Mapping[str, float] | None = None, message: str = "") -> None:
        """Tell the context where training stands."""
        self._read()
        self._reported = time.monotonic()
        self.context.progress(
            FitProgress(
                epoch=self.epoch,
                epochs=self.epochs,
                step=self.steps_done,
                steps=self.steps,
                rows_per_second=self.rows_done / max((self._ended or self._reported) - self._started, 1e-9),
                loss=self._last_loss,
                metrics=metrics or {},
                best_epoch=self.best_epoch or None,
                message=message,
            )
        )

    def _count(self, loss: Tensor, rows: int) -> None:
        self._sum += loss
        self._losses += 1
        self.steps_done += 1
        self.rows_done += rows

    def _read(self) -> None:
        """Read the mean loss since the last look; the only place where training waits for a number."""
        if not self._losses:
            return
        self._last_loss = float(self._sum) / self._losses
        self.is_finite = self.is_finite and math.isfinite(self._last_loss)
        self._sum.zero_()
        self._losses = 0
