"""Searching a model's parameters on validation rows, within a budget; the test rows are never looked at.

Optuna's tree-structured Parzen estimator proposes (Bergstra et al., NeurIPS 2011), from all earlier trials: a search
that was stopped goes on as if it had not been. The first trial is the recipe's own parameters. A training that is
worse than the median of the others at the same epoch is left.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crosslens.data import TrainingData
from crosslens.errors import DataError, PluginError, Stopped, UserError
from crosslens.models import FitContext, FitProgress, ModelSpec, Task
from crosslens.parameters import parameters_from_plain, parameters_to_plain
from crosslens.runs import new_run_id
from crosslens.sequences import SequenceTrainingData, TextEncoders

from ..commands import Phase, Progress, Tune, Tuned
from ..metrics import log_losses
from ..next_item.ranking import gains, rank_targets
from ..outputs import CONVERSION, labelled_for, logits, measured_rows, outputs_of, training_for
from ..ports import ProjectStore
from ..recipe import Recipe
from ..recipe_toml import recipe_from_toml, recipe_to_toml
from ..services import JobControl, Services
from ..tuning import (
    Range,
    Trial,
    TrialState,
    Tuning,
    falls_behind,
    load_tuning,
    save_tuning,
    search_space,
    tuning_folder,
)
from .data import prepare_data
from .devices import check_device
from .next_item import lent_encoders
from .next_item_data import prepare_sequences

if TYPE_CHECKING:
    import optuna

_RANDOM_TRIALS = 6
"""Trials before the search begins to learn from them."""
_FOR_IMPORTANCE = 8
"""Fewer finished trials than this say nothing about what mattered."""
_WARM_UP = 2
_DIGITS = 4
_CUT = 10


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
        question = _question(spec, recipe, project, services, control)
        tuning = _on_the_same_rows(tuning, question)
        search = _Search(spec, recipe, question, tuning_folder(project.folder, tuning.id), tuning)
        with _quiet_optuna():
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


def _on_the_same_rows(tuning: Tuning, question: _Question) -> Tuning:
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


# --- what is asked of a model -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """Training data of a task with its fingerprint, and the figure on its validation part that a search improves."""

    training: Any
    data: str
    metric: str
    rises: bool
    value: Callable[[Any], float]
    encoders: TextEncoders = field(default_factory=TextEncoders)


def _question(
    spec: ModelSpec, recipe: Recipe, project: ProjectStore, services: Services, control: JobControl
) -> _Question:
    if spec.task is Task.NEXT_ITEM:
        prepared = prepare_sequences(recipe, project, services, control)
        sequences = prepared.split.training
        return _Question(
            training=sequences,
            data=prepared.test_fingerprint,
            metric=f"NDCG@{_CUT}",
            rises=True,
            value=lambda model: _ranking_value(model, sequences, exclude_seen=recipe.next_item.exclude_seen),
            encoders=lent_encoders(project, services, control, seed=recipe.seed),
        )
    encoded = prepare_data(recipe, project, services, control)
    rows = training_for(spec.task, encoded.training)
    metric = "log loss" if spec.task is Task.CTR else "log loss of pCTR and pCTCVR"
    return _Question(
        rows, encoded.encoded_folder.name, metric, rises=False, value=lambda model: _loss(model, spec, rows)
    )


def _loss(model: Any, spec: ModelSpec, training: TrainingData) -> float:
    """Return the mean log loss per validation row, summed over the outputs that are measured on all rows.

    A model of conversions alone is measured on clicked rows.
    """
    validation = training.validation
    outputs = outputs_of(spec, model, validation)
    predictions = model.predict(validation)
    chosen = tuple(output for output in outputs if output != CONVERSION) or outputs
    return sum(_mean_loss(labelled_for(output, validation), logits(predictions, output), output) for output in chosen)


def _mean_loss(data: Any, predicted: Any, output: str) -> float:
    rows = measured_rows(output, data)
    losses = log_losses(np.asarray(data.target[rows], np.float64), np.asarray(predicted)[rows])
    weights = None if data.weights is None else np.asarray(data.weights[rows], np.float64)
    return float(np.average(losses, weights=weights))


def _ranking_value(model: Any, data: SequenceTrainingData, *, exclude_seen: bool) -> float:
    """Return the mean NDCG among validation users."""
    ranks = rank_targets(model, data.validation, exclude_seen=exclude_seen, top=_CUT)
    return float(gains(ranks, (_CUT,))[f"ndcg@{_CUT}"].mean())


# --- the search -------------------------------------------------------------------------------------------------------


class _Search:
    """One search going on: proposes, trains, keeps."""

    def __init__(self, spec: ModelSpec, recipe: Recipe, question: _Question, folder: Path, tuning: Tuning) -> None:
        self._spec, self._recipe, self._question = spec, recipe, question
        self._folder, self._tuning = folder, tuning
        self._space = search_space(spec.parameters)
        self._own = dict(recipe.models[0].parameters)

    def run(self, request: Tune, services: Services, control: JobControl) -> None:
        """Make trials until the budget is used up."""
        wanted = len(self._tuning.trials) + request.trials
        ends = time.monotonic() + request.minutes * 60 if request.minutes > 0 else math.inf
        study = _study(self._tuning, self._space)
        while len(self._tuning.trials) < wanted and time.monotonic() < ends:
            control.check()
            self._try(study, wanted, services, control)
        if self._tuning.best is None:
            failed = next((trial.error for trial in reversed(self._tuning.trials) if trial.error), "")
            raise DataError("No trial came to an end.", why=failed, do="Allow more trials, or other parameters.")

    def _try(self, study: optuna.Study, wanted: int, services: Services, control: JobControl) -> None:
        number = len(self._tuning.trials)
        proposed = _proposal(study, self._space, seed=self._recipe.seed + number) if number else self._start()
        trial = self._trained(number, proposed, wanted, services, control)
        self._tuning = self._tuning.with_trial(trial)
        _tell(study, trial, self._space)
        self._tuning = replace(self._tuning, importance=_importance(study, seed=self._recipe.seed))
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


# --- Optuna -----------------------------------------------------------------------------------------------------------


def _study(tuning: Tuning, space: tuple[Range, ...]) -> optuna.Study:
    """Return a study that knows all earlier trials."""
    import optuna

    study = optuna.create_study(direction="maximize" if tuning.rises else "minimize")
    for trial in tuning.trials:
        _tell(study, trial, space)
    return study


def _tell(study: optuna.Study, trial: Trial, space: tuple[Range, ...]) -> None:
    """Let a study know of a trial; one without a value counts as failed and teaches nothing."""
    import optuna

    known = {each.name: each for each in space if each.name in trial.parameters}
    told = optuna.trial.create_trial(
        params={name: _as_optuna(each, trial.parameters[name]) for name, each in known.items()},
        distributions={name: _distribution(each, trial.parameters[name]) for name, each in known.items()},
        value=trial.value,
        state=optuna.trial.TrialState.COMPLETE if trial.value is not None else optuna.trial.TrialState.FAIL,
    )
    study.add_trial(told)


def _proposal(study: optuna.Study, space: tuple[Range, ...], *, seed: int) -> dict[str, Any]:
    """Return the next values to try, as plain values.

    Each trial has random numbers of its own: a search that was stopped goes on as one that was not.
    """
    import optuna

    study.sampler = optuna.samplers.TPESampler(n_startup_trials=_RANDOM_TRIALS, multivariate=True, seed=seed)
    asked = study.ask({each.name: _distribution(each) for each in space})
    proposed = {each.name: _as_plain(each, asked.params[each.name]) for each in space}
    study.tell(asked, state=optuna.trial.TrialState.FAIL)  # its outcome is told as that of every other trial
    return proposed


def _distribution(each: Range, value: Any = None) -> optuna.distributions.BaseDistribution:
    """Return the range as Optuna knows it, wide enough to hold `value`, which the user may have set outside of it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if each.choices:
        texts = [_text(choice) for choice in each.choices]
        return CategoricalDistribution(texts if value is None or _text(value) in texts else [*texts, _text(value)])
    low, high = (each.low, each.high) if value is None else (min(each.low, value), max(each.high, value))
    log = each.logarithmic and low > 0
    if each.type is int:
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _as_optuna(each: Range, value: Any) -> Any:
    return _text(value) if each.choices else value


def _as_plain(each: Range, value: Any) -> Any:
    if each.type is float and not each.choices:  # few digits: the form and a recipe show what was trained
        return min(max(float(f"{value:.{_DIGITS}g}"), each.low), each.high)
    if not each.choices:
        return value
    chosen = next(choice for choice in each.choices if _text(choice) == value)
    return list(chosen) if isinstance(chosen, tuple) else chosen


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _importance(study: optuna.Study, *, seed: int) -> dict[str, float]:
    """Return the share of the variance each parameter explains (fANOVA, Hutter et al., ICML 2014); {} if too early."""
    import optuna

    done = [trial for trial in study.trials if trial.value is not None]
    if len(done) < _FOR_IMPORTANCE or len({trial.value for trial in done}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in found.items() if math.isfinite(share)}


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Keep Optuna's log and its warnings of experimental features out of ours."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
