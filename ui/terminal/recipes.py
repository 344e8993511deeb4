"""Writes recipes where people keep theirs."""

from __future__ import annotations

from pathlib import Path

from core.files import write_text
from crosslens.errors import StorageError

from .terminal import Terminal

_FORMER = ".before"


def write_recipe(path: Path, toml: str, terminal: Terminal) -> None:
    """Write a recipe; another one of that name is kept beside it, because recipes are edited by hand.

    StorageError where the former one cannot be moved.
    """
    if path.is_file() and path.read_bytes() != toml.encode("utf-8"):
        former = path.with_name(path.name + _FORMER)
        try:
            path.replace(former)
        except OSError as error:
            raise StorageError(
                f"{path} is there already and cannot be kept.", why=f"{error}.", do="Choose another name."
            ) from error
        terminal.say(f"{path} was there already; what it said is in {former}.")
    write_text(path, toml)
