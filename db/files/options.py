"""What a person may say about text files, as options of the connection."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass

from crosslens.errors import SourceError

from ..errors import unknown_name

NULL_WORDS = ("", "NA", "NULL", "\\N", "NaN", "nan")
_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_TABS = {"\\t": "\t", "tab": "\t"}


@dataclass(frozen=True, slots=True)
class TextOptions:
    """Overrides of what is detected; None means detect. `skip_bad_lines` leaves out lines that do not fit."""

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    header: bool | None = None
    quote: str | None = None
    nulls: tuple[str, ...] = NULL_WORDS
    skip_rows: int | None = None
    skip_bad_lines: bool = False


def text_options(options: Mapping[str, str]) -> TextOptions:
    """Read the options of a connection; SourceError names the one that is unknown or wrong.

    delimiter ("tab" for tabs), encoding, decimal ("," or "."), header (yes/no), quote ("none" for none), null (words
    separated by "|"), skip (rows above the header), bad_lines ("skip" or "refuse").
    """
    for name in options:
        if name not in _READERS:
            raise SourceError(**_said(unknown_name("option", name, _READERS, where="text files")))
    read = {field: reader(name, options[name]) for name, (field, reader) in _READERS.items() if name in options}
    return TextOptions(**read)  # type: ignore[arg-type]


def _said(error: Exception) -> dict[str, str]:
    return {"what": getattr(error, "what", ""), "why": "It is misspelt.", "do": getattr(error, "do", "")}


def _wrong(name: str, value: str, expected: str) -> SourceError:
    return SourceError(f"The option {name} cannot be “{value}”.", why=f"It is {expected}.", do="Change it.", name=name)


def _delimiter(name: str, value: str) -> str:
    found = _TABS.get(value.lower(), value)
    if not 1 <= len(found.encode()) <= 4 or "\n" in found or "\r" in found:
        raise _wrong(name, value, "one to four characters, or “tab”")
    return found


def _encoding(name: str, value: str) -> str:
    try:
        return codecs.lookup(value).name
    except LookupError:
        raise _wrong(name, value, "the name of an encoding, such as utf-8, cp1252 or utf-16") from None


def _decimal(name: str, value: str) -> str:
    if value not in (",", "."):
        raise _wrong(name, value, "a comma or a point")
    return value


def _yes_no(name: str, value: str) -> bool:
    if value.lower() not in _YES_NO:
        raise _wrong(name, value, "yes or no")
    return _YES_NO[value.lower()]


def _quote(name: str, value: str) -> str:
    if value == "none":
        return ""
    if len(value.encode()) != 1:
        raise _wrong(name, value, "one character, or “none”")
    return value


def _words(name: str, value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("", *value.split("|"))))


def _count(name: str, value: str) -> int:
    if not value.isdecimal():
        raise _wrong(name, value, "a number of rows")
    return int(value)


def _bad_lines(name: str, value: str) -> bool:
    if value not in ("skip", "refuse"):
        raise _wrong(name, value, "“skip” or “refuse”")
    return value == "skip"


_READERS = {
    "delimiter": ("delimiter", _delimiter),
    "encoding": ("encoding", _encoding),
    "decimal": ("decimal", _decimal),
    "header": ("header", _yes_no),
    "quote": ("quote", _quote),
    "null": ("nulls", _words),
    "skip": ("skip_rows", _count),
    "bad_lines": ("skip_bad_lines", _bad_lines),
}
