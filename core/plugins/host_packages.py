"""What the app itself runs on: packages a plugin shares, and may neither replace nor have in another version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageMetadata, distributions

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
    installed = {package.name: package for each in distributions() if (package := _package(each)) is not None}
    needed = _closure(installed)
    versions = {name: package.version for name, package in installed.items()}
    return HostPackages(
        needed={name: versions[name] for name in needed if name in versions} | {APP: __version__},
        beside={name: version for name, version in versions.items() if name not in needed and name != APP},
        modules={module.casefold(): name for name in needed if name in installed for module in installed[name].modules},
    )


@dataclass(frozen=True, slots=True)
class _Package:
    """An installed distribution, its metadata read once: that is what takes time."""

    name: str
    version: str
    requires: tuple[str, ...]
    found: Distribution

    @property
    def modules(self) -> set[str]:
        """Return what can be imported from it."""
        listed = (self.found.read_text("top_level.txt") or "").split()
        if listed:
            return {name.split("/")[0] for name in listed}
        paths = (line.split(",")[0].strip('"') for line in (self.found.read_text("RECORD") or "").splitlines())
        names = {path.split("/")[0] if "/" in path else path.split(".")[0] for path in paths}
        return {name for name in names if name.isidentifier() and name != "__pycache__"}


def metadata_text(about: PackageMetadata, *names: str) -> str:
    """Return the first of these headers that says something, or an empty text."""
    texts = (str(about[name]) for name in names if name in about)
    return next((text for text in texts if text), "")


def _package(found: Distribution) -> _Package | None:
    about = found.metadata
    name = metadata_text(about, "Name")
    if not name:
        return None
    return _Package(
        canonicalize_name(name), metadata_text(about, "Version"), tuple(about.get_all("Requires-Dist") or ()), found
    )


def _closure(installed: Mapping[str, _Package]) -> set[str]:
    """Return what Crosslens requires, directly or not; everything there is where the app is not installed itself."""
    if APP not in installed or not installed[APP].requires:
        return set(installed)
    waiting = [(APP, frozenset[str]())]
    found: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in found:
            continue
        found.add((name, extras))
        if name in installed:
            waiting += _required(installed[name].requires, extras)
    return {name for name, _ in found if name != APP}


def _required(lines: Iterable[str], extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    wanted: list[tuple[str, frozenset[str]]] = []
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
