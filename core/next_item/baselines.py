"""What a next-item model is always shown beside: popularity, item-kNN, and the backbone it builds on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crosslens.errors import PluginError
from crosslens.models import ModelSpec, Task
from crosslens.parameters import describe_parameters

from ..ports import PluginHost
from ..recipe import ModelChoice, Recipe

BASELINES = ("popularity", "item-knn")
BACKBONES = {"sra-cl": "sasrec-ce"}
"""The model that is left of another when what it adds is taken away."""


def with_baselines(recipe: Recipe, host: PluginHost) -> tuple[ModelChoice, ...]:
    """Return the models of a recipe behind the baselines they need and the recipe does not name itself.

    A backbone gets the parameters it shares with its model, so that nothing else differs. Plugins that are not
    installed are left out.
    """
    chosen = [choice for choice in recipe.models if host.model(choice.id).task is Task.NEXT_ITEM]
    if not chosen or not recipe.next_item.baselines:
        return recipe.models
    named = {choice.id for choice in recipe.models}
    wanted = [ModelChoice(name) for name in BASELINES]
    wanted += [_backbone(choice, host) for choice in chosen if choice.id in BACKBONES]
    known = [choice for choice in wanted if choice.id not in named and _is_known(choice.id, host)]
    return (*known, *recipe.models)


def single_recipe(recipe: Recipe, choice: ModelChoice, host: PluginHost) -> Recipe:
    """Return the recipe of one run: training by it again trains this model alone, without its baselines."""
    single = recipe.only(choice)
    if host.model(choice.id).task is not Task.NEXT_ITEM:
        return single
    return replace(single, next_item=replace(recipe.next_item, baselines=False))


def _is_known(model: str, host: PluginHost) -> bool:
    return _spec(model, host) is not None


def _spec(model: str, host: PluginHost) -> ModelSpec | None:
    try:
        return host.model(model)
    except PluginError:
        return None


def _backbone(choice: ModelChoice, host: PluginHost) -> ModelChoice:
    spec = _spec(BACKBONES[choice.id], host)
    shared: Sequence[str] = () if spec is None else [info.name for info in describe_parameters(spec.parameters)]
    values = {name: value for name, value in choice.parameters.items() if name in shared}
    return ModelChoice(BACKBONES[choice.id], values)
