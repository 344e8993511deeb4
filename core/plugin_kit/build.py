"""Builds the wheel of a project with the project's own backend (PEP 517), on a copy, without fetching anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from crosslens._scratch import scratch
from crosslens.errors import PluginError

_LEFT_OUT = (
    ".git", ".hg", ".venv", "venv", "env", ".tox", ".nox", "build", "dist", "__pycache__", "*.egg-info", ".*_cache",
    "node_modules",
)  # fmt: skip
_SECONDS = 300
_EPOCH = "1577836800"  # 2020-01-01: the time in the zip, so that the same project gives the same file
_BUILD = """
import importlib, sys
sys.path[:0] = sys.argv[3:]
module, _, inside = sys.argv[1].partition(":")
backend = importlib.import_module(module)
for name in filter(None, inside.split(".")):
    backend = getattr(backend, name)
backend.build_wheel(sys.argv[2])
"""


@dataclass(frozen=True, slots=True)
class _Backend:
    """How a project is built: `name` as in pyproject.toml, `paths` inside the project where it lies itself."""

    name: str
    paths: tuple[str, ...]


def build_wheel(project: Path, out: Path) -> Path:
    """Write the wheel of a project folder into `out`; return its path. PluginError says why it cannot be built."""
    backend = _backend(project)
    with scratch() as folder:
        copy, built = folder / "project", folder / "built"
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        built.mkdir()
        _run(project, backend, copy, built)
        wheels = sorted(built.glob("*.whl"))
        if len(wheels) != 1:
            raise PluginError(f"{project} cannot be built.", why=f"{backend.name} wrote {len(wheels)} wheels.")
        out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(wheels[0], out / wheels[0].name))


def _backend(project: Path) -> _Backend:
    path = project / "pyproject.toml"
    if not path.is_file():
        raise PluginError(
            f"{project} is not a project.",
            why="It has no pyproject.toml." if project.is_dir() else "There is no such folder.",
            do="Begin with: crosslens plugin new NAME",
        )
    system = _table(path).get("build-system", {})
    backend = _Backend(
        str(system.get("build-backend", "setuptools.build_meta:__legacy__")), tuple(system.get("backend-path", ()))
    )
    package = re.split(r"[.:]", backend.name)[0]
    if not backend.paths and find_spec(package) is None:
        raise PluginError(
            f"{project.name} is built with {package}, which is not installed here.",
            do=f"Install it (pip install {package}), or use setuptools, which Crosslens brings.",
        )
    return backend


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PluginError(f"{path} cannot be read.", why=f"It is not TOML: {error}.") from error


def _run(project: Path, backend: _Backend, copy: Path, built: Path) -> None:
    command = [sys.executable, "-c", _BUILD, backend.name, str(built), *(str(copy / path) for path in backend.paths)]
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=dict(os.environ, SOURCE_DATE_EPOCH=_EPOCH),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PluginError(f"{project} cannot be built.", why=f"Building took more than {_SECONDS} s.") from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise PluginError(
            f"{project} cannot be built.",
            why=f"{backend.name} says: {said[-1].strip() if said else f'exit code {done.returncode}'}",
            do="Correct pyproject.toml.",
            details=done.stderr,
        )
