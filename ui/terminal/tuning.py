"""`crosslens tune`: search a model's parameters and write the recipe with the best ones."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

from core.commands import Tune, Tuned
from core.display import Align, Table, TableColumn
from core.jobs import perform
from core.present_tuning import importance_bars, parameter_text, trials_table
from core.recipe import ModelChoice, Recipe
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.tuning import Tuning, load_tuning, tuning_folder
from crosslens.errors import UserError
from crosslens.parameters import describe_parameters
from crosslens.plain import to_plain

from .actions import read_recipe
from .connecting import unlocked
from .parts import Parts
from .recipes import write_recipe
from .terminal import Terminal


def tune(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Search, print the trials and what mattered, and write a recipe with the best parameters if asked."""
    request = Tune(
        project=options.project.absolute(), trials=options.trials, minutes=options.minutes, resume=options.resume
    )
    if bool(options.recipe) == bool(options.resume):
        raise UserError("Name either a recipe or a search to resume.", do="For example: crosslens tune shop.toml")
    if options.recipe:
        recipe = read_recipe(options.recipe)
        request = replace(request, recipe=recipe_to_toml(recipe), model=options.model or _only_model(recipe))
    else:
        recipe = recipe_from_toml(load_tuning(tuning_folder(options.project, options.resume)).recipe)
    services = unlocked(recipe.source, parts.services(threads=options.threads, device=options.device), terminal)
    with terminal.job() as control:
        done: Tuned = perform(request, services, control)
    _show(load_tuning(tuning_folder(options.project, done.tuning)), options, parts, terminal)


def _only_model(recipe: Recipe) -> str:
    if len(recipe.models) != 1:
        raise UserError(
            "Which of the recipe's models is to be searched?",
            why=f"It names {', '.join(choice.id for choice in recipe.models) or 'none'}.",
            do="Say it with --model.",
        )
    return recipe.models[0].id


def _show(tuning: Tuning, options: Namespace, parts: Parts, terminal: Terminal) -> None:
    spec = parts.services().host.model(tuning.model)
    labels = {info.name: info.label for info in describe_parameters(spec.parameters)}
    if tuning.note:
        terminal.say(tuning.note)
    terminal.table(trials_table(tuning, labels))
    bars = importance_bars(tuning, labels)
    if bars.labels:
        columns = (TableColumn("parameter"), TableColumn("share", Align.RIGHT, percent=True, decimals=1))
        rows = tuple(zip(bars.labels, bars.values, strict=True))
        terminal.table(Table(bars.title, columns, rows, note=bars.note))
    best = tuning.best
    assert best is not None, "a search without a finished trial ends with an error"
    told = ", ".join(f"{labels[name]} {parameter_text(value)}" for name, value in best.parameters.items())
    terminal.say(f"Best: trial {best.number + 1}, {tuning.metric} {best.value:.5f} on validation rows: {told}.")
    toml = _with_best(tuning)
    if options.out:
        write_recipe(options.out, toml, terminal)
        terminal.say(f"The recipe with these parameters is in {options.out}. Next: crosslens train {options.out}")
    terminal.say(f"To search on: crosslens tune --resume {tuning.id} --project {options.project}")
    terminal.result({**to_plain(tuning), "best": to_plain(best), "recipe": toml})


def _with_best(tuning: Tuning) -> str:
    recipe, best = recipe_from_toml(tuning.recipe), tuning.best
    own = recipe.models[0]
    choice = ModelChoice(own.id, {**own.parameters, **(best.parameters if best else {})})
    return recipe_to_toml(replace(recipe, models=(choice,)))
