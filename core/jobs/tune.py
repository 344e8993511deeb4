"""Searching a model's parameters on validation rows, within a budget; the test rows are never looked at.

Optuna's tree-structured Parzen estimator proposes (Bergstra et al., NeurIPS 2011), from all earlier trials: a search
that was stopped goes on as if it had not been. The first trial is the recipe's own parameters. A training that is
worse than the median of the others at the same epoch is left.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosslens.errors import DataError, PluginError, Stopped, UserError
from crosslens.models import FitContext, FitProgress, ModelSpec
from crosslens.parameters import parameters_from_plain, parameters_to_plain
from crosslens.runs import new_run_id

from ..commands import Phase, Progress, Tune, Tuned
from ..ports import ProjectStore
from ..recipe import Recipe
from ..recipe_toml import recipe_from_toml, recipe_to_toml
from ..services import JobControl, Services
from ..tuning import (
    Trial,
    TrialState,
    Tuning,
    falls_behind,
    load_tuning,
    save_tuning,
    search_space,
    tuning_folder,
)
from .devices import check_device
from .proposals import importance, new_study, proposal, quiet_optuna, tell
from .tune_question import Question, ask

if TYPE_CHECKING:
    import optuna

_WARM_UP = 2


def tune(request: Tune, services: Services, control: JobControl) -> Tuned:
    """Try parameters until the trials or the minutes are used up, or Stop; every finished trial is kept.

    A search to resume whose recipe or rows have changed is left as it is, and a new one begun that says so in its note.
    DataError if the model declares no ranges, or if every trial failed.
    """
    if request.trials < 1:
        raise DataError("A search needs at least one trial.", do="Allow more trials.")
    project = services.projects.open(request.project, create=True)
    try:
        tuning = _resumed(request, project, services) if request.resume else _new(request, services)
        spec = services.host.model(tuning.model)
        recipe = recipe_from_toml(tuning.recipe)
        own = parameters_from_plain(spec.parameters, recipe.models[0].parameters)
        check_device([(spec, own)], services.device)
        question = ask(spec, recipe, project, services, control)
        tuning = _on_the_same_rows(tuning, question)
        search = _Search(spec, recipe, question, tuning_folder(project.folder, tuning.id), tuning)
        with quiet_optuna():
            search.run(request, services, control)
        return Tuned(tuning.id)
    finally:
        project.close()


def _new(request: Tune, services: Services) -> Tuning:
    recipe = recipe_from_toml(request.recipe)
    choice = next((each for each in recipe.models if each.id == request.model), None)
    if choice is None:
        raise DataError(
            f"The recipe does not name the model {request.model!r}.",
            why=f"It names {', '.join(each.id for each in recipe.models) or 'none'}.",
            do="Choose one of the recipe's models.",
        )
    spec = services.host.model(choice.id)
    search_space(spec.parameters)
    now = datetime.now(UTC)
    return Tuning(
        id=new_run_id(f"tune-{choice.id}", now),
        model=choice.id,
        title=spec.title,
        recipe=recipe_to_toml(recipe.only(choice)),
        metric="",
        rises=False,
        started=now,
    )


def _resumed(request: Tune, project: ProjectStore, services: Services) -> Tuning:
    """Return the search to go on with; a new one if `request.recipe` asks something else by now."""
    former = load_tuning(tuning_folder(project.folder, request.resume))
    if not request.recipe:
        return former
    new = _new(request, services)
    searched = {each.name for each in search_space(services.host.model(new.model).parameters)}
    if _asked(new, searched) == _asked(former, searched):
        return former
    return replace(new, note=_begun_anew(former, "the preparation or other parameters have changed"))


def _asked(tuning: Tuning, searched: Collection[str]) -> Recipe:
    """Return what a search asks: its recipe without the values it begins with."""
    recipe = recipe_from_toml(tuning.recipe)
    own = recipe.models[0]
    kept = {name: value for name, value in own.parameters.items() if name not in searched}
    return replace(recipe, title="", models=(replace(own, parameters=kept),))


def _on_the_same_rows(tuning: Tuning, question: Question) -> Tuning:
    """Return the search with what its question measures; a new one where its trials were on other rows."""
    tuning = replace(tuning, metric=question.metric, rises=question.rises)
    if tuning.trials and tuning.data != question.data:
        now = datetime.now(UTC)
        note = _begun_anew(tuning, "the rows have changed")
        fresh = new_run_id(f"tune-{tuning.model}", now)
        tuning = replace(tuning, id=fresh, started=now, trials=(), importance={}, note=note)
    return replace(tuning, data=question.data)


def _begun_anew(former: Tuning, why: str) -> str:
    trials = "1 trial" if len(former.trials) == 1 else f"{len(former.trials)} trials"
    began = former.started.astimezone()
    return f"Begun anew: since the search of {began:%Y-%m-%d %H:%M} ({trials}) {why}, so its figures do not compare."


# --- the search -------------------------------------------------------------------------------------------------------


class _Search:
    """One search going on: proposes, trains, keeps."""

    def __init__(self, spec: ModelSpec, recipe: Recipe, question: Question, folder: Path, tuning: Tuning) -> None:
        self._spec, self._recipe, self._question = spec, recipe, question
        self._folder, self._tuning = folder, tuning
        self._space = search_space(spec.parameters)
        self._own = dict(recipe.models[0].parameters)

    def run(self, request: Tune, services: Services, control: JobControl) -> None:
        """Make trials until the budget is used up."""
        wanted = len(self._tuning.trials) + request.trials
        ends = time.monotonic() + request.minutes * 60 if request.minutes > 0 else math.inf
        study = new_study(self._tuning, self._space)
        while len(self._tuning.trials) < wanted and time.monotonic() < ends:
            control.check()
            self._try(study, wanted, services, control)
        if self._tuning.best is None:
            failed = next((trial.error for trial in reversed(self._tuning.trials) if trial.error), "")
            raise DataError("No trial came to an end.", why=failed, do="Allow more trials, or other parameters.")

    def _try(self, study: optuna.Study, wanted: int, services: Services, control: JobControl) -> None:
        number = len(self._tuning.trials)
        proposed = proposal(study, self._space, seed=self._recipe.seed + number) if number else self._start()
        trial = self._trained(number, proposed, wanted, services, control)
        self._tuning = self._tuning.with_trial(trial)
        tell(study, trial, self._space)
        self._tuning = replace(self._tuning, importance=importance(study, seed=self._recipe.seed))
        save_tuning(self._folder, self._tuning)
        self._report(control, wanted, f"trial {number + 1} of {wanted} done", None)

    def _start(self) -> dict[str, Any]:
        """Return the recipe's own values of what is searched."""
        plain = parameters_to_plain(parameters_from_plain(self._spec.parameters, self._own))
        return {each.name: plain[each.name] for each in self._space}

    def _trained(
        self, number: int, proposed: Mapping[str, Any], wanted: int, services: Services, control: JobControl
    ) -> Trial:
        curve = _Curve(self, number, wanted, control)
        context = FitContext(
            seed=self._recipe.seed,
            threads=services.threads,
            device=services.device,
            progress=curve.add,
            should_stop=lambda: control.should_stop() or curve.is_left,
            text_encoders=self._question.encoders,
            log=control.log,
        )
        started = time.perf_counter()
        trial = Trial(number, dict(proposed), TrialState.FINISHED)
        try:
            parameters = parameters_from_plain(self._spec.parameters, {**self._own, **proposed})
            model = self._spec.build(parameters).fit(self._question.training, context)
            value = self._question.value(model)
        except Stopped:
            if not curve.is_left:
                raise
            value = math.nan
        except UserError as error:
            trial, value = replace(trial, state=TrialState.FAILED, error=str(error)), math.nan
        except Exception as error:  # a stranger's model may raise anything: one trial lost, not the search
            control.log.exception("trial %d failed", number + 1)
            failure = PluginError(f"{self._spec.title} failed: {type(error).__name__}: {error}")
            trial, value = replace(trial, state=TrialState.FAILED, error=str(failure)), math.nan
        control.check()
        if curve.is_left:
            trial = replace(trial, state=TrialState.PRUNED)
        return replace(
            trial,
            value=value if math.isfinite(value) else None,
            seconds=time.perf_counter() - started,
            epochs=curve.epoch,
            curve=tuple(curve.values),
        )

    def others(self) -> list[tuple[float, ...]]:
        """Return the curves of all earlier trials."""
        return [trial.curve for trial in self._tuning.trials if trial.curve]

    def _report(self, control: JobControl, wanted: int, words: str, fit: FitProgress | None) -> None:
        best = self._tuning.best
        so_far = "" if best is None else f"; best {self._question.metric} {best.value:.4f}"
        done = len(self._tuning.trials)
        epoch = (fit.epoch - 1) / max(fit.epochs, 1) if fit else 0.0
        control.progress(
            Progress(
                Phase.TRAINING,
                fraction=min((done + epoch) / wanted, 1.0),
                message=f"{self._spec.title}: {words}{so_far}",
                rows_per_second=fit.rows_per_second if fit else None,
                run=self._tuning.id,
                model=self._spec.title,
            )
        )


class _Curve:
    """What one training reports of its validation, epoch by epoch.

    A model that reports now and then, such as one whose epochs take milliseconds, has no curve to compare: which
    epochs it tells of is chance, and a search has to come out the same each time.
    """

    def __init__(self, search: _Search, number: int, wanted: int, control: JobControl) -> None:
        self.values: list[float] = []
        self.epoch = 0
        self.is_left = False
        self._tells_all = True
        self._search, self._number, self._wanted, self._control = search, number, wanted, control

    def add(self, progress: FitProgress) -> None:
        """Hear of a moment of the training, and see whether it has fallen behind."""
        if not progress.metrics:
            return
        self._tells_all = self._tells_all and progress.epoch == self.epoch + 1
        self.epoch = progress.epoch
        self._compare(progress)
        words = f"trial {self._number + 1} of {self._wanted}, epoch {progress.epoch}"
        self._search._report(self._control, self._wanted, words, progress)

    def _compare(self, progress: FitProgress) -> None:
        if not self._tells_all:
            self.values.clear()
            return
        name = "loss" if "loss" in progress.metrics else next(iter(progress.metrics))
        self.values.append(float(progress.metrics[name]))
        rises = name != "loss"
        self.is_left = falls_behind(self.values, self._search.others(), rises=rises, warm_up=_WARM_UP)
