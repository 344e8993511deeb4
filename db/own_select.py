"""The user's own SELECT: one statement that reads, and nothing that could leave the brackets we put it in.

A lexer, not a parser: it knows what is quoted and what is a comment, and looks at words, semicolons and brackets
outside of both. It keeps mistakes and mischief from the database; what really forbids writing is the database's
read-only mode.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from crosslens.errors import QueryError

_STARTS = {"select", "with", "values", "table"}
_FORBIDDEN = {"into": "SELECT … INTO writes a table or a file"}
_LOCKS = {
    ("for", "update"), ("for", "share"), ("for", "no", "key"), ("for", "key", "share"), ("lock", "in", "share"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lexicon:
    """How a dialect quotes: whether a backslash escapes in '…', backticks, $tag$ quotes, `#` comments, nested /* */."""

    backslash: bool = False
    backticks: bool = False
    dollars: bool = False
    hashes: bool = False
    nested: bool = False


STANDARD = Lexicon()
POSTGRESQL = Lexicon(dollars=True, nested=True)
MYSQL = Lexicon(backslash=True, backticks=True, hashes=True)


def single_select(text: str, lexicon: Lexicon = STANDARD) -> str:
    """Return the text without a trailing semicolon; QueryError if it is not exactly one statement that reads."""
    tokens = list(_tokens(text, lexicon))
    while tokens and tokens[-1].kind == ";":
        tokens.pop()
    if not tokens:
        raise QueryError("There is no statement.", do="Write one SELECT.")
    if any(token.kind == ";" for token in tokens):
        raise _refused("There are several statements.", do="Write one SELECT, without a semicolon in the middle.")
    _check_words([token.text.lower() if token.kind == "word" else token.kind for token in tokens])
    _check_brackets([token.kind for token in tokens])
    return text[: tokens[-1].end]


def own_select(text: str) -> sa.TextClause:
    """Return a checked text as SQLAlchemy's: colons in it are colons, not parameters."""
    return sa.text(text.replace(":", r"\:"))


@dataclass(frozen=True, slots=True)
class _Token:
    """A word, a quoted text ("quoted"), or a single mark, by its own character."""

    kind: str
    text: str
    end: int


def _tokens(text: str, lexicon: Lexicon) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        end, kind = _next(text, place, lexicon)
        if kind is not None:
            yield _Token(kind, text[place:end], end)
        place = end


_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"[^\W\d][\w$]*")
_NUMBER = re.compile(r"\d[\w.]*")
_LINE = re.compile(r"[^\n]*")
_DOLLAR = re.compile(r"\$([^\W\d]\w*)?\$")
_OPEN_OR_CLOSE = re.compile(r"/\*|\*/")


def _next(text: str, place: int, lexicon: Lexicon) -> tuple[int, str | None]:
    """Return where the thing at `place` ends and what it is; None for space and comments."""
    rest = text[place : place + 3]
    if space := _SPACE.match(text, place):
        return space.end(), None
    if rest.startswith("--") and not (lexicon.hashes and len(rest) > 2 and not rest[2].isspace()):
        return _match(_LINE, text, place), None
    if rest.startswith("#") and lexicon.hashes:
        return _match(_LINE, text, place), None
    if rest.startswith("/*"):
        return _comment_end(text, place, lexicon), None
    if rest[0] in "eE" and text[place + 1 : place + 2] == "'" and lexicon.dollars:
        return _quoted_end(text, place + 1, "'", backslash=True), "quoted"
    if lexicon.dollars and (dollar := _DOLLAR.match(text, place)):
        return _closing(text, dollar.end(), dollar[0]), "quoted"
    if word := _WORD.match(text, place):
        return word.end(), "word"
    if number := _NUMBER.match(text, place):
        return number.end(), "number"
    if rest[0] in "'\"" or (rest[0] == "`" and lexicon.backticks):
        return _quoted_end(text, place, rest[0], backslash=lexicon.backslash and rest[0] != "`"), "quoted"
    return place + 1, rest[0]


def _match(pattern: re.Pattern[str], text: str, place: int) -> int:
    found = pattern.match(text, place)
    return found.end() if found else place + 1


def _quoted_end(text: str, place: int, quote: str, *, backslash: bool) -> int:
    end = place + 1
    while end < len(text):
        if backslash and text[end] == "\\":
            end += 2
        elif text[end] != quote:
            end += 1
        elif text[end + 1 : end + 2] == quote:
            end += 2
        else:
            return end + 1
    raise _refused(f"A {quote} is never closed.")


def _closing(text: str, place: int, mark: str) -> int:
    end = text.find(mark, place)
    if end < 0:
        raise _refused(f"A {mark} is never closed.")
    return end + len(mark)


def _comment_end(text: str, place: int, lexicon: Lexicon) -> int:
    if lexicon.hashes and text[place + 2 : place + 4].startswith(("!", "M!")):
        raise _refused("It holds a comment that the server would execute (/*! … */).", do="Remove the comment.")
    depth = 0
    for mark in _OPEN_OR_CLOSE.finditer(text, place):
        if mark[0] == "*/":
            depth -= 1
        elif depth == 0 or lexicon.nested:
            depth += 1
        if depth == 0:
            return mark.end()
    raise _refused("A comment /* is never closed.")


def _check_words(words: list[str]) -> None:
    first = next((word for word in words if word != "("), "")
    if first not in _STARTS:
        raise _refused("This is not a SELECT.")
    for place, word in enumerate(words):
        if word in _FORBIDDEN:
            raise _refused(f"It would write: {_FORBIDDEN[word]}.")
        if {tuple(words[place : place + 2]), tuple(words[place : place + 3])} & _LOCKS:
            raise _refused("It would lock rows.", do="Leave out FOR UPDATE, FOR SHARE or LOCK IN SHARE MODE.")


def _check_brackets(kinds: list[str]) -> None:
    depth = 0
    for kind in kinds:
        depth += (kind == "(") - (kind == ")")
        if depth < 0:
            break
    if depth:
        raise _refused("Its brackets do not match.")


def _refused(what: str, *, do: str = "Write exactly one SELECT that only reads.") -> QueryError:
    return QueryError(what, why="Crosslens reads one statement and never changes a database.", do=do)
