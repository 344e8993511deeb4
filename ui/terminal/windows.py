"""Commands that show or render the window."""

from __future__ import annotations

from argparse import Namespace

from crosslens.errors import UserError

from .parts import Parts
from .terminal import Terminal


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
    made = parts.screenshots(options.folder.absolute(), project.absolute())
    terminal.say(f"{len(made)} pictures are in {options.folder}.")
    terminal.result([str(path) for path in made])
