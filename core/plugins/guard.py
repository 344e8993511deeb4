"""A stranger's module is asked what it brings; whatever goes wrong becomes a sentence and stops nobody else."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
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
class Registered:
    """What one plugin brings, not yet looked at."""

    models: tuple[Any, ...] = ()
    encoders: tuple[Any, ...] = ()


def guarded(name: str, load: Callable[[], Any], problems: list[Problem]) -> Registered:
    """Return what a plugin registers; whatever goes wrong becomes a problem under its name."""
    printed = io.StringIO()
    try:
        # standard output belongs to the worker's protocol, so what a plugin prints goes to the log
        with contextlib.redirect_stdout(printed):
            return _registered(name, load())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - strangers' code, which may even call sys.exit while importing
        problems.append(Problem(name, f"The plugin {name} could not be loaded: {said(error)}", traceback.format_exc()))
        return Registered()
    finally:
        if printed.getvalue():
            _LOG.info("%s printed: %s", name, printed.getvalue().strip())


def _registered(name: str, plugin: Any) -> Registered:
    """Return what one plugin brings, asked in a plugin manager of its own so that no other plugin is touched."""
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(plugin, name)
    manager.check_pending()
    if not manager.get_hookcallers(plugin):
        raise PluginError("it implements no hook.", do="A plugin marks its functions with crosslens.hookimpl.")
    hook = manager.hook
    return Registered(
        models=tuple(spec for result in hook.crosslens_register_models() for spec in result),
        encoders=tuple(spec for result in hook.crosslens_register_text_encoders() for spec in result),
    )


def said(error: BaseException) -> str:
    """Return one line that ends like a sentence."""
    if isinstance(error, SystemExit):
        return "it tried to end the program."
    lines = str(error).strip().splitlines() or ["no reason given"]
    if isinstance(error, pluggy.PluginValidationError):
        prefix, line = "", lines[-1]  # the first lines repeat names, the last one says what is wrong
    else:
        prefix, line = "" if isinstance(error, PluginError) else f"{type(error).__name__}: ", lines[0]
    return prefix + (line if line.endswith((".", "!", "?")) else f"{line}.")


def refusal(name: str, spec: Any, kind: Kind) -> Problem | None:
    """Return why a spec cannot be used, or None."""
    words = f"A {kind.word} of the plugin {name} was refused"
    try:
        complaint = kind.complaint(spec)
    except Exception as error:  # noqa: BLE001 - looking at a stranger's classes runs a stranger's code
        return Problem(name, f"{words}: {said(error)}", traceback.format_exc())
    return Problem(name, f"{words}: {complaint}") if complaint else None


@dataclass(frozen=True, slots=True)
class Kind:
    """What is registered, in a word, and what may be wrong with it."""

    word: str
    complaint: Callable[[Any], str]


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


MODEL = Kind("model", _model_complaint)
ENCODER = Kind("text encoder", _encoder_complaint)


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
