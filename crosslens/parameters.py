"""Parameters of a model: a frozen dataclass whose fields carry what a form needs.

    @dataclass(frozen=True, slots=True)
    class Parameters:
        width: int = parameter(10, label="Embedding width", help="Numbers per field.", minimum=1, maximum=256)

Types: bool, int, float, str with `choices`, and tuple[int, ...] (layer widths).
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any

from .errors import ParameterError

_KEY = "crosslens"


@dataclasses.dataclass(frozen=True, slots=True)
class ParameterInfo:
    """One parameter as a form shows it. `type` is bool, int, float, str or tuple (of int)."""

    name: str
    type: type
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


def parameter(
    default: Any,
    *,
    label: str,
    help: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    step: float | None = None,
    choices: tuple[str, ...] = (),
    advanced: bool = False,
    logarithmic: bool = False,
    source: str = "",
    search: tuple[Any, ...] = (),
) -> Any:
    """Return a dataclass field with a default and what a form needs to show it.

    `minimum` and `maximum` are inclusive; for tuples they bound every entry. `logarithmic` asks for a scale by factors.
    `source` names what a text is chosen from where only the app knows the choices: "text-encoders", "folder" (of the
    user's disk). `search` is what a search over parameters may try: the two ends of a number's range, or a list of
    values; a parameter without it keeps its value.
    """
    facts = {
        "label": label, "help": help, "minimum": minimum, "maximum": maximum, "step": step,
        "choices": choices, "advanced": advanced, "logarithmic": logarithmic, "source": source,
        "search": search,
    }  # fmt: skip
    return dataclasses.field(default=default, metadata={_KEY: facts})


def describe_parameters(parameters: type[Any]) -> tuple[ParameterInfo, ...]:
    """Return what a form shows for a parameter class, in the order of its fields."""
    hints = typing.get_type_hints(parameters)
    return tuple(_describe(field, hints[field.name]) for field in dataclasses.fields(parameters))


def parameters_to_plain(parameters: Any) -> dict[str, Any]:
    """Return the values as JSON and TOML know them (tuples become lists)."""
    plain = {info.name: getattr(parameters, info.name) for info in describe_parameters(type(parameters))}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


def parameters_from_plain(parameters: type[Any], plain: Mapping[str, Any]) -> Any:
    """Return an instance of `parameters`; names left out keep their default. ParameterError says what is wrong."""
    infos = {info.name: info for info in describe_parameters(parameters)}
    for name in plain:
        if name not in infos:
            raise ParameterError(
                f"There is no parameter {name!r}.", do=f"Known are: {', '.join(infos)}.", parameter=name
            )
    return parameters(**{name: check_parameter(infos[name], value) for name, value in plain.items()})


def check_parameter(info: ParameterInfo, value: Any) -> Any:
    """Return `value` in the parameter's type; ParameterError if it is of another type or out of range."""
    if info.type is tuple:
        if isinstance(value, (str, bytes)) or not isinstance(value, (list, tuple)):
            raise _wrong(info, value, "a list of whole numbers")
        return tuple(_check_number(info, entry, int) for entry in value)
    if info.type is bool:
        if not isinstance(value, bool):
            raise _wrong(info, value, "true or false")
        return value
    if info.type is str:
        if not isinstance(value, str) or (info.choices and value not in info.choices):
            raise _wrong(info, value, "one of " + ", ".join(info.choices) if info.choices else "a text")
        return value
    return _check_number(info, value, info.type)


def _check_number(info: ParameterInfo, value: Any, kind: type) -> Any:
    wanted = "a whole number" if kind is int else "a number"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(info, value, wanted)
    if not math.isfinite(value) or (kind is int and value != int(value)):
        raise _wrong(info, value, wanted)
    if info.minimum is not None and value < info.minimum:
        raise _wrong(info, value, f"{wanted} of at least {info.minimum:g}")
    if info.maximum is not None and value > info.maximum:
        raise _wrong(info, value, f"{wanted} of at most {info.maximum:g}")
    return kind(value)


def _wrong(info: ParameterInfo, value: Any, wanted: str) -> ParameterError:
    return ParameterError(
        f"{info.label} cannot be {value!r}.", do=f"It must be {wanted}.", parameter=info.name, value=value
    )


def _describe(field: dataclasses.Field[Any], hint: Any) -> ParameterInfo:
    kind = typing.get_origin(hint) or hint
    if kind not in (bool, int, float, str, tuple):
        raise TypeError(f"parameter {field.name!r} has type {hint}; use bool, int, float, str or tuple[int, ...]")
    facts = field.metadata.get(_KEY, {"label": field.name})
    return ParameterInfo(name=field.name, type=kind, default=field.default, **facts)
