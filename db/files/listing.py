"""Which tables a file or a folder holds: one per file, named by its stem; folders of part files are one table."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from crosslens.errors import SourceError
from crosslens.relational import TableRef

from ..errors import check_readable, missing_source

MAX_FILES = 5_000
_PART = "part-"


class Format(StrEnum):
    """How a file is written."""

    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"


_SUFFIXES = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".tab": Format.CSV,
    ".txt": Format.CSV,
    ".dat": Format.CSV,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".arrow": Format.ARROW,
    ".feather": Format.ARROW,
    ".ipc": Format.ARROW,
}
_LOOSE = {".txt", ".dat"}
_MAGIC = ((b"PAR1", Format.PARQUET), (b"ARROW1", Format.ARROW))


@dataclass(frozen=True, slots=True)
class FileTable:
    """A table of one file, or of several of one shape. `loose`: a text file that may hold no table at all."""

    ref: TableRef
    paths: tuple[Path, ...]
    format: Format
    loose: bool = False


def list_tables(path: Path) -> tuple[FileTable, ...]:
    """Return the tables of a file or folder, by schema and name; SourceError if there are none."""
    if not path.exists():
        raise missing_source(path)
    if path.is_file():
        check_readable(path)
        return (FileTable(TableRef(_stem(path)), (path,), _format(path) or _by_content(path)),)
    if _is_special(path):
        raise SourceError(
            f"{path.name} is neither a file nor a folder.",
            why="It is a pipe, a socket or a device.",
            do="Save what it gives as a file, and choose that.",
            path=str(path),
        )
    found = tuple(_unique(_tables_below(path)))
    if not found:
        raise SourceError(
            f"{path.name} has no files that can be read as tables.",
            why="Looked for CSV, TSV, Parquet, Arrow and Feather files, in folders below as well.",
            do="Choose another folder, or choose a file itself.",
            path=str(path),
        )
    return found


def _tables_below(root: Path) -> Iterator[FileTable]:
    seen = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        here = Path(folder)
        wanted = (name for name in sorted(names) if not name.startswith((".", "_")) and _format(Path(name)))
        paths = [path for name in wanted if not _is_special(path := here / name)]
        seen += len(paths)
        if seen > MAX_FILES:
            raise SourceError(
                f"{root.name} has more than {MAX_FILES:,} files.",
                why="Each file would be a table of its own.",
                do=f"Choose a folder below it, or name the parts of one table {_PART}… in a folder of their own.",
                path=str(root),
            )
        yield from _tables_of(paths, here, root)


def _is_special(path: Path) -> bool:
    """Whether something is there that is no file or folder: opening a pipe would wait for ever."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _tables_of(paths: list[Path], folder: Path, root: Path) -> Iterator[FileTable]:
    formats = {_format(path) for path in paths}
    if len(paths) > 1 and len(formats) == 1 and all(path.name.startswith(_PART) for path in paths):
        schema = None if folder == root else _schema(folder.parent, root)
        yield FileTable(TableRef(folder.name, schema), tuple(paths), formats.pop() or Format.CSV)
        return
    for path in paths:
        loose = _bare_suffix(path) in _LOOSE
        yield FileTable(TableRef(_stem(path), _schema(folder, root)), (path,), _format(path) or Format.CSV, loose)


def _schema(folder: Path, root: Path) -> str | None:
    return None if folder == root else folder.relative_to(root).as_posix()


def _unique(tables: Iterable[FileTable]) -> Iterator[FileTable]:
    """Give files of one stem their whole names; whatever still collides gets a number. Case does not tell apart."""
    by_name: dict[tuple[str | None, str], list[FileTable]] = defaultdict(list)
    for table in tables:
        by_name[_folded(table.ref)].append(table)
    taken: set[tuple[str | None, str]] = {key for key, group in by_name.items() if len(group) == 1}
    for group in by_name.values():
        for table in group:
            yield table if len(group) == 1 else replace(table, ref=_free(table, taken))


def _free(table: FileTable, taken: set[tuple[str | None, str]]) -> TableRef:
    name, number = table.paths[0].name, 1
    ref = TableRef(name, table.ref.schema)
    while _folded(ref) in taken:
        number += 1
        ref = TableRef(f"{name} {number}", table.ref.schema)
    taken.add(_folded(ref))
    return ref


def _folded(ref: TableRef) -> tuple[str | None, str]:
    return (None if ref.schema is None else ref.schema.casefold()), ref.name.casefold()


def _bare_suffix(path: Path) -> str:
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return name.suffix.lower()


def _format(path: Path) -> Format | None:
    found = _SUFFIXES.get(_bare_suffix(path))
    return None if path.suffix.lower() == ".gz" and found is not Format.CSV else found


def _stem(path: Path) -> str:
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return name.stem if _SUFFIXES.get(name.suffix.lower()) else name.name


def _by_content(path: Path) -> Format:
    with path.open("rb") as file:
        start = file.read(8)
    return next((format_ for magic, format_ in _MAGIC if start.startswith(magic)), Format.CSV)
