"""Composition root: the only file that knows every room. No logic."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.plugin_host import Host
    from core.plugins.library import Library
    from core.report import ReportDocument
    from core.services import Services
    from ui.desktop.services import DesktopServices

# Before Arrow is loaded, here and in processes started from here: its own allocator keeps a tenth more memory and is no
# faster for what Crosslens does.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

ENTRY = Path(__file__).resolve()
PROGRAM = (sys.executable, str(ENTRY))


def library() -> Library:
    """Return the strangers' plugins of this computer; none is in use in safe mode."""
    from core.plugins.library import Library
    from core.plugins.state import plugins_folder
    from ui.terminal.cli import SAFE_MODE_VARIABLE

    return Library(plugins_folder(), PROGRAM, safe=bool(os.environ.get(SAFE_MODE_VARIABLE)))


def host() -> Host:
    """Return the models at hand, no stranger's code being imported."""
    from core.plugins.joining import host_of
    from plugins import builtin_plugins

    return host_of(builtin_plugins(), library())


def services(*, threads: int = 0, plugin: str = "", device: str = "auto") -> Services:
    """Return the rooms a job needs, wired together; with `plugin` those of a worker that runs its models."""
    from core.plugins.joining import host_of, worker_host
    from core.services import Services, usable_threads
    from crosslens._scratch import sweep
    from db.credentials import SystemCredentials
    from db.sources import SqlSources
    from db.store import SqlProjects
    from plugins import builtin_plugins

    sweep()
    plugins = library()
    builtin = builtin_plugins()
    return Services(
        sources=SqlSources(),
        projects=SqlProjects(),
        host=worker_host(builtin, plugins, plugin) if plugin else host_of(builtin, plugins),
        threads=threads or usable_threads(),
        credentials=SystemCredentials(),
        plugins=None if plugin else plugins,
        device=device,
    )


def desktop_services(project: Path | None) -> DesktopServices:
    """Return the rooms the window needs, wired together, with the plugins a start of the program leaves in use."""
    from core.plugins.joining import host_of
    from db.credentials import SystemCredentials
    from db.store import SqlProjects
    from plugins import builtin_plugins
    from ui.desktop.services import DesktopServices

    plugins = library()
    put_out = plugins.start()
    return DesktopServices(
        projects=SqlProjects(),
        host=host_of(builtin_plugins(), plugins),
        worker_command=(*PROGRAM, "worker"),
        project=project,
        credentials=SystemCredentials(),
        plugins=plugins,
        put_out=put_out,
    )


def window(project: Path | None) -> int:
    """Show the window, on a project if one is given; return the exit code."""
    from ui.desktop.application import run

    return run(desktop_services(project))


def screenshots(folder: Path, project: Path) -> tuple[Path, ...]:
    """Render every page of the window as PNG files; return them."""
    from ui.desktop.screenshots import render_pages

    return render_pages(folder, desktop_services(project))


def write_pdf(document: ReportDocument, path: Path) -> None:
    """Draw a report as PDF."""
    from ui.desktop.pdf import write_pdf

    write_pdf(document, path)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line (the window, if no command is given); return the exit code."""
    from ui.terminal.cli import Parts, run

    parts = Parts(
        program=PROGRAM,
        services=services,
        window=window,
        screenshots=screenshots,
        write_pdf=write_pdf,
        library=library,
        host=host,
    )
    return run(sys.argv[1:] if arguments is None else arguments, parts)


if __name__ == "__main__":
    sys.exit(main())
