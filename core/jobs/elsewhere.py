"""Jobs about strangers' models: each goes to a worker of the model's plugin, the built-in ones stay here.

A training of models of several plugins is split, one worker after the other, and put together again: the same runs,
the same progress, one Stop. What a worker reads from the database and encodes stays in the project for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from crosslens.errors import PluginError, Stopped, UserError
from crosslens.runs import RunStatus, new_run_id

from ..commands import EstimateTraining, Train, Trained, TrainingEstimated, Tune
from ..next_item.baselines import with_baselines
from ..plugins.processes import PluginCrashed
from ..plugins.workers import ask
from ..recipe import ModelChoice, Recipe
from ..recipe_toml import recipe_from_toml, recipe_to_toml
from ..services import JobControl, Services
from ..tuning import load_tuning, tuning_folder
from .encoders import named_encoders
from .estimate_elsewhere import estimate_in_workers

Handler = Callable[[Any, Services, JobControl], Any]


def perform_in_place(request: Any, services: Services, control: JobControl, here: Handler) -> Any:
    """Answer a request by `here`, or by the worker of the plugin it is about."""
    if services.plugins is None:
        return here(request, services, control)
    if isinstance(request, Train) and not request.resume:
        return _train(request, services, control, here)
    if isinstance(request, EstimateTraining):
        return _estimate(request, services, control, here)
    key = _worker_key(request, services)
    return _ask(key, request, services, control) if key else here(request, services, control)


def _worker_key(request: Any, services: Services) -> str:
    """Return the key of the plugin whose model a request is about, or an empty text."""
    if run := getattr(request, "run", ""):
        return _key(_model_of_run(run, request, services), services)
    if isinstance(request, Train):
        return _key(_model_of_run(request.resume, request, services), services)
    if isinstance(request, Tune) and request.resume:
        return _key(load_tuning(tuning_folder(request.project, request.resume)).model, services)
    return _key(request.model, services) if isinstance(request, Tune) else ""


def _model_of_run(run: str, request: Any, services: Services) -> str:
    project = services.projects.open(request.project)
    try:
        return project.run(run).model
    finally:
        project.close()


def _key(model: str, services: Services) -> str:
    """Return the key of a model's worker; new plugins are looked into if nobody knows the model."""
    host, plugins = services.host, services.plugins
    if model and plugins is not None and all(spec.id != model for spec in host.models()):
        plugins.describe_pending()
        host.refresh()  # this process may be older than what is installed
    return host.worker_of(model)


def _choice_key(choice: ModelChoice, services: Services) -> str:
    """Return the key of the worker a choice needs: its model's, or that of a stranger's text encoder it asks for."""
    own = _key(choice.id, services)
    spec = services.host.model(choice.id)
    others = {services.host.worker_of_encoder(name) for name in named_encoders(choice, spec)} - {"", own}
    if not others:
        return own
    if own or len(others) > 1:
        raise PluginError(
            f"{spec.title} cannot be trained with this text encoder.",
            why="They come from two plugins, and each runs in a process of its own.",
            do="Choose a built-in text encoder, or one of the model's own plugin.",
        )
    return others.pop()


def _ask(key: str, request: Any, services: Services, control: JobControl) -> Any:
    plugins = services.plugins
    assert plugins is not None, "asked for by a process that has plugins"
    worker = plugins.worker(key, services.threads, services.device)
    kept = plugins.kept if getattr(request, "run", "") else None  # a training ends with its process, and its memory
    try:
        return ask(worker, request, control, secret=control.secret or services.secret, kept=kept)
    except PluginCrashed as error:
        if error.facts.get("loading"):
            plugins.put_out(key, error)
        raise


def _estimate(request: EstimateTraining, services: Services, control: JobControl, here: Handler) -> TrainingEstimated:
    def ask_there(key: str, part: EstimateTraining, control: JobControl) -> TrainingEstimated:
        found: TrainingEstimated = _ask(key, part, services, control) if key else here(part, services, control)
        return found

    return estimate_in_workers(request, control, lambda choice: _choice_key(choice, services), ask_there)


@dataclass(frozen=True, slots=True)
class _Part:
    """The models of one training that go to one worker, with the ids of their runs."""

    key: str
    choices: tuple[ModelChoice, ...]
    runs: tuple[str, ...]


def _train(request: Train, services: Services, control: JobControl, here: Handler) -> Any:
    recipe = recipe_from_toml(request.recipe)
    for choice in recipe.models:
        _key(choice.id, services)
    choices = with_baselines(recipe, services.host) if request.baselines else recipe.models
    runs = _runs(choices, recipe, request)
    parts = _parts(choices, runs, services)
    if not any(part.key for part in parts):
        return here(request, services, control)
    errors: list[Exception] = []
    for part in parts:
        control.check()
        try:
            _train_part(part, recipe, request, services, control, here)
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - the models of the other plugins still get their turn, as in one worker
            if len(parts) > 1:  # the first error is raised, the others would not be heard
                control.log.error("%s: %s", ", ".join(part.runs), error)
            errors.append(error)
    if errors:
        raise errors[0]
    return Trained(runs)


def _runs(choices: Sequence[ModelChoice], recipe: Recipe, request: Train) -> tuple[str, ...]:
    beside = len(choices) - len(recipe.models) if request.run_ids else len(choices)
    return (*(new_run_id(choice.id, datetime.now(UTC)) for choice in choices[:beside]), *request.run_ids)


def _parts(choices: Sequence[ModelChoice], runs: Sequence[str], services: Services) -> list[_Part]:
    found: dict[str, list[tuple[ModelChoice, str]]] = {}
    for choice, run in zip(choices, runs, strict=True):
        found.setdefault(_choice_key(choice, services), []).append((choice, run))
    parts = [_Part(key, *map(tuple, zip(*pairs, strict=True))) for key, pairs in found.items()]
    return sorted(parts, key=lambda part: bool(part.key))  # the built-in ones first: they cannot crash


def _train_part(
    part: _Part, recipe: Recipe, request: Train, services: Services, control: JobControl, here: Handler
) -> None:
    text = recipe_to_toml(replace(recipe, models=part.choices))
    single = Train(request.project, text, part.runs, baselines=False)
    if not part.key:
        here(single, services, control)
        return
    try:
        _ask(part.key, single, services, control)
    except Stopped:
        _close(part, request, services, RunStatus.STOPPED, "Stopped before there was anything to keep.")
        raise
    except UserError as error:
        _close(part, request, services, RunStatus.FAILED, str(error))
        raise


def _close(part: _Part, request: Train, services: Services, status: RunStatus, words: str) -> None:
    """Write into runs a worker left open how they ended."""
    project = services.projects.open(request.project, create=True)
    try:
        for record in project.runs():
            if record.id in part.runs and record.status in (RunStatus.RUNNING, RunStatus.INTERRUPTED):
                project.save_run(replace(record, status=status, finished=datetime.now(UTC), error=words, pid=0))
    finally:
        project.close()
