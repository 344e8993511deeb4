"""Everything that can go wrong, as one tree.

CrosslensError
├── UserError               the world failed; the message says what, why and what to do (exit code 1)
│   ├── SourceError         a database or file cannot be opened or read
│   ├── QueryError          the query names something the source does not have, or would mislead
│   ├── DataError           the rows cannot be learned from as they are
│   ├── ParameterError      a model parameter is out of its range
│   ├── RecipeError         a recipe is not well formed
│   ├── ProjectError        a project folder cannot be opened or written
│   ├── StorageError        the disk is full, read-only or gone
│   └── PluginError         a plugin is missing, broken or refused
├── Stopped                 the user pressed Stop and nothing could be kept
└── InternalError           we failed; shown as a report with a traceback (exit code 3)
"""

from __future__ import annotations

from typing import Any


class CrosslensError(Exception):
    """Root of every error Crosslens raises on purpose."""


class UserError(CrosslensError):
    """The world failed: `what` happened, `why`, and what to `do`; each is a sentence without markup.

    `facts` carries the values behind the sentences (a path, a column, a limit) for callers that act on them.
    """

    def __init__(self, what: str, *, why: str = "", do: str = "", **facts: Any) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.do = do
        self.facts = facts

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.do) if part)


class SourceError(UserError):
    """A database or file cannot be opened or read."""


class QueryError(UserError):
    """The query names something the source does not have, or its result would mislead."""


class DataError(UserError):
    """The rows cannot be learned from as they are."""


class ParameterError(UserError):
    """A model parameter is missing, of the wrong type or out of range."""


class RecipeError(UserError):
    """A recipe is not well formed."""


class ProjectError(UserError):
    """A project folder cannot be opened or written."""


class StorageError(UserError):
    """The disk is full, read-only or gone."""


class PluginError(UserError):
    """A plugin is missing, broken or refused."""


class Stopped(CrosslensError):
    """The user pressed Stop before there was anything to keep."""


class InternalError(CrosslensError):
    """Crosslens itself failed; the message is for a report, not for the user to act on."""
