"""Is that process still the one that was meant? A pid alone may have been given to a stranger since."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from pathlib import Path


def this_host() -> str:
    """Return the name of this machine."""
    return socket.gethostname()


def is_this_host(host: str) -> bool:
    """Whether `host` names this machine, in either of the ways Python has to ask."""
    return host in (socket.gethostname(), platform.node())


def start_of(pid: int) -> str:
    """Return a text that names the start of process `pid`, or an empty string if there is no such process.

    Two processes that are given the same pid one after the other have different starts. A zombie counts as gone.
    """
    if pid <= 0:
        return ""
    return _start(pid)


def is_alive(pid: int, start: str = "") -> bool:
    """Whether `pid` runs and, where `start` is known, is still the process that started then."""
    now = start_of(pid)
    return bool(now) and start in ("", now)


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _QUERY_LIMITED_INFORMATION = 0x1000
    _STILL_ACTIVE = 259
    _ACCESS_DENIED = 5

    def _start(pid: int) -> str:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = wintypes.HANDLE
        handle = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid)
        if not handle:
            # Denied: somebody else's process has the pid, so it is alive; its start stays unknown to us.
            return "unknown" if ctypes.get_last_error() == _ACCESS_DENIED else ""
        code, times = wintypes.DWORD(), [wintypes.FILETIME() for _ in range(4)]
        try:
            kernel.GetExitCodeProcess(wintypes.HANDLE(handle), ctypes.byref(code))
            kernel.GetProcessTimes(wintypes.HANDLE(handle), *(ctypes.byref(time) for time in times))
        finally:
            kernel.CloseHandle(wintypes.HANDLE(handle))
        return f"{times[0].dwHighDateTime}:{times[0].dwLowDateTime}" if code.value == _STILL_ACTIVE else ""

else:

    def _start(pid: int) -> str:
        return _start_on_linux(pid) if Path("/proc/self/stat").exists() else _start_by_ps(pid)


def _start_on_linux(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    # The command in parentheses may hold spaces and parentheses itself, so count from its end.
    fields = stat.rpartition(")")[2].split()
    state, ticks = fields[0], fields[19]
    return "" if state in ("Z", "X") else f"{_boot()}:{ticks}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
    except OSError:
        return ""


def _start_by_ps(pid: int) -> str:
    answer = subprocess.run(  # the same words in every locale, so that texts compare
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()
