"""What the machine lacks, and the one line that mends it."""

from __future__ import annotations

import ctypes.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs

from core.services import THREADS_VARIABLE, usable_threads
from crosslens._sizes import format_bytes
from crosslens.errors import UserError
from crosslens.plain import to_plain

from .installed import DRIVERS, LEARNERS, OPTIONAL, Package
from .parts import Parts
from .terminal import Terminal

WINDOW_PACKAGES = {
    "xkbcommon-x11": "libxkbcommon-x11-0",
    "X11-xcb": "libx11-xcb1",
    "xcb-cursor": "libxcb-cursor0",
    "xcb-icccm": "libxcb-icccm4",
    "xcb-util": "libxcb-util1",
    "xcb-image": "libxcb-image0",
    "xcb-keysyms": "libxcb-keysyms1",
    "xcb-randr": "libxcb-randr0",
    "xcb-render-util": "libxcb-render-util0",
    "xcb-shape": "libxcb-shape0",
    "xcb-sync": "libxcb-sync1",
    "xcb-xfixes": "libxcb-xfixes0",
    "xcb-xkb": "libxcb-xkb1",
}
"""Shared library -> Debian package: what Qt needs to show a window under X11."""

DRAWING_PACKAGES = {
    "GL": "libgl1",
    "EGL": "libegl1",
    "xkbcommon": "libxkbcommon0",
    "fontconfig": "libfontconfig1",
    "dbus-1": "libdbus-1-3",
    "glib-2.0": "libglib2.0-0",
}
"""Shared library -> Debian package: what Qt needs to draw at all, without a window too."""

LEAST_FREE = 1_000_000_000
"""Bytes; with less on a disk, something will soon not fit."""

_FONT_PACKAGE = "fonts-dejavu-core"
_FONT_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `remedy` is a command or a sentence, empty when all is well."""

    name: str
    good: bool
    message: str
    remedy: str = ""
    required: bool = True


def examine(folder: Path) -> tuple[Finding, ...]:
    """Look at everything Crosslens needs; `folder` is where projects would go."""
    settings = Path(platformdirs.user_config_dir("crosslens", appauthor=False))
    return (
        _python(),
        _memory(),
        _threads(),
        _writable("Project folder", folder, "Choose a project folder you may write to, with --project."),
        replace(_writable("Settings folder", settings, "Without it the window forgets its settings."), required=False),
        _writable(
            "Temporary files",
            Path(tempfile.gettempdir()),
            "What does not fit into memory goes there: set TMPDIR to a folder you may write to.",
        ),
        *(_package(package) for package in (*DRIVERS, *LEARNERS, *OPTIONAL)),
        _libraries(),
        _display(),
        _keyring(),
        _graphics_card(),
    )


def missing_packages() -> tuple[str, ...]:
    """Return the Debian packages of shared libraries and fonts that are not there (Linux only)."""
    if not sys.platform.startswith("linux"):
        return ()
    wanted = DRAWING_PACKAGES | WINDOW_PACKAGES
    missing = [package for library, package in wanted.items() if ctypes.util.find_library(library) is None]
    has_font = any(next(folder.rglob("*.[to]tf"), None) for folder in _FONT_FOLDERS if folder.is_dir())
    return tuple(missing if has_font else [*missing, _FONT_PACKAGE])


def install_packages(packages: tuple[str, ...]) -> None:
    """Install Debian packages; UserError with the exact line when that is not ours to do."""
    if not packages:
        return
    line = f"sudo apt-get install -y {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise UserError(
            "Qt needs system libraries that are missing.",
            why=f"Their names on Debian and Ubuntu: {' '.join(packages)}.",
            do="Install the packages of your distribution that hold them.",
        )
    if os.geteuid() != 0:
        raise UserError("Qt needs system libraries that are missing.", do=f"Run: {line}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *packages]):
        done = subprocess.run(
            command, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            raise UserError(
                "System libraries could not be installed.", why=done.stderr.strip()[-500:], do=f"Run: {line}"
            )


def _python() -> Finding:
    message = f"Python {platform.python_version()} on {platform.platform(terse=True)}"
    good = sys.version_info >= (3, 11)
    return Finding("Python", good, message, "" if good else "Install Python 3.11 or newer.")


def _memory() -> Finding:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return Finding("Memory", True, "not measured on this system", required=False)
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    good = total >= 3.5
    remedy = "" if good else "Extract fewer rows: a million rows of twelve columns want about 2 GiB."
    return Finding("Memory", good, f"{total:.1f} GiB", remedy, required=False)


def _threads() -> Finding:
    threads, all_of_them = usable_threads(), os.cpu_count() or 1
    message = f"{threads} of {all_of_them}; --threads or {THREADS_VARIABLE} takes fewer"
    return Finding("Processor threads", True, message, required=False)


def _package(package: Package) -> Finding:
    problem = package.problem()
    name = f"{package.name} ({package.purpose})"
    if problem:
        return Finding(name, False, problem, package.remedy, required=not package.optional)
    return Finding(name, True, package.installed_version, required=not package.optional)


def _writable(name: str, folder: Path, remedy: str) -> Finding:
    place = folder
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Finding(name, False, f"{folder}: {error.strerror}", remedy)
    free = shutil.disk_usage(place).free
    message = f"{folder}: writable, {format_bytes(free)} free"
    if free < LEAST_FREE:
        remedy = f"Free some space: a million rows of twelve columns want about {format_bytes(LEAST_FREE)}."
        return Finding(name, False, message, remedy, required=False)
    return Finding(name, True, message)


def _libraries() -> Finding:
    packages = missing_packages()
    if not packages:
        return Finding("System libraries for the window", True, "all there")
    return Finding(
        "System libraries for the window",
        False,
        f"missing: {', '.join(packages)}",
        f"sudo apt-get install -y {' '.join(packages)}",
    )


def _display() -> Finding:
    if not sys.platform.startswith("linux") or has_display():
        return Finding("Display", True, "there is one", required=False)
    return Finding(
        "Display",
        False,
        "none (neither DISPLAY nor WAYLAND_DISPLAY is set)",
        "The command line works without; for the window log in to a desktop or use X forwarding (ssh -X).",
        required=False,
    )


def has_display() -> bool:
    """Whether a window could be shown."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _keyring() -> Finding:
    import keyring

    backend = keyring.get_keyring()
    good = backend.priority > 0
    message = (
        f"passwords are kept by {backend.name}" if good else f"no safe place for passwords was found ({backend.name})"
    )
    remedy = "" if good else "Passwords are then kept only until the window closes. On Linux: install gnome-keyring."
    return Finding("Keyring", good, message, remedy, required=False)


def _graphics_card() -> Finding:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Finding("Graphics card", True, "none found; models train on the processor", required=False)
    listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=False)
    return Finding("Graphics card", True, listed.stdout.strip() or "found, but it does not answer", required=False)


def doctor(options: Namespace, parts: Parts, terminal: Terminal) -> int:
    """Say what is missing on this machine."""
    if options.install:
        install_packages(missing_packages())
    findings = examine(Path("crosslens-project").absolute())
    for finding in findings:
        if options.quiet and (finding.good or not finding.required):
            continue
        mark = "ok  " if finding.good else ("MISSING" if finding.required else "note")
        terminal.say(f"{mark:8}{finding.name}: {finding.message}")
        if finding.remedy:
            terminal.say(f"        {finding.remedy}")
    terminal.result([to_plain(finding) for finding in findings])
    return 0 if all(finding.good or not finding.required for finding in findings) else 1
