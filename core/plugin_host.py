"""Loads plugins one by one, so that a broken one costs a row on the Plugins page and never the start of the app.

Built-in models and strangers' come through the same hooks; see `crosslens.hooks`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import importlib.metadata
import io
import logging
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pluggy

from crosslens import (
    ModelSpec,
    PluginError,
    TextEncoderSpec,
    describe_parameters,
    hooks,
    parameters_from_plain,
    parameters_to_plain,
)
from crosslens.models import Task

_LOG = logging.getLogger("crosslens.plugins")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be loaded: the plugin's name, one sentence, and the traceback where there is one."""

    name: str
    message: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model and the plugin it came with."""

    plugin: str
    spec: ModelSpec


@dataclass(frozen=True, slots=True)
class LoadedEncoder:
    """A text encoder and the plugin it came with."""

    plugin: str
    spec: TextEncoderSpec


class Host:
    """The models and text encoders of all plugins that could be loaded, in the order they were loaded."""

    def __init__(
        self, loaded: Iterable[LoadedModel], problems: Iterable[Problem], encoders: Iterable[LoadedEncoder] = ()
    ) -> None:
        self._loaded = {entry.spec.id: entry for entry in loaded}
        self._encoders = {entry.spec.id: entry.spec for entry in encoders}
        self._problems = tuple(problems)

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
        return tuple(self._encoders.values())

    def text_encoder(self, encoder_id: str) -> TextEncoderSpec:
        """Return one text encoder; PluginError if there is none of that id."""
        if encoder_id in self._encoders:
            return self._encoders[encoder_id]
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


def load_plugins(builtin: Sequence[tuple[str, ModuleType]], *, entry_points: bool = True) -> Host:
    """Return what the built-in plugins and, with `entry_points`, installed ones bring. Raises nothing.

    An id that is already taken is a problem of the plugin that comes later.
    """
    models: dict[str, LoadedModel] = {}
    encoders: dict[str, LoadedEncoder] = {}
    problems: list[Problem] = []
    for name, load in _candidates(builtin, problems, entry_points=entry_points):
        found = _guarded(name, load, problems)
        for spec in found.models:
            problem = _refusal(name, spec, models, _MODEL)
            if problem is None:
                models[spec.id] = LoadedModel(name, spec)
            else:
                problems.append(problem)
        for spec in found.encoders:
            problem = _refusal(name, spec, encoders, _ENCODER)
            if problem is None:
                encoders[spec.id] = LoadedEncoder(name, spec)
            else:
                problems.append(problem)
    for problem in problems:
        _LOG.warning("%s: %s", problem.name, problem.message)
    return Host(models.values(), problems, encoders.values())


def _candidates(
    builtin: Sequence[tuple[str, ModuleType]], problems: list[Problem], *, entry_points: bool
) -> Iterator[tuple[str, Callable[[], Any]]]:
    for name, module in builtin:
        yield name, functools.partial(_itself, module)
    if entry_points:
        for point in _entry_points(problems):
            yield point.name, point.load


def _itself(module: ModuleType) -> ModuleType:
    return module


def _entry_points(problems: list[Problem]) -> list[importlib.metadata.EntryPoint]:
    """Return the announced plugins, each once though its distribution be found twice on the path."""
    try:
        found = importlib.metadata.entry_points(group=hooks.ENTRY_POINT_GROUP)
        return list({(point.name, point.value): point for point in found}.values())
    except Exception as error:  # noqa: BLE001 - metadata files are strangers' and may hold anything
        message = f"The list of installed plugins cannot be read: {_said(error)}"
        problems.append(Problem("installed plugins", message, traceback.format_exc()))
        return []


@dataclass(frozen=True, slots=True)
class _Registered:
    """What one plugin brings, not yet looked at."""

    models: tuple[Any, ...] = ()
    encoders: tuple[Any, ...] = ()


def _guarded(name: str, load: Callable[[], Any], problems: list[Problem]) -> _Registered:
    """Return what a plugin registers; whatever goes wrong becomes a problem under its name."""
    printed = io.StringIO()
    try:
        # standard output belongs to the worker's protocol, so what a plugin prints goes to the log
        with contextlib.redirect_stdout(printed):
            return _registered(name, load())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - strangers' code, which may even call sys.exit while importing
        problems.append(Problem(name, f"The plugin {name} could not be loaded: {_said(error)}", traceback.format_exc()))
        return _Registered()
    finally:
        if printed.getvalue():
            _LOG.info("%s printed: %s", name, printed.getvalue().strip())


def _registered(name: str, plugin: Any) -> _Registered:
    """Return what one plugin brings, asked in a plugin manager of its own so that no other plugin is touched."""
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(plugin, name)
    manager.check_pending()
    if not manager.get_hookcallers(plugin):
        raise PluginError("it implements no hook.", do="A plugin marks its functions with crosslens.hookimpl.")
    hook = manager.hook
    return _Registered(
        models=tuple(spec for result in hook.crosslens_register_models() for spec in result),
        encoders=tuple(spec for result in hook.crosslens_register_text_encoders() for spec in result),
    )


def _said(error: BaseException) -> str:
    """Return one line that ends like a sentence."""
    if isinstance(error, SystemExit):
        return "it tried to end the program."
    lines = str(error).strip().splitlines() or ["no reason given"]
    if isinstance(error, pluggy.PluginValidationError):
        prefix, line = "", lines[-1]  # the first lines repeat names, the last one says what is wrong
    else:
        prefix, line = "" if isinstance(error, PluginError) else f"{type(error).__name__}: ", lines[0]
    return prefix + (line if line.endswith((".", "!", "?")) else f"{line}.")


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is registered, in a word, and what may be wrong with it."""

    word: str
    complaint: Callable[[Any], str]


def _refusal(name: str, spec: Any, loaded: Mapping[str, LoadedModel | LoadedEncoder], kind: _Kind) -> Problem | None:
    said = f"A {kind.word} of the plugin {name} was refused"
    try:
        complaint = kind.complaint(spec)
    except Exception as error:  # noqa: BLE001 - looking at a stranger's classes runs a stranger's code
        return Problem(name, f"{said}: {_said(error)}", traceback.format_exc())
    if complaint:
        return Problem(name, f"{said}: {complaint}")
    if spec.id in loaded:
        other = loaded[spec.id].plugin
        return Problem(
            name, f"The {kind.word} '{spec.id}' of the plugin {name} was refused: {other} already brings one."
        )
    return None


def _model_complaint(spec: Any) -> str:
    """Return what is wrong with a model, or an empty text."""
    if not isinstance(spec, ModelSpec):
        return f"it is a {type(spec).__name__} and not a ModelSpec."
    return _name_complaint(spec) or _task_complaint(spec) or _parameter_complaint(spec)


def _encoder_complaint(spec: Any) -> str:
    """Return what is wrong with a text encoder, or an empty text."""
    if not isinstance(spec, TextEncoderSpec):
        return f"it is a {type(spec).__name__} and not a TextEncoderSpec."
    unbuilt = "" if callable(spec.build) else f"build of '{spec.id}' must be a function."
    return _name_complaint(spec) or unbuilt or _parameter_complaint(spec)


_MODEL = _Kind("model", _model_complaint)
_ENCODER = _Kind("text encoder", _encoder_complaint)


def _name_complaint(spec: Any) -> str:
    if not isinstance(spec.id, str) or not _ID.fullmatch(spec.id):
        return f"its id {spec.id!r} is not made of small letters, digits and single hyphens."
    if not isinstance(spec.title, str) or not spec.title.strip():
        return f"'{spec.id}' has no title."
    return ""


def _task_complaint(spec: Any) -> str:
    if not isinstance(spec.task, Task):
        return f"'{spec.id}' has the unknown task {spec.task!r}."
    if not callable(spec.build) or not callable(spec.load):
        return f"build and load of '{spec.id}' must be functions."
    return ""


def _parameter_complaint(spec: Any) -> str:
    kind = spec.parameters
    if not isinstance(kind, type) or not dataclasses.is_dataclass(kind):
        return f"the parameters of '{spec.id}' are not a dataclass."
    undescribed = [info.name for info in describe_parameters(kind) if info.default is dataclasses.MISSING]
    if undescribed:
        return f"the parameters {', '.join(undescribed)} of '{spec.id}' have no default."
    parameters_from_plain(kind, parameters_to_plain(kind()))
    return ""
