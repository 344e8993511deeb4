"""What the composition root hands to the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.plugin_host import Host
    from core.plugins.library import Library
    from core.report import ReportDocument
    from core.services import Services


@dataclass(frozen=True, slots=True)
class Parts:
    """Makers of what a command may need; each imports its room only when called. `program` starts this program anew."""

    program: tuple[str, ...]
    services: Callable[..., Services]
    window: Callable[[Path | None], int]
    screenshots: Callable[[Path, Path], tuple[Path, ...]]
    write_pdf: Callable[[ReportDocument, Path], None]
    library: Callable[[], Library]
    host: Callable[[], Host]
