"""Writes api.md, the reference of the plugin API, from the docstrings: `python docs/plugins/make_api.py`."""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import crosslens
import crosslens.testing

PAGE = Path(__file__).with_name("api.md")
_HEAD = """# The plugin API, version {version}

Everything a plugin may rely on: `from crosslens import ...`, and for its tests `from crosslens.testing import ...`.
Written by `make_api.py` from the docstrings; [what stays as it is](versions.md) between versions of Crosslens.
"""
_MODULES = {
    "hooks": "Hooks",
    "models": "Models",
    "parameters": "Parameters",
    "data": "Data",
    "schema": "Fields",
    "explanations": "Explanations",
    "sequences": "Sequences and text encoders",
    "errors": "Errors",
}


def reference() -> str:
    """Return the whole page."""
    lines = [_HEAD.format(version=crosslens.API_VERSION)]
    for name, title in _MODULES.items():
        module = importlib.import_module(f"crosslens.{name}")
        lines += [f"## {title}", "", _paragraphs(module.__doc__), ""]
        for public in _names(crosslens, module):
            lines += _entry(public, getattr(crosslens, public), module)
        if name == "hooks":
            for hook in sorted(each for each in vars(module) if each.startswith("crosslens_")):
                lines += _entry(hook, getattr(module, hook), module)
    lines += ["## Saving and loading", ""]
    plain = importlib.import_module("crosslens.plain")
    for helper in ("to_plain", "from_plain"):
        lines += _entry(f"crosslens.plain.{helper}", getattr(plain, helper), plain)
    lines += ["## The test kit", "", _paragraphs(crosslens.testing.__doc__), ""]
    for public in crosslens.testing.__all__:
        found = getattr(crosslens.testing, public)
        lines += _entry(public, found, importlib.import_module(found.__module__))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _names(public: ModuleType, module: ModuleType) -> Iterator[str]:
    """Yield the public names that `module` defines, in the order in which it defines them."""
    tree = ast.parse(inspect.getsource(module))
    for node in tree.body:
        names = [node.name] if isinstance(node, (ast.ClassDef, ast.FunctionDef)) else _assigned(node)
        yield from (name for name in names if name in public.__all__)


def _assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _entry(name: str, found: Any, module: ModuleType) -> list[str]:
    if isinstance(found, type):
        return _class(name, found)
    if inspect.isfunction(found):
        return [f"### `{name}{_signature(found)}`", "", _paragraphs(found.__doc__), ""]
    value = found if isinstance(found, (str, int, tuple)) else None
    said = _attribute_doc(name, module)
    return [f"### `{name}`" + ("" if value is None else f" = `{value!r}`"), "", said, ""]


def _class(name: str, found: type) -> list[str]:
    heading = f"### class `{name}`"
    lines = [heading, "", _paragraphs(found.__doc__ if "__doc__" in vars(found) else ""), ""]
    if issubclass(found, enum.Enum):
        return [*lines, "Values: " + ", ".join(f"`{each.name}` (`{each.value}`)" for each in found) + ".", ""]
    if dataclasses.is_dataclass(found):
        lines += ["| field | type | default |", "|---|---|---|"]
        lines += [
            f"| `{field.name}` | `{_type(field.type)}` | {_default(field)} |" for field in dataclasses.fields(found)
        ]
        lines.append("")
    lines += [line for method in _methods(found) for line in _method(method, vars(found)[method])]
    return [*lines, ""]


def _methods(found: type) -> list[str]:
    """Return the public methods a class defines itself; tests of a contract are named by the guide, not here."""
    return [
        name
        for name, value in vars(found).items()
        if not name.startswith(("_", "test_"))
        and (inspect.isfunction(value) or isinstance(value, (property, classmethod)))
        and (value.fget if isinstance(value, property) else getattr(value, "__func__", value)).__doc__
    ]


def _method(name: str, value: Any) -> list[str]:
    if isinstance(value, property):
        return [f"- `.{name}`: {_line(value.fget.__doc__)}"]
    function = value.__func__ if isinstance(value, classmethod) else value
    return [f"- `.{name}{_signature(function)}`: {_line(function.__doc__)}"]


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    shown = [each for each in signature.parameters.values() if each.name not in ("self", "cls")]
    text = str(signature.replace(parameters=shown))
    return re.sub(r" at 0x[0-9a-f]+", "", text).replace("'", "")


def _type(annotation: Any) -> str:
    return str(annotation).replace("|", "\\|")


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        value = field.default
        if callable(value):
            return "does nothing"
        if isinstance(value, frozenset):
            return "`{" + ", ".join(sorted(f"{each!s}" for each in value)) + "}`"
        return f"`{value!s}`" if isinstance(value, enum.Enum) else f"`{value!r}`"
    return "new" if field.default_factory is not dataclasses.MISSING else "required"


def _attribute_doc(name: str, module: ModuleType) -> str:
    body = ast.parse(inspect.getsource(module)).body
    for node, after in pairwise(body):
        if name in _assigned(node) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            return str(after.value.value)
    return ""


def _line(text: str | None) -> str:
    return " ".join(inspect.cleandoc(text or "").split())


def _paragraphs(text: str | None) -> str:
    """Return a docstring as Markdown: tables of aligned words and code stay as they are written."""
    parts = re.split(r"\n\s*\n", inspect.cleandoc(text or ""))
    told = [part if _is_prose(part) else "```text\n" + textwrap.dedent(part) + "\n```" for part in parts if part]
    return "\n\n".join(told).replace("\n```\n\n```text\n", "\n\n")


def _is_prose(part: str) -> bool:
    return not re.search(r"^\s{4}|\S {2,}\S|^[├│└]|^from .* import", part, flags=re.MULTILINE)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
