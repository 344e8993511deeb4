"""Sentences of new tables that all databases share."""

from __future__ import annotations

from crosslens.errors import DataError, StorageError
from crosslens.relational import TableRef


def already_there(table: TableRef, place: str) -> StorageError:
    """Return the error for a table that exists: it is never added to or replaced."""
    return StorageError(
        f"{place} already has a table “{table.name}”.",
        why="Predictions only ever become a table that was not there before.",
        do="Choose another name, or drop the table yourself.",
        table=table.name,
    )


def forbidden(place: str, message: str, needed: str) -> StorageError:
    """Return the error for a user who may not make tables."""
    return StorageError(
        f"You may not make a table in {place}.",
        why=f"The database says: {message}.",
        do=f"Ask its administrator for {needed}, or choose another database or a file.",
    )


def unfit(table: TableRef, message: str) -> DataError:
    """Return the error for values or names a database cannot hold."""
    return DataError(
        f"The table “{table.name}” was not made.",
        why=f"The database cannot hold what was to be written: {message}.",
        do="Leave the column out, or export to a file.",
        table=table.name,
    )
