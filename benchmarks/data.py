"""From tables to encoded arrays: Crosslens beside pandas, page by page, and how soon Stop is heard.

Each measurement runs in a process of its own, ours and theirs in turn, so that load hits both alike; memory is the most
that the process and those it starts have resident together (what they share is counted in each).
Processor seconds are those of all of them, imports included: they see less of what else the machine is doing.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from core.services import usable_threads

from .data_tables import SCHEMA, copy_to_postgresql, drop_from_postgresql, make_sqlite

_POLL_SECONDS = 0.05
_TIMES = 4


def measure(
    rows: int = 1_000_000,
    repeats: int = 3,
    big_rows: int = 20_000_000,
    postgresql: str = "",
    folder: Path | None = None,
    threads: int = 0,
) -> dict[str, Any]:
    """Return the medians at `rows` and four times as many rows, of pages of `big_rows` rows, and of Stop.

    `folder` keeps the databases for the next time (default: one in the system's temporary folder). `threads` is
    ignored: every side takes what it takes.
    """
    kept = folder or Path(tempfile.gettempdir()) / "crosslens-benchmark"
    kept.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {"machine": _machine(), "repeats": repeats, "prepare": [], "pages": [], "cancel": []}
    for count in (rows, _TIMES * rows):
        path = make_sqlite(kept / f"joined-{count}.db", count)
        figures["prepare"].append(_side_by_side("SQLite", f"sqlite:///{path}", None, count, repeats))
    figures["cancel"].append(_cancel("SQLite", f"sqlite:///{path}", None))
    if big_rows:
        big = make_sqlite(kept / f"joined-{big_rows}.db", big_rows)
        figures["pages"].append({"rows": big_rows, **_median("crosslens_pages", f"sqlite:///{big}", None, repeats)})
    if postgresql:
        copy_to_postgresql(kept / f"joined-{rows}.db", postgresql)
        try:
            figures["prepare"].append(_side_by_side("PostgreSQL", postgresql, SCHEMA, rows, repeats))
            figures["cancel"].append(_cancel("PostgreSQL", postgresql, SCHEMA))
        finally:
            drop_from_postgresql(postgresql)
    return figures


def table(figures: dict[str, Any]) -> str:
    """Return the figures for reading."""
    small, large = (part["crosslens"] for part in figures["prepare"][:2])
    growth = [large[name] / small[name] for name in ("seconds", "megabytes")]
    return "\n".join(
        (
            f"{figures['machine']}; medians of {figures['repeats']}",
            f"{'':34}{'seconds':>10}{'MB':>8}{'processor s':>14}",
            *(_prepared(part) for part in figures["prepare"]),
            f"{f'{_TIMES}x the rows take':34}{growth[0]:9.2f}x{growth[1]:7.2f}x",
            *(_paged(part) for part in figures["pages"]),
            *(_stopped(part) for part in figures["cancel"]),
        )
    )


def _prepared(part: dict[str, Any]) -> str:
    sides = (
        f"  {name:32}{part[name]['seconds']:10.2f}{part[name]['megabytes']:8.0f}{part[name]['processor']:14.2f}"
        for name in ("pandas", "crosslens", "extract only")
    )
    ratios = f"  {'times faster, part of the memory':32}{part['faster']:10.2f}{part['memory']:8.2f}"
    return "\n".join((f"{part['engine']}, {part['rows']:,} rows x 12 columns", *sides, ratios))


def _paged(part: dict[str, Any]) -> str:
    first, middle = (1000 * part[name] for name in ("first", "middle"))
    return (
        f"SQLite, {part['rows']:,} rows: opened with its first page in {first:.0f} ms, middle page in {middle:.0f} ms"
    )


def _stopped(part: dict[str, Any]) -> str:
    return f"{part['engine']}: Stop ends an extraction in {part['latency']:.2f} s, files left: {part['left']:.0f}"


def _side_by_side(engine: str, url: str, schema: str | None, rows: int, repeats: int) -> dict[str, Any]:
    sides = {"pandas": "pandas_factorize", "crosslens": "crosslens_prepare", "extract only": "crosslens_extract"}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, part in sides.items():
            runs[name].append(_run(part, url, schema))
            assert runs[name][-1]["rows"] == rows
    medians = {name: _medians(found) for name, found in runs.items()}
    ours, theirs = medians["crosslens"], medians["pandas"]
    ratios = {
        "faster": theirs["seconds"] / ours["seconds"],
        "memory": ours["megabytes"] / theirs["megabytes"],
    }
    return {"engine": engine, "rows": rows, **medians, **ratios}


def _cancel(engine: str, url: str, schema: str | None) -> dict[str, Any]:
    return {"engine": engine, **_median("crosslens_cancel", url, schema, 1)}


def _median(part: str, url: str, schema: str | None, repeats: int) -> dict[str, float]:
    return _medians([_run(part, url, schema) for _ in range(repeats)])


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _run(part: str, url: str, schema: str | None) -> dict[str, float]:
    """Run one measurement and return its figures, and the most memory its processes had."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = {"part": part, "url": url, "schema": schema, "folder": str(Path(folder) / "project")}
        command = [sys.executable, "-m", f"{__package__}.data_parts"]
        # An installed program has its modules compiled already.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(wanted) + "\n")
        process.stdin.flush()
        most = 0
        while process.poll() is None:
            most = max(most, _resident(process.pid))
            time.sleep(_POLL_SECONDS)
        output = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{part} failed: what it said stands above")
    return {**json.loads(output), "megabytes": most / 1e6}


def _resident(pid: int) -> int:
    try:
        whole = psutil.Process(pid)
        return sum(process.memory_info().rss for process in (whole, *whole.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0


def _machine() -> str:
    return (
        f"{platform.system()} {platform.machine()}, {usable_threads()} processors, Python {platform.python_version()}"
    )
