"""Plugins of this computer: list, tell about, install, enable, disable, remove, block."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from core.commands import PluginOffer
from core.display import Table, TableColumn
from core.plugins.archive import opened_plugin
from core.plugins.joining import listed
from core.plugins.offers import offer
from core.plugins.rows import PluginRow, Standing
from crosslens._sizes import format_bytes
from crosslens.errors import PluginError, Stopped, UserError
from crosslens.plain import to_plain

from .parts import Parts
from .starting import say_put_out
from .terminal import Terminal

_NO_SANDBOX = "A plugin runs with your full permissions; it is not sandboxed. Install only what you trust."


def list_plugins(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """List every plugin and its state; those nobody has looked into are looked into now."""
    rows = _listed(parts, terminal)
    heads = tuple(map(TableColumn, ("plugin", "version", "state", "models", "what is wrong")))
    cells = tuple(
        (row.name, row.version, str(row.standing), ", ".join(model.id for model in row.models), row.sentence)
        for row in rows
    )
    terminal.table(Table("Plugins", heads, cells))
    terminal.result([to_plain(row) for row in rows])


def info(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Tell what is known about one plugin."""
    rows = [row for row in _listed(parts, terminal) if options.plugin in (row.key, row.name)]
    row = rows[0] if len(rows) == 1 else parts.library().row(options.plugin)
    for name, value in _facts(row):
        terminal.say(f"{name:>12}  {value}")
    if row.details:
        terminal.say(row.details)
    terminal.result(to_plain(row))


def install(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Install a file after saying what it is; PluginError if it is not in use afterwards."""
    library = parts.library()
    if "://" in options.path:
        raise PluginError(
            f"{options.path} cannot be installed: it is an address.",
            do="Nothing is fetched from a network. Fetch the file yourself, then install it.",
        )
    path = Path(options.path).absolute()
    with opened_plugin(path, wheelhouse=options.wheelhouse) as plugin:
        offered = offer(plugin, library)
    _agree(offered, options, terminal)
    try:
        with terminal.job(stopping="Stopping.") as control:
            library.install(path, sha256=offered.sha256, wheelhouse=options.wheelhouse, check=control.check)
    except Stopped:
        raise Stopped("Stopped: nothing was installed.") from None
    _say_standing(_standing(offered.key, parts), terminal, "is installed and enabled")


def enable(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Use a plugin."""
    library = parts.library()
    try:
        with terminal.job(stopping="Stopping.") as control:
            row = library.enable(library.row(options.plugin).key, check=control.check)
    except Stopped:
        raise Stopped(f"Stopped: {options.plugin} stands as before.") from None
    _say_standing(_standing(row.key, parts), terminal, "is enabled")


def disable(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Leave a plugin out."""
    row = parts.library().disable(options.plugin)
    terminal.say(f"{row.name} is disabled. Runs made with it stay.")
    terminal.result(to_plain(row))


def remove(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Remove a plugin."""
    library = parts.library()
    row = library.row(options.plugin)
    library.remove(row.key)
    terminal.say(f"{row.name} is removed. Runs made with it stay.")
    terminal.result({"key": row.key, "name": row.name})


def blocked(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """List what is blocked, and why."""
    found = parts.library().blocked()
    if not found:
        terminal.say("Nothing is blocked on this computer.")
    else:
        heads = tuple(map(TableColumn, ("plugin", "id or SHA-256", "why")))
        cells = tuple((each.name or "not installed", each.what, each.reason or "not said") for each in found)
        terminal.table(Table("Blocked plugins", heads, cells))
    terminal.result([to_plain(each) for each in found])


def block(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Put a plugin on the block list."""
    done = parts.library().block(options.plugin, options.reason)
    terminal.say(f"{done.name or done.what} is blocked: it can be neither used nor installed. Runs made with it stay.")
    terminal.result(to_plain(done))


def unblock(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Take a plugin off the block list."""
    done = parts.library().unblock(options.plugin)
    if done.name:
        terminal.say(f"{done.name} is not blocked any more. To use it again: crosslens plugin enable {done.name}")
    else:
        terminal.say(f"{done.what} is not blocked any more; it can be installed.")
    terminal.result(to_plain(done))


def _listed(parts: Parts, terminal: Terminal) -> tuple[PluginRow, ...]:
    library = parts.library()
    say_put_out(library.start(), terminal)
    library.describe_pending()
    return listed(library, parts.host())


def _standing(key: str, parts: Parts) -> PluginRow:
    """Return how a plugin stands beside the others: an id of its models may be taken."""
    return next(row for row in listed(parts.library(), parts.host()) if row.key == key)


def _say_standing(row: PluginRow, terminal: Terminal, words: str) -> None:
    if row.standing is not Standing.ENABLED:
        raise PluginError(
            row.sentence or f"{row.name} is {row.standing}.",
            why=f"{row.name} {row.version} is installed but not in use.",
            do=f"crosslens plugin info {row.name} tells more.",
            details=row.details,
        )
    models = ", ".join(model.id for model in row.models)
    terminal.say(f"{row.name} {row.version} {words}. It brings: {models}.")
    terminal.result(to_plain(row))


def _agree(offered: PluginOffer, options: Namespace, terminal: Terminal) -> None:
    """Ask, unless this very file was agreed to before, or whoever asks has said yes."""
    for name, value in _offer_facts(offered):
        terminal.say(f"{name:>12}  {value}")
    if options.yes or offered.trusted:
        return
    terminal.say(_NO_SANDBOX)
    if terminal.as_json or not sys.stdin.isatty():
        raise UserError(
            f"Whether {offered.name} may be installed has to be said.", why="There is nobody to ask.", do="Add --yes."
        )
    if input("Install it? [y/N] ").strip().lower() != "y":
        raise UserError("Nothing was installed.")


def _offer_facts(offered: PluginOffer) -> list[tuple[str, str]]:
    facts = [
        ("name", f"{offered.name} {offered.version}"),
        ("about", offered.summary),
        ("author", ", ".join(offered.authors) or "not said"),
        ("licence", offered.licence or "not said"),
        ("SHA-256", offered.sha256),
        ("brings", ", ".join(offered.models)),
        ("uses", ", ".join(offered.shared)),
        ("brings along", ", ".join(offered.private)),
        ("may use", ", ".join(offered.capabilities)),
        ("files", f"{offered.files:,} ({format_bytes(offered.unpacked)})"),
        ("replaces", offered.replaces),
    ]
    return [(name, value) for name, value in facts if value]


def _facts(row: PluginRow) -> list[tuple[str, str]]:
    facts = [
        ("name", f"{row.name} {row.version}".strip()),
        ("id", row.key),
        ("state", str(row.standing)),
        ("wrong", row.sentence),
        ("about", row.summary),
        ("author", ", ".join(row.authors)),
        ("licence", row.licence),
        ("models", ", ".join(f"{model.id} ({model.kind})" for model in row.models)),
        ("uses", ", ".join(row.shared)),
        ("brings along", ", ".join(row.private)),
        ("may use", ", ".join(row.capabilities)),
        ("import", "" if row.seconds is None else f"{row.seconds:.2f} s"),
        ("from", row.source),
        ("SHA-256", row.sha256),
        ("installed", row.installed),
    ]
    return [(name, value) for name, value in facts if value]
