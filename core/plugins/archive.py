"""A file somebody was sent: a wheel, or a `.crosslens-plugin` bundle of a wheel and all it needs.

    NAME-VERSION-TAGS.whl          the plugin
    wheelhouse/*.whl               private dependencies
    SHA256SUMS                     a line "<hash>  <path>" for each of them

Everything is looked at before anything is unpacked; no code of it runs.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from crosslens._scratch import scratch
from crosslens.errors import PluginError

from .host_packages import HostPackages, host_packages
from .manifest import MANIFEST_BYTES, MANIFEST_NAME, Manifest, incompatibility, parse_manifest
from .requirements import Resolution, resolve
from .safe_zip import BUNDLE_LIMITS, copy_entry, file_sha256, opened_zip, read_entry
from .stopping import Check, go_on
from .wheels import Wheel, read_wheel

BUNDLE_SUFFIX = ".crosslens-plugin"
SUMS_NAME = "SHA256SUMS"
WHEELHOUSE = "wheelhouse"
_MEMBER = re.compile(rf"(?:{WHEELHOUSE}/)?[^/]+\.whl")


@dataclass(frozen=True, slots=True)
class PluginFile:
    """A plugin that may be installed: the file with its SHA-256, what it says of itself, and where its parts are.

    `wheel` and the private wheels of `needs` are paths that live as long as `opened_plugin` is open.
    """

    path: Path
    sha256: str
    manifest: Manifest
    wheel: Wheel
    needs: Resolution

    @property
    def files(self) -> int:
        """Return how many files would be unpacked."""
        return sum(len(wheel.files) for wheel in (self.wheel, *self.needs.private))

    @property
    def unpacked(self) -> int:
        """Return how many bytes would be unpacked."""
        return sum(wheel.unpacked for wheel in (self.wheel, *self.needs.private))


@contextmanager
def opened_plugin(
    path: Path, *, wheelhouse: Path | None = None, host: HostPackages | None = None, check: Check = go_on
) -> Iterator[PluginFile]:
    """Look at a plugin file; PluginError says in sentences why it cannot be installed.

    `wheelhouse` is a folder of further wheels to take dependencies from; `check` is called all the time.
    """
    host = host or host_packages()
    _check_kind(path)
    with scratch() as folder:
        if path.suffix == ".whl":
            main, house = path, list[Path]()
        else:
            main, house = _unbundled(path, folder, check)
        house += sorted(wheelhouse.glob("*.whl")) if wheelhouse else []
        wheel = read_wheel(main, host, check)
        manifest = _manifest(wheel)
        needs = resolve(manifest.name, wheel.requires, _readable(wheel, house, host, check), host)
        yield PluginFile(path, file_sha256(path), manifest, wheel, needs)


def _check_kind(path: Path) -> None:
    if re.match(r"[a-z+]{2,}:/", str(path)):
        raise _refused(path, "it is an address; nothing is fetched.", "Fetch the file yourself, then install it.")
    if path.is_dir():
        raise _refused(path, "it is a folder.", "Make a wheel of it: crosslens plugin bundle FOLDER")
    if not path.exists():
        raise _refused(path, "there is no such file.", f"Check the path: {path}")
    if path.suffix not in (".whl", BUNDLE_SUFFIX):
        source = path.name.endswith((".tar.gz", ".zip", ".tar.bz2", ".tgz"))
        kind = "a source distribution would run its own code to be built" if source else "it is neither of both"
        raise _refused(path, f"{kind}.", f"Plugins come as wheels (.whl) or bundles ({BUNDLE_SUFFIX}).")


def _unbundled(path: Path, folder: Path, check: Check) -> tuple[Path, list[Path]]:
    """Copy the wheels of a bundle into `folder`, their hashes being what SHA256SUMS says."""
    with opened_zip(path, BUNDLE_LIMITS) as archive:
        infos = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        sums = _sums(archive, path, set(infos))
        for name, announced in sums.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as opened:
                if copy_entry(archive, infos[name], opened, check) != announced:
                    raise _refused(path, f"{name} is not what its {SUMS_NAME} says.", "Fetch the file again.")
    mains = [folder / name for name in sums if "/" not in name]
    if len(mains) != 1:
        raise _refused(path, f"it holds {len(mains) or 'no'} plugins instead of one.", "Ask its author to mend it.")
    return mains[0], [folder / name for name in sorted(sums) if "/" in name]


def _sums(archive: zipfile.ZipFile, path: Path, names: set[str]) -> dict[str, str]:
    if SUMS_NAME not in names:
        raise _refused(path, f"it has no {SUMS_NAME}.", "Ask its author to mend it.")
    text = read_entry(archive, SUMS_NAME, 1 << 20).decode("utf-8", errors="replace")
    sums = {}
    for line in text.splitlines():
        digest, _, name = line.partition(" ")
        sums[name.strip().removeprefix("*")] = digest.lower()
    odd = next((name for name in sorted(names ^ {*sums, SUMS_NAME})), "")
    if odd:
        raise _refused(path, f"{SUMS_NAME} and the bundle differ about {odd}.", "Do not trust this file.")
    stray = next((name for name in sums if not _MEMBER.fullmatch(name)), "")
    if stray:
        raise _refused(path, f"{stray} does not belong into a bundle.", "Ask its author to mend it.")
    return sums


def _readable(plugin: Wheel, house: list[Path], host: HostPackages, check: Check) -> list[Wheel]:
    """Return the wheels of a wheelhouse that were asked for by somebody; the others are not looked at."""

    def names(lines: tuple[str, ...]) -> set[str]:
        found: set[str] = set()
        for line in lines:
            try:
                found.add(canonicalize_name(Requirement(line).name))
            except InvalidRequirement:
                continue  # said by `resolve`
        return found

    asked, wheels = names(plugin.requires), dict[Path, Wheel]()
    grown = True
    while grown:
        grown = False
        for path in house:
            try:
                name = parse_wheel_filename(path.name)[0]
            except InvalidWheelFilename:
                continue
            if path not in wheels and name in asked and name not in host.needed:
                wheels[path] = read_wheel(path, host, check)
                asked |= names(wheels[path].requires)
                grown = True
    return list(wheels.values())


def _manifest(wheel: Wheel) -> Manifest:
    """Return the manifest, which lies in the package it names as its entry."""
    places = [
        file.path for file in wheel.files if file.path.count("/") == 1 and file.path.endswith(f"/{MANIFEST_NAME}")
    ]
    if len(places) != 1:
        count = "no" if not places else f"{len(places)}"
        raise _refused(
            wheel.path,
            f"it has {count} {MANIFEST_NAME} in its package, so it is not a Crosslens plugin.",
            "Ask its author for the plugin's wheel.",
        )
    content = wheel.read(places[0], MANIFEST_BYTES) or b""
    manifest = parse_manifest(content.decode("utf-8", errors="replace"))
    package = places[0].split("/")[0]
    if manifest.entry.split(".")[0] != package:
        raise _refused(
            wheel.path, f"its manifest in {package} has the entry {manifest.entry}.", "Ask its author to mend it."
        )
    if Version(manifest.version) != Version(wheel.version):
        raise _refused(
            wheel.path,
            f"its manifest says version {manifest.version}, the wheel {wheel.version}.",
            "Ask its author to mend it.",
        )
    if complaint := incompatibility(manifest):
        raise _refused(wheel.path, complaint, "Ask its author for a version that goes with this app.")
    return manifest


def _refused(path: Path, why: str, do: str) -> PluginError:
    return PluginError(f"{path.name} cannot be installed: {why}", do=do, problems=(why,))
