"""What Optuna proposes next, told of all earlier trials, and which parameters mattered in them.

A tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011) with random numbers of its own for every trial.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..tuning import Range, Trial, Tuning

if TYPE_CHECKING:
    import optuna

_RANDOM_TRIALS = 6
"""Trials before the search begins to learn from them."""
_FOR_IMPORTANCE = 8
"""Fewer finished trials than this say nothing about what mattered."""
_DIGITS = 4


def new_study(tuning: Tuning, space: tuple[Range, ...]) -> optuna.Study:
    """Return a study that knows all earlier trials."""
    import optuna

    study = optuna.create_study(direction="maximize" if tuning.rises else "minimize")
    for trial in tuning.trials:
        tell(study, trial, space)
    return study


def tell(study: optuna.Study, trial: Trial, space: tuple[Range, ...]) -> None:
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


def proposal(study: optuna.Study, space: tuple[Range, ...], *, seed: int) -> dict[str, Any]:
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


def importance(study: optuna.Study, *, seed: int) -> dict[str, float]:
    """Return the share of the variance each parameter explains (fANOVA, Hutter et al., ICML 2014); {} if too early."""
    import optuna

    done = [trial for trial in study.trials if trial.value is not None]
    if len(done) < _FOR_IMPORTANCE or len({trial.value for trial in done}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in found.items() if math.isfinite(share)}


@contextmanager
def quiet_optuna() -> Iterator[None]:
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
