"""Looking into a plugin: a process of its own imports it and writes down what it brings, or what is wrong with it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from crosslens._scratch import scratch
from crosslens.errors import CrosslensError, PluginError
from crosslens.plain import to_plain

from ..files import write_json
from .described import Described, specs
from .guard import Problem
from .loading import forget_loading, loading_for
from .processes import LOAD_SECONDS, LOG_LINES, TURN, PluginCrashed, WorkerOf, ended
from .state import read_or
from .stopping import Check, go_on

_ABANDONED = 4
_STARTS_WITHIN = 6
"""How many times as long as an import the whole process may take."""


@dataclass(frozen=True, slots=True)
class DescribeAnswer:
    """What the process that looked into a plugin writes: a description, or what is wrong."""

    described: Described | None = None
    problem: Problem | None = None


def look_into(worker: WorkerOf, *, seconds: float = LOAD_SECONDS, check: Check = go_on) -> Described:
    """Return what a plugin brings. PluginError says why it cannot be loaded, with what its process printed.

    `check` is called all the time and may raise: then the process is ended and nothing has been changed.
    """
    with scratch() as folder:
        output = folder / "described.json"
        describe_in_a_process(worker, output, seconds=seconds, check=check)
        answer = read_or(output, DescribeAnswer) or DescribeAnswer()
    if answer.described is None:
        problem = answer.problem
        words = problem.message if problem else f"The plugin {worker.name} wrote no description of itself."
        raise PluginError(words, details=problem.details if problem else "")
    specs(answer.described, worker.name)
    return answer.described


def write_answer(path: Path, described: Callable[[], Described], name: str) -> None:
    """Write a description, or what was said instead, to `path`."""
    try:
        answer = DescribeAnswer(described=described())
        to_plain(answer)
    except CrosslensError as error:
        facts = getattr(error, "facts", {})
        answer = DescribeAnswer(
            problem=Problem(name, getattr(error, "what", str(error)), str(facts.get("details", "")))
        )
    write_json(path, answer)


def end_with_parent() -> None:
    """End this process when the one that started it goes, however it goes; its stdin is taken for that."""
    parent = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def watch() -> None:
        while os.read(parent, 1):
            pass
        os._exit(_ABANDONED)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def describe_in_a_process(
    worker: WorkerOf, output: Path, *, seconds: float = LOAD_SECONDS, check: Check = go_on
) -> None:
    """Let a process of its own import a plugin and write its description (or what is wrong) to `output`.

    PluginError says how the process ended if it wrote nothing; what `check` raises ends it.
    """
    command: Sequence[str] = (*worker.program, "describe-plugin", worker.key, str(output))
    process = subprocess.Popen(
        command, env=worker.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    printed: deque[bytes] = deque(maxlen=LOG_LINES)
    reading = threading.Thread(target=_keep_last, args=(process.stdout, printed), daemon=True)
    reading.start()
    try:
        _end_late(process, worker, seconds, check)
        check()  # Ctrl+C in a terminal ends this process and that one alike, and is no fault of the plugin
        hangs = loading_for(worker.folder, worker.key, process.pid) > seconds
    finally:
        _end(process)
        forget_loading(worker.folder, worker.key, process.pid)
    reading.join(1.0)  # a process the plugin started may keep the pipe open; it is not waited for
    if output.exists():
        return
    words = f"its import took more than {seconds:g} seconds." if hangs else f"it {ended(process.returncode)}"
    raise PluginCrashed(
        f"The plugin {worker.name} could not be loaded: {words}", details=b"".join(printed).decode(errors="replace")
    )


def _keep_last(stream: IO[bytes], lines: deque[bytes]) -> None:
    with stream:
        while chunk := stream.readline(4096):  # a plugin may print without end and without an end of line
            lines.append(chunk)


def _end_late(process: subprocess.Popen[bytes], worker: WorkerOf, seconds: float, check: Check) -> None:
    """Wait for a process; kill it if its import takes too long, or it does not even come that far."""
    started = time.monotonic()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TURN)
            return
        check()
        importing = loading_for(worker.folder, worker.key, process.pid)
        if importing > seconds or time.monotonic() - started > _STARTS_WITHIN * seconds:
            process.kill()
            process.wait()
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process if it is still there, and let go of it."""
    if process.poll() is None:
        process.kill()
        process.wait()
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
