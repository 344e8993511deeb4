"""What a plugin brings, written down by a process that imported it, so that no other process has to.

Lists, forms and recipes work on specs made from the description; only a worker of the plugin can build and load.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from crosslens import ModelSpec, ParameterInfo, PluginError, TextEncoderSpec, describe_parameters, parameter
from crosslens.explanations import ExplanationKind
from crosslens.models import Task
from crosslens.schema import FieldRole

from .guard import ENCODER, MODEL, Problem, Registered, refusal

_TYPES: dict[str, Any] = {"bool": bool, "int": int, "float": float, "str": str, "tuple": tuple[int, ...]}


@dataclass(frozen=True, slots=True)
class DescribedParameter:
    """A ParameterInfo as JSON knows it: `type` is a word, tuples are lists."""

    name: str
    type: str
    default: Any
    label: str
    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    advanced: bool = False
    logarithmic: bool = False
    source: str = ""
    search: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class DescribedModel:
    """A model without its functions."""

    id: str
    title: str
    summary: str
    task: Task
    parameters: tuple[DescribedParameter, ...]
    needs: tuple[FieldRole, ...] = ()
    explains: tuple[ExplanationKind, ...] = ()
    version: str = "1"
    paper: str = ""
    estimates: bool = False


@dataclass(frozen=True, slots=True)
class DescribedEncoder:
    """A text encoder without its function."""

    id: str
    title: str
    summary: str
    parameters: tuple[DescribedParameter, ...]
    needs_text: bool = True
    uses_sequences: bool = True
    version: str = "1"
    extras: str = ""


@dataclass(frozen=True, slots=True)
class Described:
    """What was found in a plugin: models, text encoders, what was refused, and how long the import took.

    `fingerprint` says of which files this is true.
    """

    models: tuple[DescribedModel, ...] = ()
    encoders: tuple[DescribedEncoder, ...] = ()
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0
    fingerprint: str = ""


def describe(name: str, registered: Registered, seconds: float) -> Described:
    """Write down what a plugin registered; what the app could not use becomes a problem."""
    problems: list[Problem] = []
    models = tuple(_model(spec) for spec in _usable(name, registered.models, MODEL, problems))
    encoders = tuple(_encoder(spec) for spec in _usable(name, registered.encoders, ENCODER, problems))
    return Described(models, encoders, tuple(problems), seconds)


def specs(described: Described, plugin: str) -> Registered:
    """Return specs whose `build` and `load` say that they work in the plugin's own worker only."""
    return Registered(
        tuple(_model_spec(each, plugin) for each in described.models),
        tuple(_encoder_spec(each, plugin) for each in described.encoders),
    )


def _usable(name: str, found: Sequence[Any], kind: Any, problems: list[Problem]) -> list[Any]:
    usable = []
    for spec in found:
        problem = refusal(name, spec, kind)
        if problem is None:
            usable.append(spec)
        else:
            problems.append(problem)
    return usable


def _model(spec: ModelSpec) -> DescribedModel:
    return DescribedModel(
        id=spec.id,
        title=spec.title,
        summary=str(spec.summary),
        task=spec.task,
        parameters=_parameters(spec.parameters),
        needs=tuple(sorted(FieldRole(role) for role in spec.needs)),
        explains=tuple(sorted(ExplanationKind(kind) for kind in spec.explains)),
        version=str(spec.version),
        paper=str(spec.paper),
        estimates=bool(spec.estimates),
    )


def _encoder(spec: TextEncoderSpec) -> DescribedEncoder:
    return DescribedEncoder(
        id=spec.id,
        title=spec.title,
        summary=str(spec.summary),
        parameters=_parameters(spec.parameters),
        needs_text=bool(spec.needs_text),
        uses_sequences=bool(spec.uses_sequences),
        version=str(spec.version),
        extras=str(spec.extras),
    )


def _parameters(kind: type[Any]) -> tuple[DescribedParameter, ...]:
    return tuple(_parameter(info) for info in describe_parameters(kind))


def _parameter(info: ParameterInfo) -> DescribedParameter:
    facts = {field.name: getattr(info, field.name) for field in dataclasses.fields(info)}
    default = list(info.default) if isinstance(info.default, tuple) else info.default
    return DescribedParameter(**{**facts, "type": info.type.__name__, "default": default})


def _model_spec(model: DescribedModel, plugin: str) -> ModelSpec:
    return ModelSpec(
        id=model.id,
        title=model.title,
        summary=model.summary,
        task=model.task,
        parameters=_parameter_class(model.id, model.parameters),
        build=_elsewhere(model.title, plugin),
        load=_elsewhere(model.title, plugin),
        needs=frozenset(model.needs),
        explains=frozenset(model.explains),
        version=model.version,
        paper=model.paper,
        estimates=model.estimates,
    )


def _encoder_spec(encoder: DescribedEncoder, plugin: str) -> TextEncoderSpec:
    return TextEncoderSpec(
        id=encoder.id,
        title=encoder.title,
        summary=encoder.summary,
        parameters=_parameter_class(encoder.id, encoder.parameters),
        build=_elsewhere(encoder.title, plugin),
        needs_text=encoder.needs_text,
        uses_sequences=encoder.uses_sequences,
        version=encoder.version,
        extras=encoder.extras,
    )


def _parameter_class(name: str, parameters: Sequence[DescribedParameter]) -> type[Any]:
    """Return a parameter class that forms and recipes cannot tell from the plugin's own."""
    fields = [(each.name, _TYPES[each.type], _field(each)) for each in parameters]
    return dataclasses.make_dataclass(
        "".join(word.title() for word in name.split("-")) + "Parameters", fields, frozen=True, slots=True
    )


def _field(each: DescribedParameter) -> Any:
    facts = {field.name: getattr(each, field.name) for field in dataclasses.fields(each)}
    del facts["name"], facts["type"]
    default = tuple(each.default) if each.type == "tuple" else each.default
    if each.type == "float" and isinstance(default, int):  # JSON of another writer may say 1 for 1.0
        default = float(default)
    return parameter(**{**facts, "default": default})


def _elsewhere(title: str, plugin: str) -> Callable[[Any], Any]:
    def refuse(_: Any) -> Any:
        raise PluginError(
            f"{title} of the plugin {plugin} cannot run in this process.",
            why="What strangers wrote runs in a worker of its own.",
            do="This is a fault of Crosslens; please report it.",
        )

    return refuse
