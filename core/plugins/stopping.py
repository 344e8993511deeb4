"""Stop: whoever does something that takes a while calls `check` now and then, which raises once it is unwanted."""

from __future__ import annotations

from collections.abc import Callable

Check = Callable[[], None]
"""Raises (Stopped, as a rule) where what is being done shall end; whoever calls it leaves nothing half done."""


def go_on() -> None:
    """Stop nothing: a `Check` for those who cannot be stopped."""
