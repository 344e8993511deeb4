"""The block list of this computer: ids of plugins and hashes of files that are neither used nor installed, and why."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from uuid import UUID

from crosslens.errors import PluginError

from .entry_points import KEY_PREFIX
from .rows import PluginRow
from .state import State

_SHA256 = re.compile(r"[0-9a-f]{64}")


def blocked_words(state: State, key: str, sha256: str) -> str:
    """Return that a plugin is blocked, by its id or its file, and why; empty if it is not."""
    reason = state.blocked.get(key)
    if reason is None and sha256:
        reason = state.blocked.get(sha256)
    if reason is None:
        return ""
    words = reason.strip() or "No reason was given"
    return f"This plugin is blocked on this computer: {words}{'' if words.endswith(('.', '!', '?')) else '.'}"


def refuse_blocked(state: State, key: str, sha256: str) -> None:
    """Raise PluginError if a plugin is blocked."""
    if reason := blocked_words(state, key, sha256):
        what = key if key in state.blocked else sha256
        raise PluginError(reason, do=f"If you trust it after all: crosslens plugin unblock {what}", plugin=key)


def blockable(wanted: str, rows: Sequence[PluginRow]) -> tuple[str, list[PluginRow]]:
    """Return what stands for a plugin on the list, and which of those here it is about.

    `wanted` is the name or key of one of `rows`, the id of any plugin, or the SHA-256 of its file; else PluginError.
    """
    if named := [row for row in rows if wanted in (row.key, row.name)]:
        return named[0].key, named[:1]
    what = wanted.lower()
    if _SHA256.fullmatch(what):
        return what, [row for row in rows if row.sha256 == what]
    if _is_id(what) or wanted.startswith(KEY_PREFIX):
        return what, []
    raise PluginError(
        f"There is no plugin {wanted!r}.",
        do="Give the name of one that is installed, or the id of any plugin, or the SHA-256 of its file.",
        plugin=wanted,
    )


def with_blocked(state: State, what: str, reason: str, rows: Sequence[PluginRow]) -> State:
    """Return a state in which `what` is blocked, and the plugins it is about are disabled for afterwards."""
    for row in rows:
        state = state.with_plugin(row.key, replace(state.of(row.key), enabled=False, problem="", details=""))
    return replace(state, blocked={**state.blocked, what: reason})


def without_blocked(state: State, names: Collection[str]) -> State:
    """Return a state in which nothing of these names is blocked."""
    return replace(state, blocked={what: reason for what, reason in state.blocked.items() if what not in names})


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
