"""The main job: a recipe becomes runs, each a trained, measured and explained model."""

from __future__ import annotations

import logging
import os
import platform
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any
from uuid import uuid4

from crosslens.errors import DataError, ProjectError, Stopped, UserError
from crosslens.models import FitContext, FitProgress, ModelSpec, Task
from crosslens.parameters import parameters_from_plain
from crosslens.runs import Metric, RunRecord, RunStatus, StoredConnection, StoredPreparation, new_run_id
from crosslens.sequences import TextEncoders

from ..commands import Phase, Progress, Train, Trained
from ..files import replace_folder, write_text
from ..funnel import FunnelTimes
from ..next_item.baselines import single_recipe, with_baselines
from ..next_item.run_files import NextItemFiles
from ..outputs import metric_key, outputs_of, training_for
from ..ports import ProjectStore
from ..recipe import Recipe
from ..recipe_toml import recipe_from_toml, recipe_to_toml
from ..run_folder import RunFacts, RunFolder
from ..services import JobControl, Services
from .assess import Assessed, assess
from .data import PreparedData, prepare_data
from .devices import check_device
from .encoders import check_encoders
from .funnel import funnel_times
from .next_item import Recommender, assess_recommendations, lent_encoders, sequence_facts
from .next_item_data import PreparedSequences, prepare_sequences, sequence_columns

NO_ENCODERS = TextEncoders()
_PACKAGES = ("crosslens", "torch", "lightgbm", "scikit-learn", "numpy", "pyarrow", "sqlalchemy")
_SECONDS_BETWEEN_SAVES = 2.0


@dataclass(frozen=True, slots=True)
class _Plan:
    """One run to be made: its record, what it trains and where it is kept."""

    record: RunRecord
    recipe: Recipe
    spec: ModelSpec
    parameters: Any
    folder: RunFolder


def train(request: Train, services: Services, control: JobControl) -> Trained:
    """Extract, encode, and train every model of the recipe.

    A model that fails does not take the others with it: its error is raised after the others are done.
    """
    project = services.projects.open(request.project, create=True)
    try:
        plans = _resumed(request, project, services) if request.resume else _planned(request, project, services)
        errors: list[Exception] = []
        _remember(plans[0].recipe, project)
        with _accounted(plans, project):
            check_device(((plan.spec, plan.parameters) for plan in plans), services.device)
            rows = [plan for plan in plans if plan.spec.task is not Task.NEXT_ITEM]
            sequences = [plan for plan in plans if plan.spec.task is Task.NEXT_ITEM]
            errors += _train_on_rows(rows, project, services, control) if rows else []
            errors += _train_on_sequences(sequences, project, services, control) if sequences else []
        if errors:
            raise errors[0]
        return Trained(tuple(plan.record.id for plan in plans))
    finally:
        project.close()


def _train_on_rows(
    plans: Sequence[_Plan], project: ProjectStore, services: Services, control: JobControl
) -> list[Exception]:
    data = prepare_data(plans[0].recipe, project, services, control)
    times = _funnel_times(plans, services, control)
    return _attempt_all(plans, lambda plan: _run(plan, data, times, project, services, control), project, control)


def _train_on_sequences(
    plans: Sequence[_Plan], project: ProjectStore, services: Services, control: JobControl
) -> list[Exception]:
    data = prepare_sequences(plans[0].recipe, project, services, control)
    return _attempt_all(plans, lambda plan: _run_sequences(plan, data, project, services, control), project, control)


def _remember(recipe: Recipe, project: ProjectStore) -> None:
    """Let a window that opens this project find its database and its columns, if nobody has prepared any yet."""
    if not any(saved.spec == recipe.source for saved in project.connections()):
        name = PurePath(recipe.source.database).name
        project.save_connection(StoredConnection(uuid4().hex, name, recipe.source, datetime.now(UTC)))
    if not project.preparations():
        text = recipe_to_toml(replace(recipe, models=()))
        project.save_preparation(StoredPreparation(uuid4().hex, recipe.title, text, datetime.now(UTC)))


def _planned(request: Train, project: ProjectStore, services: Services) -> list[_Plan]:
    recipe = recipe_from_toml(request.recipe)
    if not recipe.models:
        raise DataError("The recipe names no model.", do="Choose at least one model.")
    choices = with_baselines(recipe, services.host) if request.baselines else recipe.models
    beside = choices[: len(choices) - len(recipe.models)]
    names = [new_run_id(choice.id, datetime.now(UTC)) for choice in (beside if request.run_ids else choices)]
    recipes = [single_recipe(recipe, choice, services.host) for choice in choices]
    pairs = zip((*names, *request.run_ids), recipes, strict=True)
    plans = [_new_plan(name, single, project, services) for name, single in pairs]
    for plan in plans:
        project.save_run(plan.record)
        plan.folder.save_recipe(plan.record.recipe)
    return plans


def _new_plan(name: str, recipe: Recipe, project: ProjectStore, services: Services) -> _Plan:
    spec = services.host.model(recipe.models[0].id)
    check_encoders(recipe.models[0], spec, services.host)
    record = RunRecord(
        id=name,
        model=spec.id,
        title=spec.title,
        status=RunStatus.RUNNING,
        created=datetime.now(UTC),
        recipe=recipe_to_toml(recipe),
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    return _plan(record, recipe, spec, project)


def _resumed(request: Train, project: ProjectStore, services: Services) -> list[_Plan]:
    record = project.run(request.resume)
    if record.status in (RunStatus.FINISHED, RunStatus.RUNNING):
        raise ProjectError(
            f"The run {record.id} cannot be resumed.",
            why=f"It is {record.status}.",
            do="Only interrupted, stopped or failed runs can be resumed.",
        )
    running = replace(
        record, status=RunStatus.RUNNING, host=socket.gethostname(), pid=os.getpid(), error="", finished=None
    )
    plan = _plan(running, recipe_from_toml(record.recipe), services.host.model(record.model), project)
    project.save_run(running)
    return [plan]


def _plan(record: RunRecord, recipe: Recipe, spec: ModelSpec, project: ProjectStore) -> _Plan:
    missing = sorted(role for role in spec.needs if not recipe.fields.with_role(role))
    if missing:
        raise DataError(
            f"{spec.title} cannot be trained on these columns.",
            why=f'It needs a column with the role "{missing[0]}".',
            do="Set the role on the Prepare page or in the recipe, or choose another model.",
        )
    if spec.task is Task.NEXT_ITEM:
        sequence_columns(recipe)
    parameters = parameters_from_plain(spec.parameters, recipe.models[0].parameters)
    return _Plan(record, recipe, spec, parameters, RunFolder(project.run_folder(record.id)))


@contextmanager
def _accounted(plans: Sequence[_Plan], project: ProjectStore) -> Iterator[None]:
    """Whatever ends the work early is written into the runs that are still open."""
    try:
        yield
    except Stopped:
        _close(plans, project, RunStatus.STOPPED, "Stopped before there was anything to keep.")
        raise
    except Exception as error:  # our own fault or the world's: in either case no run may stay "running"
        _close(plans, project, RunStatus.FAILED, _sentence(error))
        raise


def _funnel_times(plans: Sequence[_Plan], services: Services, control: JobControl) -> FunnelTimes | None:
    """Return when clicks and conversions happen, if a model asks for it: their tables are read once for all models."""
    if not any(plan.spec.task is Task.FUNNEL for plan in plans):
        return None
    return funnel_times(plans[0].recipe, services, control)


def _attempt_all(
    plans: Sequence[_Plan], run: Callable[[_Plan], None], project: ProjectStore, control: JobControl
) -> list[Exception]:
    """Train one model after the other; return what went wrong. Stopped ends them all."""
    errors: list[Exception] = []
    for plan in plans:
        control.check()
        try:
            run(plan)
        except Stopped:
            raise
        except Exception as error:  # a stranger's model may raise anything; the other models still get their turn
            if not isinstance(error, UserError):  # what is wrong with the world is a sentence, without a traceback
                control.log.exception("run %s failed", plan.record.id)
            _close([plan], project, RunStatus.FAILED, _sentence(error))
            errors.append(error)
    return errors


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _close(plans: Sequence[_Plan], project: ProjectStore, status: RunStatus, error: str) -> None:
    for plan in plans:
        current = project.run(plan.record.id)
        if current.status is RunStatus.RUNNING:
            project.save_run(replace(current, status=status, finished=datetime.now(UTC), error=error, pid=0))


def _run(
    plan: _Plan,
    data: PreparedData,
    times: FunnelTimes | None,
    project: ProjectStore,
    services: Services,
    control: JobControl,
) -> None:
    started = time.perf_counter()
    training = training_for(plan.spec.task, data.training)
    model, history, stopped = _fit(plan, training, services, control)
    trained = time.perf_counter()
    outputs = outputs_of(plan.spec, model, data.test)
    plan.folder.save_history(history)
    write_text(plan.folder.encoders_file, data.encoders.to_json())
    replace_folder(plan.folder.model_folder, model.save)
    try:
        assess(Assessed(model, plan.spec, outputs, plan.recipe, data, times), plan.folder, services, control)
    except Stopped:
        stopped = True
    seconds = {**data.seconds, "train": trained - started, "assess": time.perf_counter() - trained}
    plan.folder.save_facts(_facts(plan, data, outputs, services, seconds, device_of(model)))
    plan.folder.checkpoints.clear()
    metrics = _metrics(plan.folder, outputs)
    _finish(plan, data.test_fingerprint, metrics, project, stopped=stopped, seconds=time.perf_counter() - started)


def _run_sequences(
    plan: _Plan, data: PreparedSequences, project: ProjectStore, services: Services, control: JobControl
) -> None:
    started = time.perf_counter()
    encoders = lent_encoders(project, services, control, seed=plan.recipe.seed)
    model, history, stopped = _fit(plan, data.split.training, services, control, encoders)
    trained = time.perf_counter()
    plan.folder.save_history(history)
    replace_folder(plan.folder.model_folder, model.save)
    metrics: dict[str, Metric] = {}
    try:
        recommender = Recommender(model, plan.spec, plan.recipe, data)
        metrics = assess_recommendations(recommender, NextItemFiles(plan.folder.path), project, services, control)
    except Stopped:
        stopped = True
    seconds = {**data.seconds, "train": trained - started, "assess": time.perf_counter() - trained}
    plan.folder.save_facts(sequence_facts(plan.spec, data, _versions(), services, seconds, device_of(model)))
    plan.folder.checkpoints.clear()
    _finish(plan, data.test_fingerprint, metrics, project, stopped=stopped, seconds=time.perf_counter() - started)


def _finish(
    plan: _Plan,
    fingerprint: str,
    metrics: Mapping[str, Metric],
    project: ProjectStore,
    *,
    stopped: bool,
    seconds: float,
) -> None:
    """Write down what has been reached; raise Stopped if it is not all."""
    project.save_run(
        replace(
            project.run(plan.record.id),
            status=RunStatus.STOPPED if stopped else RunStatus.FINISHED,
            finished=datetime.now(UTC),
            seconds=seconds,
            data_fingerprint=fingerprint,
            metrics=metrics,
            pid=0,
        )
    )
    if stopped:
        raise Stopped("Stopped; the best model so far was kept.")


def _metrics(folder: RunFolder, outputs: Sequence[str]) -> dict[str, Metric]:
    """Return what was measured on the test rows, output by output."""
    found = {}
    for place, output in enumerate(outputs):
        quality = folder.output(output if place else "").quality("test")
        for metric in quality.metrics if quality else ():
            key = metric_key(output, metric.name, outputs)
            found[key] = replace(metric, name=key)
    return found


def _fit(
    plan: _Plan, training: Any, services: Services, control: JobControl, encoders: TextEncoders = NO_ENCODERS
) -> tuple[Any, tuple[FitProgress, ...], bool]:
    """Return the model trained on what its task asks for, every epoch, and whether Stop was pressed."""
    history = _History(plan, control)
    with _logged(plan.folder) as log:
        context = FitContext(
            seed=plan.recipe.seed,
            threads=services.threads,
            device=services.device,
            progress=history.add,
            should_stop=control.should_stop,
            checkpoints=plan.folder.checkpoints,
            log=log,
            text_encoders=encoders,
        )
        control.progress(Progress(Phase.TRAINING, 0.0, plan.spec.title, run=plan.record.id, model=plan.spec.title))
        model = plan.spec.build(plan.parameters).fit(training, context)
    stopped = control.stop.is_set()
    # Stop ends the training; measuring what was kept takes seconds and may be stopped again.
    control.stop.clear()
    return model, history.epochs, stopped


class _History:
    """The epochs of one training, passed on and kept; a resumed run goes on where it was."""

    def __init__(self, plan: _Plan, control: JobControl) -> None:
        self._plan = plan
        self._control = control
        self._epochs = {progress.epoch: progress for progress in plan.folder.history()}
        self._saved = 0.0

    @property
    def epochs(self) -> tuple[FitProgress, ...]:
        """Return the last word of every epoch."""
        return tuple(self._epochs.values())

    def add(self, progress: FitProgress) -> None:
        """Hear of a moment of the training."""
        if progress.metrics:
            self._epochs[progress.epoch] = progress
            self._save()
        self._control.progress(_training_progress(self._plan, progress))

    def _save(self) -> None:
        # A tree model may report hundreds of "epochs"; each save waits for the disk.
        now = time.monotonic()
        if now - self._saved >= _SECONDS_BETWEEN_SAVES:
            self._plan.folder.save_history(self.epochs)
            self._saved = now


def _training_progress(plan: _Plan, fit: FitProgress) -> Progress:
    done = (fit.epoch - 1 + (fit.step / fit.steps if fit.steps else 0.0)) / fit.epochs if fit.epochs else 0.0
    return Progress(
        Phase.TRAINING,
        fraction=min(max(done, 0.0), 1.0),
        message=fit.message or f"{plan.spec.title}: epoch {fit.epoch} of at most {fit.epochs}",
        rows_per_second=fit.rows_per_second,
        run=plan.record.id,
        model=plan.spec.title,
        fit=fit,
    )


@contextmanager
def _logged(folder: RunFolder) -> Iterator[logging.Logger]:
    log = logging.getLogger(f"crosslens.run.{folder.path.name}")
    handler = logging.FileHandler(folder.log_file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield log
    finally:
        log.removeHandler(handler)
        handler.close()


def _facts(
    plan: _Plan,
    data: PreparedData,
    outputs: Sequence[str],
    services: Services,
    seconds: dict[str, float],
    device: str,
) -> RunFacts:
    return RunFacts(
        model=plan.spec.id,
        model_title=plan.spec.title,
        model_version=plan.spec.version,
        snapshot=data.snapshot,
        encoded=data.encoded_folder.name,
        rows_train=len(data.split.train),
        rows_validation=len(data.split.validation),
        rows_test=len(data.split.test),
        fields=data.encoded.schema.names,
        label=outputs[0],
        versions=_versions(),
        threads=services.threads,
        seconds=seconds,
        findings=data.findings,
        outputs=tuple(outputs) if len(outputs) > 1 else (),
        device=device,
    )


def device_of(model: Any) -> str:
    """Return the device a model says it was trained on; "" if it says nothing, as models do that know no other."""
    facts = getattr(model, "facts", None)
    return str(facts.get("device", "")) if isinstance(facts, Mapping) else ""


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
