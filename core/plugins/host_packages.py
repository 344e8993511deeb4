"""What the app itself runs on: packages a plugin shares, and may neither replace nor have in another version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions, packages_distributions

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from crosslens import __version__

APP = "crosslens"
ROOMS = ("main", "core", "crosslens", "db", "plugins", "ui")


@dataclass(frozen=True, slots=True)
class HostPackages:
    """Packages by canonical name with their versions.

    `needed` is what Crosslens is built on: shared with every plugin in this version. `beside` happens to be installed
    in the same Python. `modules` says to whom an importable name of `needed` belongs, names in small letters.
    """

    needed: Mapping[str, str]
    beside: Mapping[str, str]
    modules: Mapping[str, str]

    def owner(self, module: str) -> str:
        """Return in words whose the importable name is, or an empty text if it is free."""
        name = module.casefold()
        if name in ROOMS:
            return f"a part of Crosslens ({name})"
        return f"a package of Crosslens ({self.modules[name]})" if name in self.modules else ""


@cache
def host_packages() -> HostPackages:
    """Return the packages of the Python this runs on."""
    installed = {canonicalize_name(each.metadata["Name"]): each for each in distributions() if each.metadata["Name"]}
    needed = _closure(installed)
    modules = {
        module.casefold(): names[0]
        for module, names in packages_distributions().items()
        if any(canonicalize_name(name) in needed for name in names)
    }
    versions = {name: each.version for name, each in installed.items()}
    return HostPackages(
        needed={name: versions[name] for name in needed if name in versions} | {APP: __version__},
        beside={name: version for name, version in versions.items() if name not in needed and name != APP},
        modules=modules,
    )


def _closure(installed: Mapping[str, Distribution]) -> set[str]:
    """Return what Crosslens requires, directly or not; everything there is where the app is not installed itself."""
    try:
        waiting = [(APP, frozenset[str]())] if distribution(APP).requires else []
    except PackageNotFoundError:
        waiting = []
    if not waiting:
        return set(installed)
    found: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in found:
            continue
        found.add((name, extras))
        if name in installed:
            waiting += _required(installed[name].requires or (), extras)
    return {name for name, _ in found if name != APP}


def _required(lines: Iterable[str], extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    wanted = []
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # metadata of installed packages is what it is
            continue
        if requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in ("", *sorted(extras))
        ):
            wanted.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return wanted
