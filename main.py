"""Composition root: the only file that knows every room. No logic."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.report import ReportDocument
    from core.services import Services

# Before Arrow is loaded, here and in processes started from here: its own allocator keeps a tenth more memory and is no
# faster for what Crosslens does.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

ENTRY = Path(__file__).resolve()
PROGRAM = (sys.executable, str(ENTRY))


def services(*, threads: int = 0) -> Services:
    """Return the rooms a job needs, wired together."""
    from core.plugin_host import load_plugins
    from core.services import Services, usable_threads
    from crosslens._scratch import sweep
    from db.credentials import SystemCredentials
    from db.sources import SqlSources
    from db.store import SqlProjects
    from plugins import builtin_plugins

    sweep()
    return Services(
        sources=SqlSources(),
        projects=SqlProjects(),
        host=load_plugins(builtin_plugins()),
        threads=threads or usable_threads(),
        credentials=SystemCredentials(),
    )


def window(project: Path | None) -> int:
    """Show the window, on a project if one is given; return the exit code."""
    from core.plugin_host import load_plugins
    from db.credentials import SystemCredentials
    from db.store import SqlProjects
    from plugins import builtin_plugins
    from ui.desktop.application import DesktopServices, run

    return run(
        DesktopServices(
            projects=SqlProjects(),
            host=load_plugins(builtin_plugins()),
            worker_command=(*PROGRAM, "worker"),
            project=project,
            credentials=SystemCredentials(),
        )
    )


def screenshots(folder: Path, project: Path) -> tuple[Path, ...]:
    """Render every page of the window as PNG files; return them."""
    from core.plugin_host import load_plugins
    from db.credentials import SystemCredentials
    from db.store import SqlProjects
    from plugins import builtin_plugins
    from ui.desktop.application import DesktopServices
    from ui.desktop.screenshots import render_pages

    return render_pages(
        folder,
        DesktopServices(
            projects=SqlProjects(),
            host=load_plugins(builtin_plugins()),
            worker_command=(*PROGRAM, "worker"),
            project=project,
            credentials=SystemCredentials(),
        ),
    )


def write_pdf(document: ReportDocument, path: Path) -> None:
    """Draw a report as PDF."""
    from ui.desktop.pdf import write_pdf

    write_pdf(document, path)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line (the window, if no command is given); return the exit code."""
    from ui.terminal.cli import Parts, run

    parts = Parts(program=PROGRAM, services=services, window=window, screenshots=screenshots, write_pdf=write_pdf)
    return run(sys.argv[1:] if arguments is None else arguments, parts)


if __name__ == "__main__":
    sys.exit(main())
