"""What a plugin needs, piece by piece: shared with the app, kept for it alone, or not to be had.

A package Crosslens itself is built on is shared in the version that is there; a plugin that needs another is refused,
since two versions of one package cannot live in a process. Anything else comes from the wheelhouse, with its own
requirements, and is seen by this plugin only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from crosslens.errors import PluginError

from .host_packages import HostPackages
from .wheels import Wheel


@dataclass(frozen=True, slots=True)
class SharedPackage:
    """A package of the app that the plugin uses too."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where everything comes from: packages shared with the app, and wheels of the plugin's own."""

    shared: tuple[SharedPackage, ...] = ()
    private: tuple[Wheel, ...] = ()


def resolve(name: str, requires: Sequence[str], wheelhouse: Sequence[Wheel], host: HostPackages) -> Resolution:
    """Find everything `requires` asks for, transitively. PluginError says, per requirement, what is not to be had.

    `name` is the plugin's, for the sentences. Of several wheels that fit the newest is taken. A choice is not taken
    back when a later requirement contradicts it: that is refused with both sides named.
    """
    search = _Search(_shelf(wheelhouse), host)
    search.run(name, requires)
    if search.problems:
        raise PluginError(
            f"{name} cannot be installed: {search.problems[0]}",
            why=" ".join(search.problems[1:]),
            do="Ask its author for a bundle with everything it needs, or for a version that goes with this app.",
            problems=tuple(search.problems),
            requirements=True,
        )
    return Resolution(tuple(search.shared.values()), tuple(wheel for wheel, _ in search.private.values()))


class _Search:
    """One walk along requirements; `private` holds what was taken and who asked for it first."""

    def __init__(self, shelf: Mapping[str, tuple[Wheel, ...]], host: HostPackages) -> None:
        self._shelf = shelf
        self._host = host
        self.shared: dict[str, SharedPackage] = {}
        self.private: dict[str, tuple[Wheel, str]] = {}
        self.problems: list[str] = []

    def run(self, name: str, requires: Sequence[str]) -> None:
        waiting = deque((name, frozenset[str](), line) for line in requires)
        seen = set()
        while waiting:
            asking = waiting.popleft()
            if asking in seen:
                continue
            seen.add(asking)
            asker, extras, line = asking
            wanted = _wanted(asker, line, extras, self.problems)
            wheel = self._found(asker, wanted) if wanted else None
            if wanted and wheel:
                waiting.extend((wheel.name, frozenset(wanted.extras), each) for each in wheel.requires)

    def _found(self, asker: str, wanted: Requirement) -> Wheel | None:
        """Note where a requirement is met, or why not; return the wheel if it is a private one."""
        package = canonicalize_name(wanted.name)
        if package in self._host.needed:
            self._share(asker, wanted, self._host.needed[package])
            return None
        if package in self.private:
            wheel, other = self.private[package]
            if not _fits(wanted, wheel.version):
                self.problems.append(f"{asker} needs {_words(wanted)}, but {wheel.version} was taken for {other}.")
            return wheel
        newest = _newest(wanted, self._shelf.get(package, ()))
        if newest is not None:
            self.private[package] = (newest, asker)
            return newest
        beside = self._host.beside.get(package, "")
        if beside and _fits(wanted, beside):
            self._share(asker, wanted, beside)
            return None
        self.problems.append(_absence(asker, wanted, self._shelf.get(package, ()), beside))
        return None

    def _share(self, asker: str, wanted: Requirement, version: str) -> None:
        package = canonicalize_name(wanted.name)
        self.shared[package] = SharedPackage(package, version)
        if not _fits(wanted, version):
            self.problems.append(f"{asker} needs {_words(wanted)}, this app has {version}.")


def _shelf(wheelhouse: Sequence[Wheel]) -> dict[str, tuple[Wheel, ...]]:
    shelf: dict[str, tuple[Wheel, ...]] = {}
    for wheel in wheelhouse:
        shelf[wheel.name] = (*shelf.get(wheel.name, ()), wheel)
    return shelf


def _wanted(asker: str, line: str, extras: frozenset[str], problems: list[str]) -> Requirement | None:
    """Return a requirement that counts here, or None."""
    try:
        wanted = Requirement(line)
    except InvalidRequirement:
        problems.append(f"{asker} has a requirement that cannot be read: {line!r}.")
        return None
    if wanted.url:
        problems.append(f"{asker} needs {wanted.name} from an address ({wanted.url}); nothing is fetched.")
        return None
    marker = wanted.marker
    counts = marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *sorted(extras)))
    return wanted if counts else None


def _fits(wanted: Requirement, version: str) -> bool:
    return wanted.specifier.contains(version, prereleases=True)


def _newest(wanted: Requirement, wheels: Sequence[Wheel]) -> Wheel | None:
    fitting = [wheel for wheel in wheels if _fits(wanted, wheel.version)]
    return max(fitting, key=lambda wheel: Version(wheel.version), default=None)


def _absence(asker: str, wanted: Requirement, wheels: Sequence[Wheel], installed: str) -> str:
    if wheels:
        there = ", ".join(sorted(wheel.version for wheel in wheels))
        return f"{asker} needs {_words(wanted)}, its wheelhouse has {there}."
    has = f", this Python has {installed}" if installed else ", which this app does not have"
    return f"{asker} needs {_words(wanted)}{has}."


def _words(wanted: Requirement) -> str:
    extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
    return f"{wanted.name}{extras}{wanted.specifier}"
