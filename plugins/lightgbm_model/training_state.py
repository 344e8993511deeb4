"""Where training stands between two trees: what a checkpoint keeps beside the trees."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crosslens import Checkpoints, FitContext

_TREES = "trees.txt"
_STATE = "state.json"


@dataclass(frozen=True, slots=True)
class TrainingState:
    """Trees grown, and the number of trees that had the lowest validation log loss so far."""

    trees: int = 0
    best_trees: int = 0
    best_loss: float = float("inf")

    def after(self, loss: float) -> TrainingState:
        """Return the state after one more tree with this validation log loss."""
        trees = self.trees + 1
        if loss < self.best_loss:
            return TrainingState(trees, trees, loss)
        return TrainingState(trees, self.best_trees, self.best_loss)


def save_checkpoint(checkpoints: Checkpoints, state: TrainingState, trees: str, identity: dict[str, Any]) -> None:
    """Keep the trees as LightGBM text. `identity` says which training they belong to."""

    def write(folder: Path) -> None:
        (folder / _TREES).write_text(trees, encoding="utf-8")
        (folder / _STATE).write_text(json.dumps({"state": asdict(state), "identity": identity}), encoding="utf-8")

    checkpoints.save(write)


def latest_checkpoint(context: FitContext, identity: dict[str, Any]) -> tuple[TrainingState, str] | None:
    """Return state and trees to go on from; None if there are none, or if they belong to another training."""
    folder = context.checkpoints.latest()
    if folder is None:
        return None
    saved = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    if saved["identity"] != json.loads(json.dumps(identity)):
        context.log.warning("The checkpoint belongs to other rows or parameters; training starts anew.")
        return None
    return TrainingState(**saved["state"]), (folder / _TREES).read_text(encoding="utf-8")
