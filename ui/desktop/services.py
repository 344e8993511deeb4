"""What the window is given by the composition root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.ports import PluginHost, Projects


@dataclass(frozen=True, slots=True)
class DesktopServices:
    """The rooms the window needs, plugged in.

    worker_command  the program and arguments of a worker, such as (python, main.py, "worker")
    projects_folder where new projects go unless the user chose another place
    settings_file   an INI file for theme, window size and recent projects
    versions        names and versions of what Crosslens is built on, for the Settings page
    """

    projects: Projects
    host: PluginHost
    worker_command: tuple[str, ...]
    projects_folder: Path
    settings_file: Path
    version: str
    versions: Mapping[str, str] = field(default_factory=dict)
