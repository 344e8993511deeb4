"""SASRec and SRA-CL before training: what they refuse to learn from, and what they become."""

from __future__ import annotations

from dataclasses import dataclass, replace

from crosslens import DataError, FitContext, SequenceTrainingData

from ..neural.devices import chosen_device, isolated
from ..next_item.histories import check_training, known_events
from . import SasRecParameters
from .fitted import SasRecModel
from .memory import check_memory
from .training import train_sequences
from .windows import Windows


@dataclass(frozen=True, slots=True)
class SasRecEstimator:
    """SASRec before training; with `SraClParameters`, SRA-CL.

    Validation NDCG@10 over all items chooses the epoch. After `patience` epochs without a better one the learning rate
    falls tenfold, once, and training goes on from the best epoch; after as many again it ends. Without validation users
    all epochs are trained and the last one is kept. On a CPU the same seed and threads give the same numbers, and a
    training resumed from its checkpoint those of one never interrupted.
    """

    parameters: SasRecParameters

    def fit(self, data: SequenceTrainingData, context: FitContext) -> SasRecModel:
        """Train until validation NDCG stops rising and keep the best epoch.

        Stop returns the best epoch so far, or the state of the first one when some steps were made. DataError when no
        user has two events, when the text encoder fails, and when the loss is lost in the first epoch; Stopped before
        the first step.
        """
        check_training(data)
        train = known_events(data.train)
        windows = Windows.cut(train, self.parameters.length)
        if not len(windows):
            raise DataError(
                "Nobody's history has two items, so there is no next item to learn from.",
                why="Every training history holds a single event.",
                do="Choose another user column, or take more rows.",
            )
        device = chosen_device(context.device)
        check_memory(train, self.parameters, device)
        context = replace(context, device=str(device))
        with isolated(context, device):
            return train_sequences(self.parameters, data, train, windows, context)

    def check_device(self, device: str) -> None:
        """Raise ParameterError for a device that this machine does not have."""
        chosen_device(device)
