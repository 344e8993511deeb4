"""Frozen dataclasses to and from what JSON and TOML know, strictly: unknown keys are errors with their path."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any, TypeVar, get_origin

import cattrs
import numpy as np
from cattrs.gen import make_dict_unstructure_fn, override
from cattrs.preconf.json import make_converter
from cattrs.strategies import configure_tagged_union

from .errors import DataError
from .relational import ConnectionSpec

T = TypeVar("T")

_CONVERTER = make_converter(forbid_extra_keys=True, omit_if_default=True)
_CONVERTER.register_unstructure_hook(PurePath, str)
_CONVERTER.register_structure_hook(Path, lambda value, _: Path(value))

# A secret is read but never written: what is plain ends in files, logs and on standard output.
_CONVERTER.register_unstructure_hook(
    ConnectionSpec,
    make_dict_unstructure_fn(
        ConnectionSpec, _CONVERTER, _cattrs_omit_if_default=True, secret=override(omit=True, omit_if_default=True)
    ),
)


def _is_array(kind: Any) -> bool:
    return bool(kind is np.ndarray or get_origin(kind) is np.ndarray)


_CONVERTER.register_unstructure_hook_func(_is_array, lambda array: array.tolist())
_CONVERTER.register_structure_hook_func(_is_array, lambda value, _: np.asarray(value, np.float64))


def tag_union(union: Any) -> None:
    """Let values of a union of dataclasses travel with the name of their class under "kind"."""
    configure_tagged_union(union, _CONVERTER, tag_name="kind")


def to_plain(value: Any) -> Any:
    """Return dicts, lists, strings and numbers; entries equal to their default are left out."""
    return _CONVERTER.unstructure(value)


def from_plain(kind: type[T], plain: Any) -> T:
    """Return a `kind` made from plain data. DataError lists every problem with its path in `facts["problems"]`."""
    try:
        return _CONVERTER.structure(plain, kind)
    except Exception as error:  # cattrs gathers the errors of all hooks, whatever their type
        problems = cattrs.transform_error(error)
        raise DataError(f"Not a valid {kind.__name__}: {'; '.join(problems)}", problems=problems) from error
