"""Commands that show or render the window."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from crosslens.errors import UserError

from .doctor import has_display, missing_packages
from .parts import Parts
from .terminal import Terminal


def open_window(options: Namespace, parts: Parts, terminal: Terminal) -> int:
    """Open the window; UserError where there is no display to show it on."""
    return show(options.project, parts)


def show(project: Path | None, parts: Parts) -> int:
    """Show the window on a project; Qt would end the process where there is nothing to show it on, so ask first."""
    if not has_display() and "QT_QPA_PLATFORM" not in os.environ:
        raise UserError(
            "There is no display to show a window on.",
            why="Neither DISPLAY nor WAYLAND_DISPLAY is set.",
            do="Log in to a desktop, use X forwarding (ssh -X), or use the command line: crosslens --help",
        )
    missing = missing_packages()
    if missing:
        raise UserError(
            "Qt needs system libraries that are missing.", do=f"Run: sudo apt-get install -y {' '.join(missing)}"
        )
    return parts.window(project)


def screenshots(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Render every page of the window, on a project with runs."""
    project = options.project
    if project is None:
        raise UserError(
            "A project is needed.", do="Run `crosslens demo` first, then add --project crosslens-demo/project."
        )
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    made = parts.screenshots(options.folder.absolute(), project.absolute())
    terminal.say(f"{len(made)} pictures are in {options.folder}.")
    terminal.result([str(path) for path in made])
