"""The seven pages of the window."""

from __future__ import annotations

from ..session import Session
from .page import Page


def make_pages(session: Session) -> tuple[Page, ...]:
    """Return all pages in the order of the rail."""
    from .data import DataPage
    from .plugins import PluginsPage
    from .prepare import PreparePage
    from .report import ReportPage
    from .results import ResultsPage
    from .settings import SettingsPage
    from .train import TrainPage

    kinds = (DataPage, PreparePage, TrainPage, ResultsPage, ReportPage, PluginsPage, SettingsPage)
    return tuple(kind(session) for kind in kinds)
