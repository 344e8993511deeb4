"""What the window is given by the composition root."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from core.credentials import PassingCredentials
from core.ports import Credentials, PluginHost, Projects

if TYPE_CHECKING:
    from core.plugins.library import Library


def default_projects_folder() -> Path:
    """Return where new projects go unless the user chose another place: a folder among the documents."""
    return Path(platformdirs.user_documents_dir()) / "Crosslens"


def default_settings_file() -> Path:
    """Return where the window keeps theme, size and recent projects."""
    return Path(platformdirs.user_config_dir("crosslens", appauthor=False)) / "desktop.ini"


@dataclass(frozen=True, slots=True)
class DesktopServices:
    """The rooms the window needs, plugged in.

    worker_command  the program and arguments of a worker, such as (python, main.py, "worker")
    project         a project folder to open at the start, or None
    projects_folder where new projects go
    settings_file   an INI file
    credentials     where passwords are kept: the system's keyring, or until the window closes
    plugins         strangers' plugins, or None where there is no place for any
    put_out         plugins that were put out of use at this start, because a process ended while importing them
    """

    projects: Projects
    host: PluginHost
    worker_command: tuple[str, ...]
    project: Path | None = None
    projects_folder: Path = field(default_factory=default_projects_folder)
    settings_file: Path = field(default_factory=default_settings_file)
    credentials: Credentials = field(default_factory=PassingCredentials)
    plugins: Library | None = None
    put_out: tuple[str, ...] = ()
