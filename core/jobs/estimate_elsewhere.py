"""Estimates of strangers' models, made in the workers of their plugins; what goes wrong there costs a figure only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from crosslens.errors import Stopped, UserError

from ..commands import EstimateTraining, ModelEstimate, TrainingEstimated
from ..recipe import ModelChoice
from ..recipe_toml import recipe_from_toml, recipe_to_toml
from ..services import JobControl

SECONDS = 40.0
"""How long a plugin may take over the estimates of its models; a stranger's training may not heed a Stop."""

Ask = Callable[[str, EstimateTraining, JobControl], TrainingEstimated]
"""Answers a request in the worker of a plugin by its key, or here where that is empty."""


def estimate_in_workers(
    request: EstimateTraining, control: JobControl, key_of: Callable[[ModelChoice], str], ask: Ask
) -> TrainingEstimated:
    """Return the estimates of all models of the recipe, in its order; those of one worker are asked for together."""
    recipe = recipe_from_toml(request.recipe)
    found: list[ModelEstimate | None] = [None] * len(recipe.models)
    places: dict[str, list[int]] = {}
    for place, choice in enumerate(recipe.models):
        try:
            places.setdefault(key_of(choice), []).append(place)
        except UserError as error:
            found[place] = ModelEstimate(choice.id, obstacle=" ".join(filter(None, (error.what, error.why, error.do))))
    for key, its in places.items():
        control.check()
        choices = tuple(recipe.models[place] for place in its)
        part = replace(request, recipe=recipe_to_toml(replace(recipe, models=choices)))
        answers = _there(key, part, choices, control, ask) if key else ask(key, part, control).models
        for place, answer in zip(its, answers, strict=True):
            found[place] = answer
    return TrainingEstimated(tuple(each for each in found if each is not None))


def _there(
    key: str, part: EstimateTraining, choices: tuple[ModelChoice, ...], control: JobControl, ask: Ask
) -> Sequence[ModelEstimate]:
    limit = _Limit(control.stop, SECONDS)
    try:
        return ask(key, part, replace(control, stop=limit)).models
    except Stopped:
        if not limit.is_over:
            raise
        control.log.warning("%s: no estimate within %g seconds", key, SECONDS)
    except UserError as error:
        control.log.warning("%s: no estimate: %s", key, error)
    return [ModelEstimate(choice.id) for choice in choices]


class _Limit(threading.Event):
    """Somebody's Stop, or the end of a time."""

    def __init__(self, asked: threading.Event, seconds: float) -> None:
        super().__init__()
        self._asked = asked
        self._until = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time has come to its end."""
        return time.monotonic() >= self._until

    def is_set(self) -> bool:
        return self._asked.is_set() or self.is_over

    def clear(self) -> None:
        self._asked.clear()
