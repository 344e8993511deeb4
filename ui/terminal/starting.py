"""What a start of the program has to do about strangers' plugins, and says in a terminal: once, on standard error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .parts import Parts
from .terminal import Terminal

if TYPE_CHECKING:
    from core.plugins.library import Library
    from core.services import Services


def with_notices(parts: Parts, terminal: Terminal) -> Parts:
    """Return parts whose first services are a start of the program: what is left out is said then."""
    begun = False

    def services(**asked: Any) -> Services:
        nonlocal begun
        made = parts.services(**asked)
        if not begun and made.plugins is not None:
            begun = True
            # No older version is removed: a window beside this command may be training with it.
            if say_put_out(made.plugins.put_out_interrupted(), terminal):
                made.host.refresh()
            _say_left_out(made.plugins, terminal)
        return made

    return replace(parts, services=services)


def say_put_out(names: Sequence[str], terminal: Terminal) -> bool:
    """Say which plugins were put out of use because a process ended while importing them; return whether any was."""
    if names:
        terminal.notice(
            f"Started without {', '.join(names)}.",
            "The last attempt to load it ended the process that tried.",
            f"More: crosslens plugin info {names[0]}. To try again: crosslens plugin enable {names[0]}",
        )
    return bool(names)


def _say_left_out(library: Library, terminal: Terminal) -> None:
    from core.plugins.rows import Standing

    names = [row.name for row in library.rows() if row.standing is Standing.LEFT_OUT] if library.safe else []
    if names:
        terminal.notice(f"Safe mode: started without {', '.join(names)}.")
