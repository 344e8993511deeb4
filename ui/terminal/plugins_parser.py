"""How `crosslens plugin list | info | install | enable | disable | remove | block ...` is asked for, and no more."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NAMED = (
    ("info", "Tell everything about one plugin."),
    ("enable", "Use a plugin, with its files as they are now."),
    ("disable", "Leave a plugin out."),
    ("remove", "Remove a plugin that was installed from a file."),
)


def add_plugins(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands for who uses plugins."""
    command(commands, "list", "plugins:list_plugins", "List plugins, the models they bring, and what is wrong.")
    install = command(commands, "install", "plugins:install", "Install a plugin from a wheel or a bundle.")
    install.add_argument("path", metavar="FILE", help=".whl or .crosslens-plugin")
    install.add_argument("--wheelhouse", type=Path, metavar="DIR", help="folder of wheels the plugin needs")
    install.add_argument("--yes", action="store_true", help="install without asking")
    for name, help_text in _NAMED:
        named = command(commands, name, f"plugins:{name}", help_text)
        named.add_argument("plugin", metavar="PLUGIN", help="its name or id")
    _add_blocking(commands, command)


def _add_blocking(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    command(commands, "blocked", "plugins:blocked", "List what may be neither used nor installed on this computer.")
    block = command(commands, "block", "plugins:block", "Neither use nor install a plugin on this computer any more.")
    block.add_argument("plugin", metavar="PLUGIN", help="its name or id, or the SHA-256 of one file of it")
    block.add_argument("--reason", default="", metavar="TEXT", help="why, for whoever tries to use it")
    unblock = command(commands, "unblock", "plugins:unblock", "Take a plugin off the block list; it stays disabled.")
    unblock.add_argument("plugin", metavar="PLUGIN", help="its name or id, or the SHA-256 that was blocked")
