"""The seven pages of the window, each made when it is first wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication

from ..session import Session
from .page import Page


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A page before it is made: what the rail needs, and how to make it."""

    page_id: str
    icon_name: str
    title: str
    make: Callable[[], Page]


_PAGES = (
    ("data", "DataPage", QT_TRANSLATE_NOOP("DataPage", "Data")),
    ("prepare", "PreparePage", QT_TRANSLATE_NOOP("PreparePage", "Prepare")),
    ("train", "TrainPage", QT_TRANSLATE_NOOP("TrainPage", "Train")),
    ("results", "ResultsPage", QT_TRANSLATE_NOOP("ResultsPage", "Results")),
    ("report", "ReportPage", QT_TRANSLATE_NOOP("ReportPage", "Report")),
    ("plugins", "PluginsPage", QT_TRANSLATE_NOOP("PluginsPage", "Plugins")),
    ("settings", "SettingsPage", QT_TRANSLATE_NOOP("SettingsPage", "Settings")),
)


def page_entries(session: Session) -> tuple[PageEntry, ...]:
    """Return all pages in the order of the rail; a page and its module are named after its id."""
    return tuple(
        PageEntry(page_id, page_id, QCoreApplication.translate(kind, title), _maker(session, page_id, kind))
        for page_id, kind, title in _PAGES
    )


def _maker(session: Session, module: str, kind: str) -> Callable[[], Page]:
    def make() -> Page:
        page: Page = getattr(import_module(f".{module}", __package__), kind)(session)
        return page

    return make
