"""Commands that show or render the window."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from crosslens.errors import UserError

from .parts import Parts
from .terminal import Terminal

Render = Callable[[Path, Path], tuple[Path, ...]]


def open_window(options: Namespace, parts: Parts, terminal: Terminal) -> int:
    """Open the window."""
    return parts.window(options.project)


def screenshots(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Render every page of the window, on a project with runs."""
    project = options.project
    if project is None:
        raise UserError(
            "A project is needed.", do="Run `crosslens demo` first, then add --project crosslens-demo/project."
        )
    made = [
        file
        for scale in ("1", "2")
        for file in _in_own_process(scale, parts.screenshots, options.folder.absolute(), project.absolute())
    ]
    terminal.say(f"{len(made)} pictures are in {options.folder}.")
    terminal.result([str(path) for path in made])


def _in_own_process(scale: str, render: Render, folder: Path, project: Path) -> tuple[Path, ...]:
    """Render in a process of its own: Qt reads scale and platform once, when it starts."""
    os.environ["QT_SCALE_FACTOR"] = scale
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(render, folder, project).result()
