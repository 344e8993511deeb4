"""Finds what a plugin imports without saying that it needs it: there on its author's computer, perhaps not elsewhere.

Read from the source, so that imports inside functions count too. Imports that may fail (`try: ... except ImportError`)
and those for type checkers alone are left out.
"""

from __future__ import annotations

import ast
import importlib.metadata
import sys
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from core.plugins.archive import PluginFile
from core.plugins.host_packages import ROOMS, HostPackages, host_packages
from core.plugins.wheels import Wheel

_PUBLIC = "crosslens"
_MAY_FAIL = frozenset({"ImportError", "ModuleNotFoundError", "Exception"})


@dataclass(frozen=True, slots=True)
class Undeclared:
    """What is imported without being a dependency, each sorted.

    rooms     modules of Crosslens itself that plugins are not to rely on
    shared    packages that every Crosslens has, in versions that change
    missing   packages, or modules nobody knows, that are not there for whoever installs the plugin
    """

    rooms: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def undeclared(plugin: PluginFile, site: Path, host: HostPackages | None = None) -> Undeclared:
    """Compare the imports of all modules below `site`, where the plugin is unpacked, with what its wheel requires."""
    host = host or host_packages()
    imported = {name for path in sorted(site.rglob("*.py")) for name in imported_names(path.read_bytes())}
    foreign = imported - sys.stdlib_module_names - {_PUBLIC} - set(plugin.wheel.names)
    rooms, declared = foreign & set(ROOMS), _declared(plugin.wheel)
    shared, missing = set(), set()
    for module in foreign - rooms:
        packages = _packages(module, plugin.needs.private)
        if packages & declared:
            continue
        if everywhere := packages & host.needed.keys():
            shared.add(min(everywhere))
        else:
            missing.add(min(packages, default=module))
    return Undeclared(tuple(sorted(rooms)), tuple(sorted(shared)), tuple(sorted(missing)))


def imported_names(source: bytes) -> Set[str]:
    """Return the first part of every absolute import that must succeed; nothing where the source is not Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # importing it says so better
        return frozenset()
    return frozenset(name.partition(".")[0] for name in _imports(tree.body))


def _imports(body: Iterable[ast.AST]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module and not node.level:
                yield node.module
        elif isinstance(node, ast.Try) and any(_catches(handler) for handler in node.handlers):
            yield from _imports([*node.handlers, *node.orelse, *node.finalbody])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.orelse)
        else:
            yield from _imports(ast.iter_child_nodes(node))


def _catches(handler: ast.ExceptHandler) -> bool:
    """Return whether a failed import is caught."""
    if handler.type is None:
        return True
    return any(isinstance(part, ast.Name) and part.id in _MAY_FAIL for part in ast.walk(handler.type))


def _declared(wheel: Wheel) -> Set[str]:
    """Return what an installation without extras needs."""
    wanted = (Requirement(line) for line in wheel.requires)
    return frozenset(canonicalize_name(each.name) for each in wanted if "extra" not in str(each.marker))


def _packages(module: str, private: Sequence[Wheel]) -> Set[str]:
    """Return whose the module may be, canonical names: of wheels the plugin brings, else of what is installed here."""
    brought = {canonicalize_name(wheel.name) for wheel in private if module in wheel.names}
    installed = importlib.metadata.packages_distributions().get(module, ())
    return frozenset(brought or {canonicalize_name(name) for name in installed})
