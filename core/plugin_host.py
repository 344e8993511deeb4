"""The models and text encoders at hand: the built-in ones, and those that strangers' plugins are described to bring.

Built-in plugins are imported and asked through the same hooks as a stranger's; see `crosslens.hooks`. What strangers
wrote is never imported here (`core.plugins`): the host knows their models from a description, and where they run.
"""

from __future__ import annotations

import difflib
import functools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from crosslens import ModelSpec, PluginError, TextEncoderSpec

from .plugins.guard import ENCODER, MODEL, Kind, Problem, Registered, guarded, refusal

__all__ = ["Host", "LoadedEncoder", "LoadedModel", "Problem", "Source", "load_plugins"]

_LOG = logging.getLogger("crosslens.plugins")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model, the plugin it came with, and the key of the worker it runs in (empty: any worker)."""

    plugin: str
    spec: ModelSpec
    key: str = ""


@dataclass(frozen=True, slots=True)
class LoadedEncoder:
    """A text encoder, the plugin it came with, and the key of the worker it runs in (empty: any worker)."""

    plugin: str
    spec: TextEncoderSpec
    key: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """What a plugin brings, by its name; `key` names the worker it needs, see `core.plugins.workers`."""

    name: str
    registered: Registered
    key: str = ""
    problems: tuple[Problem, ...] = ()


class Host:
    """The models and text encoders of all plugins that could be loaded, in the order they were loaded.

    An id that is already taken is a problem of the plugin that comes later.
    """

    def __init__(
        self,
        loaded: Iterable[LoadedModel] = (),
        problems: Iterable[Problem] = (),
        encoders: Iterable[LoadedEncoder] = (),
        *,
        sources: Callable[[], Sequence[Source]] | None = None,
    ) -> None:
        self._loaded = {entry.spec.id: entry for entry in loaded}
        self._encoders = {entry.spec.id: entry for entry in encoders}
        self._problems = tuple(problems)
        self._sources = sources
        self.refresh()

    def refresh(self) -> None:
        """Look again at what is installed and enabled."""
        if self._sources is None:
            return
        models: dict[str, LoadedModel] = {}
        encoders: dict[str, LoadedEncoder] = {}
        problems: list[Problem] = []
        for source in self._sources():
            problems += source.problems
            _take(source, source.registered.models, MODEL, LoadedModel, models, problems)
            _take(source, source.registered.encoders, ENCODER, LoadedEncoder, encoders, problems)
        for problem in problems:
            _LOG.warning("%s: %s", problem.name, problem.message)
        self._loaded, self._encoders, self._problems = models, encoders, tuple(problems)

    def models(self) -> tuple[ModelSpec, ...]:
        """Return every model, built-in ones first."""
        return tuple(entry.spec for entry in self._loaded.values())

    def model(self, model_id: str) -> ModelSpec:
        """Return one model; PluginError if there is none of that id."""
        if model_id in self._loaded:
            return self._loaded[model_id].spec
        near = difflib.get_close_matches(model_id, list(self._loaded), n=1)
        raise PluginError(
            f"There is no model '{model_id}'.",
            why="Its plugin is not installed, or could not be loaded." if not near else "",
            do=f"Did you mean '{near[0]}'?" if near else f"Models are: {', '.join(self._loaded) or 'none'}.",
            model=model_id,
        )

    def text_encoders(self) -> tuple[TextEncoderSpec, ...]:
        """Return every text encoder, built-in ones first."""
        return tuple(entry.spec for entry in self._encoders.values())

    def text_encoder(self, encoder_id: str) -> TextEncoderSpec:
        """Return one text encoder; PluginError if there is none of that id."""
        if encoder_id in self._encoders:
            return self._encoders[encoder_id].spec
        raise PluginError(
            f"There is no text encoder '{encoder_id}'.",
            why="Its plugin is not installed, or could not be loaded.",
            do=f"Text encoders are: {', '.join(self._encoders) or 'none'}.",
            encoder=encoder_id,
        )

    def problems(self) -> tuple[Problem, ...]:
        """Return what could not be loaded, and why."""
        return self._problems

    def plugin_of(self, model_id: str) -> str:
        """Return the name of the plugin a model came with; KeyError if there is no such model."""
        return self._loaded[model_id].plugin

    def plugin_of_encoder(self, encoder_id: str) -> str:
        """Return the name of the plugin a text encoder came with; KeyError if there is no such encoder."""
        return self._encoders[encoder_id].plugin

    def worker_of(self, model_id: str) -> str:
        """Return the key of the plugin in whose worker a model runs; empty for built-in and unknown ones."""
        return self._loaded[model_id].key if model_id in self._loaded else ""

    def worker_of_encoder(self, encoder_id: str) -> str:
        """Return the key of the plugin in whose worker a text encoder runs; empty for built-in and unknown ones."""
        return self._encoders[encoder_id].key if encoder_id in self._encoders else ""


def load_plugins(builtin: Sequence[tuple[str, ModuleType]], strangers: Callable[[], Sequence[Source]] = tuple) -> Host:
    """Return what the built-in plugins bring, and what `strangers` says of others at every refresh. Raises nothing."""
    own = []
    for name, module in builtin:
        found: list[Problem] = []
        registered = guarded(name, functools.partial(_itself, module), found)
        own.append(Source(name, registered, problems=tuple(found)))
    return Host(sources=lambda: (*own, *strangers()))


def _itself(module: ModuleType) -> ModuleType:
    return module


def _take(
    source: Source, specs: Sequence[Any], kind: Kind, entry: Any, taken: dict[str, Any], problems: list[Problem]
) -> None:
    """Add the specs that can be used to `taken`, and what is said against the others to `problems`."""
    for spec in specs:
        problem = refusal(source.name, spec, kind)
        if problem is None and spec.id in taken:
            other = taken[spec.id].plugin
            words = f"The {kind.word} '{spec.id}' of the plugin {source.name} was refused: {other} already brings one."
            problem = Problem(source.name, words)
        if problem is None:
            taken[spec.id] = entry(source.name, spec, source.key)
        else:
            problems.append(problem)
