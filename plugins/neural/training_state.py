"""Where training stands between two epochs."""

from __future__ import annotations

from dataclasses import dataclass, replace

_DECAYS = 1


@dataclass(frozen=True, slots=True)
class TrainingState:
    """Epochs and steps done, the best epoch by validation loss, and what the learning rate has come to.

    `stale` counts epochs since the best one or since the learning rate fell; `ended` says why training is over.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_loss: float = float("inf")
    stale: int = 0
    decays: int = 0
    ended: str = ""

    def after(self, loss: float, *, patience: int, epochs: int) -> TrainingState:
        """Return the state after one more epoch that ended with this validation loss."""
        state = replace(self, epoch=self.epoch + 1)
        if loss < self.best_loss:
            state = replace(state, best_epoch=state.epoch, best_loss=loss, stale=0)
        else:
            state = replace(state, stale=state.stale + 1)
        if state.stale >= patience:
            state = replace(state, stale=0, decays=state.decays + 1)
        if state.decays > _DECAYS:
            return replace(state, ended="Validation stopped improving.")
        return replace(state, ended="The last epoch is done.") if state.epoch >= epochs else state

    def lost(self) -> TrainingState:
        """Return the state after one more epoch whose loss is no number: training is over."""
        ended = f"The loss is not a number after epoch {self.epoch}; the best epoch before it was kept."
        return replace(self, epoch=self.epoch + 1, ended=ended)

    def rate(self, start: float) -> float:
        """Return the learning rate: `start`, divided by ten at every plateau."""
        return start * 0.1**self.decays
