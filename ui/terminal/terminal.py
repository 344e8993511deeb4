"""The terminal as an output: tables, sentences, a progress line; or JSON and nothing else."""

from __future__ import annotations

import json
import math
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from crosslens.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from core.commands import Progress as JobProgress
    from core.display import Table
    from core.services import JobControl

_WIDTH_IN_A_FILE = 160
_FRAME = 3
"""Letters of a table's column beside its text: a space on either side, and a line."""


class Terminal:
    """Where results go. With `as_json` standard output carries one JSON value and standard error the problems."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    # Imported when something is printed: the window, which prints nothing, opens sooner.

    @cached_property
    def _out(self) -> Console:
        from rich.console import Console

        console = Console(highlight=False, markup=False, soft_wrap=True)
        if not console.is_terminal:
            console.width = _WIDTH_IN_A_FILE
        return console

    @cached_property
    def _err(self) -> Console:
        from rich.console import Console

        return Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

    def result(self, value: Any) -> None:
        """Print the result of a command as JSON (only with `as_json`)."""
        if self.as_json:
            sys.stdout.write(json.dumps(without_nan(value), ensure_ascii=False, indent=1, allow_nan=False) + "\n")

    def say(self, text: str) -> None:
        """Print a sentence for people."""
        if not self.as_json:
            self._out.print(text)

    def table(self, table: Table) -> None:
        """Print a table for people; one too wide for the terminal in several parts, each with the first column."""
        if self.as_json:
            return
        from rich.cells import cell_len

        from core.present import format_cell

        rows = [
            [format_cell(cell, column) for cell, column in zip(row, table.columns, strict=True)] for row in table.rows
        ]
        texts = list(zip([column.name for column in table.columns], *rows, strict=True))
        least = [max(cell_len(word) for text in column for word in text.split() or [""]) for column in texts]
        most = [max(cell_len(text) for text in column) for column in texts]
        for number, part in enumerate(parts_of(least, self._out.width)):
            title = f"{table.title} (continued)" if number and table.title else table.title
            chosen = [least[place] for place in part], [most[place] for place in part]
            self._draw(table, rows, dict(zip(part, widths_of(*chosen, self._out.width), strict=True)), title)
        if table.note:
            self._out.print(table.note, style="dim")

    def _draw(self, table: Table, rows: Sequence[Sequence[str]], widths: Mapping[int, int], title: str) -> None:
        """Print the columns that have a width."""
        from rich.table import Table as RichTable

        from core.display import Align

        drawn = RichTable(title=title or None, title_justify="left", title_style="bold")
        for place, width in widths.items():
            right = table.columns[place].align is Align.RIGHT
            drawn.add_column(table.columns[place].name, justify="right" if right else "left", width=width)
        for number, row in enumerate(rows):
            greyed = bool(table.greyed) and table.greyed[number]
            drawn.add_row(*(row[place] for place in widths), style="dim" if greyed else "")
        self._out.print(drawn)

    def problem(self, text: str) -> None:
        """Print a problem in one sentence."""
        if self.as_json:
            sys.stdout.write(json.dumps({"error": {"what": text}}, ensure_ascii=False) + "\n")
        self._err.print(text, style="red")

    def notice(self, *sentences: str) -> None:
        """Say on standard error what goes on beside the command; with `as_json` as well."""
        for number, sentence in enumerate(sentences):
            self._err.print(sentence, style="" if number else "yellow")

    def user_error(self, error: UserError) -> None:
        """Print what the world did, why, and what to do."""
        if self.as_json:
            problem = {"what": error.what, "why": error.why, "do": error.do}
            sys.stdout.write(json.dumps({"error": problem}, ensure_ascii=False) + "\n")
        self._err.print(error.what, style="bold red")
        for line in (error.why, error.do):
            if line:
                self._err.print(line)

    def internal_error(self, error: Exception, details: str) -> None:
        """Print our own failure with its traceback."""
        if self.as_json:
            problem = {"what": f"{type(error).__name__}: {error}", "details": details}
            sys.stdout.write(json.dumps({"error": problem}, ensure_ascii=False) + "\n")
        self._err.print("Crosslens failed; this is our fault. Please report it with these lines:", style="bold red")
        self._err.print(details)

    @contextmanager
    def job(self, stopping: str = "Stopping after this batch.") -> Iterator[JobControl]:
        """Lend a job control that draws progress; Ctrl+C asks the job to stop (and says so), a second one ends it."""
        from core.services import JobControl

        stop = threading.Event()
        with _stopping(stop, self._err, stopping):
            if self.as_json or not self._err.is_terminal:
                yield JobControl(stop=stop)
                return
            with _ProgressLine(self._err) as line:
                yield JobControl(progress=line.show, stop=stop)


class _ProgressLine:
    """One line a phase: what, how far, how fast, how long."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(30),
            TextColumn("{task.fields[speed]}", markup=False), TimeElapsedColumn(), console=console, transient=True,
        )  # fmt: skip
        self._task = self._progress.add_task("Starting", total=1.0, speed="")
        self._current: tuple[str, str] = ("", "")

    def __enter__(self) -> _ProgressLine:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, progress: JobProgress) -> None:
        """Draw a moment of the job."""
        if (progress.phase, progress.run) != self._current:
            self._current = (progress.phase, progress.run)
            self._progress.reset(self._task)
        speed = f"{progress.rows_per_second:,.0f} rows/s" if progress.rows_per_second else ""
        self._progress.update(
            self._task,
            description=progress.message or progress.phase.value.capitalize(),
            total=1.0 if progress.fraction is not None else None,
            completed=progress.fraction or 0.0,
            speed=speed,
        )


@contextmanager
def _stopping(stop: threading.Event, console: Console, words: str) -> Iterator[None]:
    def on_interrupt(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        console.print(f"{words} Press Ctrl+C again to leave at once.")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def parts_of(widths: Sequence[int], room: int) -> list[list[int]]:
    """Return which columns stand beside each other where `room` letters fit; the first one is in every part.

    `widths` are the fewest letters each column needs: those of its longest word.
    """
    parts: list[list[int]] = []
    left = 0
    for place, width in enumerate(widths[1:], start=1):
        if not parts or width + _FRAME > left:
            parts.append([0])
            left = room - widths[0] - _FRAME - 1
        parts[-1].append(place)
        left -= width + _FRAME
    return parts or [list(range(len(widths)))]


def widths_of(least: Sequence[int], most: Sequence[int], room: int) -> list[int]:
    """Return how wide columns are: their longest word at least, more as long as there is room, narrow ones first."""
    widths = list(least)
    left = room - sum(widths) - _FRAME * len(widths) - 1
    for place in sorted(range(len(widths)), key=lambda place: most[place]):
        more = max(min(most[place] - widths[place], left), 0)
        widths[place] += more
        left -= more
    return widths


def without_nan(value: Any) -> Any:
    """Return plain data in which what is not a finite number is None, so that every JSON reader accepts it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(entry) for entry in value]
    return value
