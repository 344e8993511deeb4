"""A search over a model's parameters, as it is kept in the project: what was tried, how it did, what mattered.

tuning/<id>/tuning.json   Tuning, written after every trial: a search goes on where it was, and every view reads it
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from crosslens.errors import DataError, ProjectError
from crosslens.parameters import ParameterInfo, check_parameter, describe_parameters

from .files import read_json, write_json

FILE = "tuning.json"
_FEWEST_OTHERS = 5


class TrialState(StrEnum):
    """How a trial ended. PRUNED: it fell behind the others at the same epoch and was left."""

    FINISHED = "finished"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Trial:
    """One training with some parameters. `value` on validation rows is None where it failed."""

    number: int
    parameters: Mapping[str, Any]
    state: TrialState
    value: float | None = None
    seconds: float = 0.0
    epochs: int = 0
    curve: tuple[float, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Tuning:
    """A search. `metric` is measured on validation rows alone; `importance` sums to 1, empty before enough trials.

    `recipe` is TOML with the one model; its own parameters are the first trial. `data` is a fingerprint of the rows as
    they are learned from: trials on others cannot be compared.
    """

    id: str
    model: str
    title: str
    recipe: str
    metric: str
    rises: bool
    started: datetime
    trials: tuple[Trial, ...] = ()
    importance: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    data: str = ""

    @property
    def best(self) -> Trial | None:
        """Return the finished trial with the best value; None before there is one."""
        done = [trial for trial in self.trials if trial.state is TrialState.FINISHED and trial.value is not None]
        return min(done, key=self._order, default=None)

    def _order(self, trial: Trial) -> float:
        assert trial.value is not None
        return -trial.value if self.rises else trial.value

    def with_trial(self, trial: Trial) -> Tuning:
        """Return the search after one more trial."""
        return replace(self, trials=(*self.trials, trial))


@dataclass(frozen=True, slots=True)
class Range:
    """The values of one parameter a search may take: the two ends of a number's range, or a list of choices."""

    name: str
    type: type
    low: float = 0.0
    high: float = 0.0
    logarithmic: bool = False
    choices: tuple[Any, ...] = ()


def search_space(parameters: type[Any], given: Mapping[str, Any] | None = None) -> tuple[Range, ...]:
    """Return what a model declares for searching, in the order of its parameters.

    A logarithmic range may begin at 0 in the form, but not in a search. DataError if the model declares nothing.
    """
    found = tuple(_range(info) for info in describe_parameters(parameters) if info.search)
    if not found:
        raise DataError(
            "This model declares no ranges to search.",
            do="Set its parameters by hand, or ask its author to give them a search range.",
        )
    return found


def _range(info: ParameterInfo) -> Range:
    if info.type in (int, float) and len(info.search) == 2:
        low, high = (check_parameter(info, value) for value in info.search)
        return Range(info.name, info.type, low, high, logarithmic=info.logarithmic and low > 0)
    return Range(info.name, info.type, choices=tuple(check_parameter(info, value) for value in info.search))


def save_tuning(folder: Path, tuning: Tuning) -> None:
    """Keep a search, whole or not at all."""
    write_json(folder / FILE, tuning)


def load_tuning(folder: Path) -> Tuning:
    """Return a search; ProjectError if there is none in the folder."""
    return read_json(folder / FILE, Tuning)


def tuning_folder(project: Path, tuning_id: str) -> Path:
    """Return where a search of a project is kept."""
    if not tuning_id or Path(tuning_id).name != tuning_id:
        raise ProjectError(f"{tuning_id!r} is not the name of a search.", do="Name one that the project lists.")
    return project / "tuning" / tuning_id


def tunings(project: Path) -> tuple[Tuning, ...]:
    """Return the searches of a project, newest first."""
    folders = sorted((project / "tuning").glob(f"*/{FILE}"), reverse=True)
    return tuple(load_tuning(path.parent) for path in folders)


def is_better(first: float, second: float, *, rises: bool) -> bool:
    """Whether the first value is better; a number is better than none."""
    if math.isnan(second):
        return not math.isnan(first)
    return first > second if rises else first < second


def falls_behind(curve: Sequence[float], others: Sequence[Sequence[float]], *, rises: bool, warm_up: int) -> bool:
    """Whether a training has stopped improving at a level worse than the median of the others up to the same epoch.

    The median stopping rule (Golovin et al., Vizier, KDD 2017), asked after `warm_up` epochs and of five others. A
    training that still improves is never left: with a small learning rate it is behind for long and best in the end.
    """
    epoch = len(curve)
    comparable = [other for other in others if len(other) >= epoch]
    if epoch <= warm_up or len(comparable) < _FEWEST_OTHERS:
        return False
    best = max if rises else min
    if best(curve) not in curve[:-warm_up]:
        return False
    medians = sorted(best(other[:epoch]) for other in comparable)
    return is_better(medians[len(medians) // 2], best(curve), rises=rises)
