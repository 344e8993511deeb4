"""Packs a plugin into the one file its users install: the wheel, the packages it brings, and their hashes.

NAME-VERSION-TAGS.whl, wheelhouse/*.whl, SHA256SUMS        as core.plugins.archive reads it
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.files import replace_file
from core.plugins.archive import BUNDLE_SUFFIX, SUMS_NAME, WHEELHOUSE, PluginFile, opened_plugin
from core.plugins.safe_zip import file_sha256
from crosslens._scratch import scratch
from crosslens.errors import PluginError

from .build import build_wheel

_BRING = (
    "A package the app does not have travels in the bundle: pip download --dest wheels NAME, then --wheelhouse wheels. "
    "Of one it has, allow the version it has, in pyproject.toml."
)
_WHEN = (2020, 1, 1, 0, 0, 0)  # the same plugin gives the same file, and the same hash


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was written: where, its hash, and which packages are inside or taken from the app."""

    path: Path
    sha256: str
    bytes: int
    private: tuple[str, ...]
    shared: tuple[str, ...]


@contextmanager
def as_plugin_file(path: Path, *, wheelhouse: Path | None = None) -> Iterator[PluginFile]:
    """Open a plugin as its users will get it; a project folder is built first. PluginError says what is wrong."""
    if not path.exists():
        raise PluginError(
            f"There is no file or folder {path}.",
            why="A plugin is looked at as its project's folder, as a wheel or as a bundle.",
            do="Check the path; to begin with a new plugin: crosslens plugin new NAME",
        )
    if not path.is_dir():
        with opened_plugin(path, wheelhouse=wheelhouse) as plugin:
            yield plugin
        return
    with scratch() as folder, ExitStack() as stack:
        wheel = build_wheel(path, folder)
        try:
            plugin = stack.enter_context(opened_plugin(wheel, wheelhouse=wheelhouse))
        except PluginError as error:
            if "requirements" not in error.facts:
                raise
            raise PluginError(error.what, why=error.why, do=_BRING, **error.facts) from error
        yield plugin


def write_bundle(path: Path, out: Path | None = None, *, wheelhouse: Path | None = None) -> Bundle:
    """Write a bundle of a project folder or a wheel into the folder `out` (`path`/dist or beside the wheel).

    What the plugin needs and the app does not have is taken from the folder of wheels `wheelhouse`. The bundle is
    opened again as an installation would. PluginError says what is wrong or missing.
    """
    out = out or (path / "dist" if path.is_dir() else path.parent)
    with as_plugin_file(path, wheelhouse=wheelhouse) as plugin:
        out.mkdir(parents=True, exist_ok=True)
        target = out / f"{plugin.wheel.name}-{plugin.wheel.version}{BUNDLE_SUFFIX}"
        replace_file(target, lambda temporary: _pack(plugin, temporary))
    with opened_plugin(target) as packed:
        return Bundle(
            path=target,
            sha256=packed.sha256,
            bytes=target.stat().st_size,
            private=tuple(f"{wheel.name} {wheel.version}" for wheel in packed.needs.private),
            shared=tuple(f"{package.name} {package.version}" for package in packed.needs.shared),
        )


def _pack(plugin: PluginFile, target: Path) -> None:
    members = {plugin.wheel.path.name: plugin.wheel.path}
    members |= {f"{WHEELHOUSE}/{wheel.path.name}": wheel.path for wheel in plugin.needs.private}
    sums = "".join(f"{file_sha256(path)}  {name}\n" for name, path in members.items())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in members.items():
            archive.writestr(_entry(name, zipfile.ZIP_STORED), path.read_bytes())  # wheels are compressed already
        archive.writestr(_entry(SUMS_NAME, zipfile.ZIP_DEFLATED), sums)


def _entry(name: str, method: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _WHEN)
    entry.compress_type = method
    entry.external_attr = 0o644 << 16
    return entry
