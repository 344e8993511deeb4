"""What the window remembers between sessions, apart from projects: an INI file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from PySide6.QtCore import QByteArray, QObject, QSettings, Signal

from crosslens.models import DEVICES

from .palette import Theme

RECENT = 8


@dataclass(frozen=True, slots=True)
class RecentProject:
    """A project opened before: its folder, its name, and the database it reads (a path, or a URL without password)."""

    folder: str
    name: str
    database: str = ""


class Preferences(QObject):
    """Theme, threads, device, folders, recent projects and the window's place; every change is written at once."""

    changed = Signal()

    def __init__(self, file: Path, projects_folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = QSettings(str(file), QSettings.Format.IniFormat, self)
        self._default_folder = projects_folder

    @property
    def theme(self) -> Theme:
        """Return the chosen theme; anything unreadable counts as the system's."""
        word = self._text("theme")
        return Theme(word) if word in set(Theme) else Theme.SYSTEM

    @theme.setter
    def theme(self, theme: Theme) -> None:
        self._set("theme", theme.value)

    @property
    def threads(self) -> int:
        """Return how many threads a training may use; 0 leaves the choice to Crosslens."""
        word = self._text("threads")
        return int(word) if word.isdecimal() else 0

    @threads.setter
    def threads(self, threads: int) -> None:
        self._set("threads", str(threads))

    @property
    def device(self) -> str:
        """Return where models train; anything unreadable counts as auto."""
        word = self._text("device")
        return word if word in DEVICES else DEVICES[0]

    @device.setter
    def device(self, device: str) -> None:
        self._set("device", device)

    @property
    def projects_folder(self) -> Path:
        """Return where new projects go."""
        word = self._text("projects-folder")
        return Path(word) if word else self._default_folder

    @projects_folder.setter
    def projects_folder(self, folder: Path) -> None:
        self._set("projects-folder", str(folder))

    @property
    def geometry(self) -> QByteArray:
        """Return the window's place and size as Qt saved it; empty on first use."""
        value = self._settings.value("window/geometry")
        return value if isinstance(value, QByteArray) else QByteArray()

    @geometry.setter
    def geometry(self, geometry: QByteArray) -> None:
        self._settings.setValue("window/geometry", geometry)

    def recent(self) -> tuple[RecentProject, ...]:
        """Return projects opened before that still exist, the latest first."""
        try:
            entries = json.loads(self._text("recent") or "[]")
        except ValueError:
            return ()
        projects = [_recent(entry) for entry in entries] if isinstance(entries, list) else []
        return tuple(project for project in projects if project is not None and Path(project.folder).is_dir())

    def remember(self, project: RecentProject) -> None:
        """Put a project at the head of the recent ones."""
        others = [other for other in self.recent() if other.folder != project.folder]
        entries = [asdict(each) for each in (project, *others)][:RECENT]
        self._set("recent", json.dumps(entries, ensure_ascii=False))

    def sync(self) -> None:
        """Write what is pending, at the end of the session."""
        self._settings.sync()

    def _text(self, name: str) -> str:
        value = self._settings.value(name, "")
        return value if isinstance(value, str) else ""

    def _set(self, name: str, value: str) -> None:
        self._settings.setValue(name, value)
        self.changed.emit()


def _recent(entry: object) -> RecentProject | None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("folder"), str):
        return None
    folder = str(entry["folder"])
    return RecentProject(folder, str(entry.get("name") or Path(folder).name), str(entry.get("database") or ""))
