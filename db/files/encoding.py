"""How the text of a file is encoded, and a copy of it in UTF-8 where DuckDB could not read it as it is."""

from __future__ import annotations

import codecs
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from crosslens.errors import SourceError

from ..errors import storage_error

WHOLE_BYTES = 64_000_000
"""Files up to this size are looked at wholly, larger ones at their beginning."""
_BLOCK = 1 << 20
_SHOWN_LINES = 5
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was when it was looked at; another state is another file."""

    path: Path
    size: int
    modified: int
    inode: int

    @staticmethod
    def of(path: Path) -> FileState:
        """Return the state of a file; OSError if it is gone."""
        state = path.stat()
        return FileState(path, state.st_size, state.st_mtime_ns, state.st_ino)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO | gzip.GzipFile]:
    """Open a file for reading bytes, unpacked if it is packed with gzip."""
    try:
        with path.open("rb") as file:
            yield gzip.GzipFile(fileobj=file) if path.suffix.lower() == ".gz" else file
    except (EOFError, gzip.BadGzipFile) as error:
        raise SourceError(
            f"{path.name} cannot be unpacked.",
            why=f"It is not a whole gzip file ({error}).",
            do="Copy it again, or unpack it yourself.",
            path=str(path),
        ) from error


def beginning(path: Path, encoding: str, size: int = _BLOCK) -> str:
    """Return the first lines of a file as text: whole lines, unless its first line is longer than `size` bytes."""
    with opened(path) as file:
        data = file.read(size)
        rest = file.read(1)
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(data).removeprefix("\ufeff")
    whole = max(text.rfind("\n"), text.rfind("\r")) + 1
    return text if not rest or not whole else text[:whole]


@lru_cache(maxsize=1024)
def detect_encoding(state: FileState) -> tuple[str, bool]:
    """Return the encoding and whether line ends are mixed; SourceError when no one encoding fits all lines.

    A byte order mark decides; NUL bytes at every second place are UTF-16; what is not UTF-8 is Windows-1252, or Latin-1
    where that has no character.
    """
    with opened(state.path) as file:
        start = file.read(_BLOCK)
    for mark, name in _BOMS:
        if start.startswith(mark):
            return (name, False) if name != "utf-8" else ("utf-8", _mixed_ends(start))
    if wide := _wide(start):
        return wide, False
    if b"\0" * 8 in start:
        raise SourceError(
            f"{state.path.name} is not a text file.",
            why="It holds long runs of zero bytes.",
            do="Choose another file.",
            path=str(state.path),
        )
    return _narrow(state.path), _mixed_ends(start)


def in_utf8(state: FileState, encoding: str, *, mixed_ends: bool, folder: Path) -> Path:
    """Return the file, or a copy of it in UTF-8 with one kind of line end in `folder`, made piece by piece."""
    if encoding in ("utf-8", "ascii", "utf-8-sig") and not mixed_ends:
        return state.path
    copy = folder / f"{abs(hash((state, encoding))):x}-{state.path.name.removesuffix('.gz')}"
    if copy.exists():
        return copy
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with opened(state.path) as file, copy.open("w", encoding="utf-8", newline="\n") as target:
            text = io.TextIOWrapper(file, encoding=encoding, newline=None)
            while piece := text.read(_BLOCK):
                target.write(piece)
            text.detach()
    except UnicodeDecodeError as error:
        copy.unlink(missing_ok=True)
        raise _does_not_decode(state.path, encoding, error) from error
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise storage_error(error, copy, needed=state.size) from error
    return copy


def _wide(start: bytes) -> str | None:
    even, odd = start[0::2].count(0), start[1::2].count(0)
    half = max(1, len(start) // 2)
    if odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 * half and odd < 0.05 * half else None


def _mixed_ends(start: bytes) -> bool:
    both, feeds, returns = start.count(b"\r\n"), start.count(b"\n"), start.count(b"\r")
    return len([count for count in (both, feeds - both, returns - both) if count]) > 1


def _narrow(path: Path) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with opened(path) as file:
        read = 0
        try:
            while (block := file.read(_BLOCK)) and read < WHOLE_BYTES:
                decoder.decode(block)
                read += len(block)
        except UnicodeDecodeError:
            return _single_byte(path)
    return "utf-8"


def _single_byte(path: Path) -> str:
    """Decide between Windows-1252 and Latin-1; lines in UTF-8 among others are a mixture nobody can read rightly."""
    wrong, also_utf8, latin = [], 0, False
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if line.isascii():
                continue
            if _decodes(line, "utf-8"):
                also_utf8 += 1
                continue
            wrong.append(number)
            latin = latin or not _decodes(line, "cp1252")
            if file.tell() > WHOLE_BYTES:
                break
    if also_utf8:
        raise SourceError(
            f"{path.name} is written in more than one encoding.",
            why=f"{_lines(wrong)} not UTF-8, but {also_utf8:,} other lines are.",
            do="Save the file in one encoding, or set the option encoding (for instance to cp1252) to read all lines "
            "alike.",
            path=str(path),
            lines=tuple(wrong),
        )
    return "latin-1" if latin else "cp1252"


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _lines(numbers: list[int]) -> str:
    shown = ", ".join(f"{number:,}" for number in numbers[:_SHOWN_LINES])
    more = len(numbers) - _SHOWN_LINES
    if len(numbers) == 1:
        return f"Line {shown} is"
    return f"Lines {shown} and {more:,} more are" if more > 0 else f"Lines {shown} are"


def _does_not_decode(path: Path, encoding: str, error: UnicodeDecodeError) -> SourceError:
    wrong = []
    with opened(path) as file:
        if encoding.startswith(("utf-16", "utf-32")):
            why = f"A character is cut or wrong ({error.reason})."
        else:
            wrong = [number for number, line in enumerate(file, start=1) if not _decodes(line, encoding)]
            why = f"{_lines(wrong)} not {encoding}." if wrong else f"{error.reason}."
    return SourceError(
        f"{path.name} is not written in {encoding}.",
        why=why,
        do="Set the option encoding to the right one, or save the file as UTF-8.",
        path=str(path),
        lines=tuple(wrong),
    )
