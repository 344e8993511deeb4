"""A wheel as a value, looked at without installing or importing it (PEP 427, 491)."""

from __future__ import annotations

import base64
import csv
import email.message
import email.parser
import email.policy
import io
import platform
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import sys_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from crosslens.errors import PluginError

from .host_packages import HostPackages
from .safe_zip import copy_entry, file_sha256, opened_zip, read_entry
from .stopping import Check, go_on

_METADATA_BYTES = 4 << 20
_UNSIGNED = ("RECORD", "RECORD.jws", "RECORD.p7s")
_MODULES = (".py", ".pyc", ".so", ".pyd")


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A file of a wheel: where it is in the zip, where it belongs when unpacked, and its SHA-256."""

    entry: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that may be unpacked. `requires` are its Requires-Dist lines, `names` what can be imported from it."""

    path: Path
    sha256: str
    name: str
    version: str
    requires: tuple[str, ...]
    names: tuple[str, ...]
    files: tuple[WheelFile, ...]
    author: str = ""
    licence: str = ""
    unpacked: int = 0

    def read(self, path: str, most: int) -> bytes | None:
        """Return the bytes of a file by where it belongs, or None."""
        found = next((file for file in self.files if file.path == path), None)
        if found is None:
            return None
        with opened_zip(self.path) as archive:
            return read_entry(archive, found.entry, most)


def read_wheel(path: Path, host: HostPackages, check: Check = go_on) -> Wheel:
    """Look at every file of a wheel; PluginError says why it may not be installed."""
    name, version = _named(path)
    with opened_zip(path) as archive:
        about = _about(archive, path, name, version)
        files = _verified(archive, path, about, check)
        headers = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(
            read_entry(archive, f"{about}/METADATA", _METADATA_BYTES)
        )
        unpacked = sum(info.file_size for info in archive.infolist())
    _check_metadata(headers, path, name, version)
    names = _importable(files, about)
    _check_names(names, path, host)
    return Wheel(
        path=path,
        sha256=file_sha256(path),
        name=name,
        version=version,
        requires=tuple(str(line) for line in headers.get_all("Requires-Dist", [])),
        names=names,
        files=files,
        author=_first_line(headers, "Author", "Author-email"),
        licence=_first_line(headers, "License-Expression", "License"),
        unpacked=unpacked,
    )


def _first_line(headers: email.message.Message, *names: str) -> str:
    return next((line for name in names for line in str(headers.get(name, "")).splitlines() if line.strip()), "")


def unpack_wheel(wheel: Wheel, folder: Path, check: Check = go_on) -> None:
    """Write the files of a wheel below `folder`; PluginError if they are not those that were looked at."""
    for parent in {PurePosixPath(file.path).parent for file in wheel.files}:
        (folder / parent).mkdir(parents=True, exist_ok=True)
    with opened_zip(wheel.path) as archive:
        for file in wheel.files:
            target = folder / file.path
            with target.open("xb") as opened:
                written = copy_entry(archive, archive.getinfo(file.entry), opened, check)
            if written != file.sha256:
                raise PluginError(f"{wheel.path.name} changed while it was being installed.", do="Install it again.")


def _named(path: Path) -> tuple[str, str]:
    """Return name and version from the file's name, whose tags must be this Python's."""
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise _refused(path, f"its name is not that of a wheel ({error}).") from error
    if not tags & frozenset(sys_tags()):
        built = ", ".join(sorted(str(tag) for tag in tags))
        python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
        raise _refused(path, f"it is built for {built}; this app runs on {python}.")
    return name, str(version)


def _about(archive: zipfile.ZipFile, path: Path, name: str, version: str) -> str:
    """Return the dist-info folder."""
    folders = {entry.split("/")[0] for entry in archive.namelist() if entry.split("/")[0].endswith(".dist-info")}
    if len(folders) != 1:
        raise _refused(path, f"it has {len(folders) or 'no'} dist-info folders instead of one.")
    (about,) = folders
    found, _, release = about.removesuffix(".dist-info").partition("-")
    if canonicalize_name(found) != name or _version(release) != Version(version):
        raise _refused(path, f"its folder {about} belongs to another wheel.")
    for needed in ("RECORD", "METADATA", "WHEEL"):
        if f"{about}/{needed}" not in archive.namelist():
            raise _refused(path, f"{about}/{needed} is missing.")
    return about


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except ValueError:
        return None


def _verified(archive: zipfile.ZipFile, path: Path, about: str, check: Check) -> tuple[WheelFile, ...]:
    """Return every file, its hash being what RECORD says."""
    recorded = _record(archive, path, about)
    unsigned = {f"{about}/{name}" for name in _UNSIGNED}
    files = []
    for info in archive.infolist():
        if info.is_dir():
            continue
        entry = info.filename
        found = copy_entry(archive, info, check=check)
        if entry not in unsigned and entry not in recorded:
            raise _refused(path, f"{entry} is not listed in its RECORD.")
        if entry not in unsigned and recorded[entry] != found:
            raise _refused(path, f"{entry} is not what its RECORD says; the file was changed after it was built.")
        files.append(WheelFile(entry, _place(entry, path), found))
    if missing := set(recorded) - {file.entry for file in files}:
        raise _refused(path, f"{min(missing)} is listed in its RECORD but not there.")
    if len({file.path.casefold() for file in files}) < len(files):
        raise _refused(path, "two of its files belong to the same place.")
    return tuple(files)


def _record(archive: zipfile.ZipFile, path: Path, about: str) -> dict[str, str]:
    text = read_entry(archive, f"{about}/RECORD", _METADATA_BYTES).decode("utf-8", errors="replace")
    recorded = {}
    for row in csv.reader(io.StringIO(text)):
        if len(row) != 3 or row[0] in {f"{about}/{name}" for name in _UNSIGNED}:
            continue
        method, _, digest = row[1].partition("=")
        if method != "sha256":
            raise _refused(path, f"its RECORD has no SHA-256 of {row[0]}.")
        recorded[row[0]] = _hexadecimal(digest)
    return recorded


def _hexadecimal(digest: str) -> str:
    try:
        return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
    except ValueError:
        return "not a hash"


def _place(entry: str, path: Path) -> str:
    """Return where a file belongs below the plugin's folder; scripts and data belong elsewhere and are refused."""
    top, _, rest = entry.partition("/")
    if top.endswith(".data"):
        kind, _, inner = rest.partition("/")
        if kind not in ("purelib", "platlib") or not inner:
            raise _refused(path, f"{entry} would be written outside of the plugin's folder.")
        entry = inner
    if "/" not in entry and entry.casefold().endswith(".pth"):
        raise _refused(path, f"{entry} would run in every Python process (a .pth file).")
    return entry


def _check_metadata(headers: email.message.Message, path: Path, name: str, version: str) -> None:
    if canonicalize_name(str(headers.get("Name", ""))) != name or _version(str(headers.get("Version"))) != Version(
        version
    ):
        raise _refused(path, "its METADATA names another package or version than its file name.")
    needed = str(headers.get("Requires-Python", ""))
    try:
        fits = SpecifierSet(needed).contains(platform.python_version(), prereleases=True)
    except InvalidSpecifier as error:
        raise _refused(path, f"its Requires-Python {needed!r} cannot be read.") from error
    if not fits:
        raise _refused(path, f"it needs Python {needed}; this app runs on Python {platform.python_version()}.")


def _importable(files: tuple[WheelFile, ...], about: str) -> tuple[str, ...]:
    names = set()
    for file in files:
        top, inside, _ = file.path.partition("/")
        if inside and top != about:
            names.add(top)
        elif not inside and top.endswith(_MODULES):
            names.add(top.split(".")[0])
    return tuple(sorted(names))


def _check_names(names: tuple[str, ...], path: Path, host: HostPackages) -> None:
    standard = {name.casefold() for name in sys.stdlib_module_names} | {"sitecustomize", "usercustomize"}
    for name in names:
        if name.casefold() in standard:
            raise _refused(path, f"its module {name} would take the place of a module of Python.")
        if owner := host.owner(name):
            raise _refused(path, f"its module {name} would take the place of {owner}.")


def _refused(path: Path, why: str) -> PluginError:
    do = "Ask the plugin's author for a wheel or bundle that fits."
    return PluginError(f"{path.name} cannot be installed: {why}", do=do, problems=(why,))
