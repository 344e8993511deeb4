"""What DuckDB says, turned into sentences. Arrow passes its words on as OSError, so only the words are looked at."""

from __future__ import annotations

import re
from pathlib import Path

from crosslens.errors import QueryError, SourceError, StorageError, UserError

_OPENING = (
    (
        "Could not set lock",
        "{name} is locked.",
        "Another program has it open for writing, and DuckDB lets one program write or many read.",
        "Close that program (or its connection), then try again, or read a copy of the file.",
    ),
    (
        "with a different configuration",
        "{name} is open for writing in this program.",
        "DuckDB lets one program write or many read.",
        "Close the other connection, then try again.",
    ),
    (
        "not a valid DuckDB database",
        "{name} is not a DuckDB database.",
        "Its first bytes are not those of a DuckDB file; it may be another kind of file, or still empty.",
        "Choose another file.",
    ),
    (
        "version number",
        "{name} was written by another version of DuckDB.",
        "DuckDB says: {message}",
        "Export it with the version that wrote it, and import it with a version of today.",
    ),
    (
        "storage version",
        "{name} was written by another version of DuckDB.",
        "DuckDB says: {message}",
        "Export it with the version that wrote it, and import it with a version of today.",
    ),
    (
        "encrypt",
        "{name} is encrypted.",
        "DuckDB says: {message}",
        "Make a copy of it without encryption, and open that.",
    ),
    (
        "Corrupt database",
        "{name} is damaged.",
        "DuckDB says: {message}",
        "Restore it from a backup.",
    ),
    (
        "Could not read enough bytes",
        "{name} is damaged.",
        "The file is shorter than it says it is; it may have been cut short while it was copied or written.",
        "Copy it again, or restore it from a backup.",
    ),
)
_READING = (
    (
        ("Permission Error", "Cannot execute statement", "read-only mode", "configuration has been locked"),
        "{name} is only ever read.",
        "The statement would have changed something or read something else. DuckDB says: {message}",
        "Use a SELECT that reads the tables of this database.",
    ),
    (
        ("IO Error", "Fatal Error", "Serialization Error"),
        "{name} could not be read.",
        "The disk or the network did not deliver, or the file was changed while we read it. DuckDB says: {message}",
        "Check that the file is whole and its disk connected, then open it again.",
    ),
)
_NO_ROOM = ("No space left", "Out of Memory Error", "max_temp_directory_size")


def is_interruption(error: Exception) -> bool:
    """Whether DuckDB stopped because it was told to."""
    return "INTERRUPT Error" in str(error)


def opening_error(error: Exception, path: Path) -> SourceError:
    """Return why a file cannot be opened; raise it `from error`."""
    facts = {"name": path.name, "message": in_short(error)}
    for words, what, why, do in _OPENING:
        if words in str(error):
            return SourceError(what.format(**facts), why=why.format(**facts), do=do.format(**facts), path=str(path))
    return SourceError(
        f"{path.name} could not be opened.",
        why=f"DuckDB says: {facts['message']}",
        do="Check that the file is a whole DuckDB database and that you may read it.",
        path=str(path),
    )


def reading_error(error: Exception, path: Path) -> UserError:
    """Return what went wrong while a statement ran; raise it `from error`."""
    text, facts = str(error), {"name": path.name, "message": in_short(error)}
    if any(words in text for words in _NO_ROOM):
        return StorageError(
            "There is not enough memory or disk for this query.",
            why=f"DuckDB sorts and joins large tables in memory, then on disk. It says: {facts['message']}",
            do="Free some space in the system's folder for temporary files, take fewer joins, or read fewer rows.",
            path=str(path),
        )
    for words, what, why, do in _READING:
        if any(word in text for word in words):
            return SourceError(what.format(**facts), why=why.format(**facts), do=do.format(**facts), path=str(path))
    if any(words in text for words, *_ in _OPENING):
        return opening_error(error, path)
    return QueryError(
        f"{path.name} refused the query.",
        why=f"DuckDB says: {facts['message']}",
        do="If the tables have changed since you opened the database, open it again.",
        path=str(path),
    )


def in_short(error: Exception) -> str:
    """Return the first line of what DuckDB says, without its class, as a sentence."""
    line = re.sub(r"^(\w+ )*Error: ", "", str(error).strip()).splitlines()[0].strip() if str(error).strip() else ""
    return line if line.endswith((".", "!", "?")) else f"{line}."
