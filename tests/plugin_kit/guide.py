"""Runs a guide: files are written, commands are run, in the order in which a reader meets them.

A block of python or toml after a line that ends with "`path`:" is the file of that path. In a block of console, lines
that begin with "$ " are commands; every line below a command must occur in what it prints.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`([^`\n]+)`:\s*\Z")
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class WriteFile:
    path: str
    text: str


@dataclass(frozen=True)
class RunCommand:
    command: str
    expected: tuple[str, ...]


def steps(guide: str) -> Iterator[WriteFile | RunCommand]:
    """Yield what a reader does; ValueError for a block that nobody would know what to do with."""
    for block in _BLOCK.finditer(guide):
        kind, text = block["kind"], block["text"]
        if kind == "console":
            yield from _commands(text)
        elif kind in ("python", "toml"):
            named = _NAMED.search(guide[: block.start()])
            if named is None:
                raise ValueError(f"where does this block belong?\n{text}")
            yield WriteFile(named[1], text)
        elif kind != "text":
            raise ValueError(f"a block of {kind} is neither a file nor a command")


def _commands(text: str) -> Iterator[RunCommand]:
    before, *rest = re.split(r"^\$ ", text, flags=re.MULTILINE)
    if before.strip():
        raise ValueError(f"output without a command: {before}")
    for part in rest:
        command, *expected = part.splitlines()
        yield RunCommand(command, tuple(line.strip() for line in expected if line.strip()))


def follow(guide: str, folder: Path) -> list[str]:
    """Do what the guide says in `folder`; AssertionError names the step that went wrong. Return what was run."""
    environment = _environment(folder)
    ran = []
    for step in steps(guide):
        if isinstance(step, WriteFile):
            place = folder / step.path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(step.text, encoding="utf-8")
            continue
        done = subprocess.run(
            step.command,
            shell=True,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"$ {step.command}\n{said}"
        for line in step.expected:
            assert line in said, f"$ {step.command}\ndid not say {line!r} but\n{said}"
        ran.append(step.command)
    return ran


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment in which `crosslens` and `pytest` are those under test, and the user has no plugins."""
    programs = folder / ".programs"
    programs.mkdir()
    for name, what in (("crosslens", str(_ROOT / "main.py")), ("pytest", "-m pytest -p no:cacheprovider")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {what} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    return dict(
        os.environ,
        PATH=f"{programs}{os.pathsep}{os.environ['PATH']}",
        CROSSLENS_DATA=str(folder / ".data"),
        PYTHONPATH=str(_ROOT),
        OMP_NUM_THREADS="1",
    )
