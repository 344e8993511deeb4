"""Large answers in several lines, so that whoever reads them never has long to do at once.

A list of the result that would make a long line goes ahead in parts, each a line of its own:

    {"id": 7, "event": "part", "field": "tables", "items": [...]}
    {"id": 7, "event": "part", "field": "tables", "items": [...]}
    {"id": 7, "event": "result", "result": {"connection": ..., "tables": []}}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from crosslens.errors import DataError
from crosslens.plain import from_plain

PART_LETTERS = 30_000
"""About how long the line of a part is; some milliseconds of work for the reader."""

T = TypeVar("T")


def result_lines(request_id: int, result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of an answer: parts of long lists, then the result without them."""
    rest = dict(result)
    for name, value in result.items():
        groups = tuple(_groups(value)) if isinstance(value, (list, tuple)) else ()
        if len(groups) < 2:
            continue
        rest[name] = []
        for group in groups:
            items = ", ".join(group)
            yield f'{{"id": {request_id}, "event": "part", "field": {json.dumps(name)}, "items": [{items}]}}'
    yield json.dumps({"id": request_id, "event": "result", "result": rest}, ensure_ascii=False)


def _groups(items: Sequence[Any]) -> Iterator[list[str]]:
    group: list[str] = []
    letters = 0
    for item in items:
        text = json.dumps(item, ensure_ascii=False)
        group.append(text)
        letters += len(text)
        if letters >= PART_LETTERS:
            yield group
            group, letters = [], 0
    if group:
        yield group


def warm(kinds: Iterable[type[Any]]) -> None:
    """Get ready to read answers of these kinds: the code that reads them is written when it is first needed."""
    for kind in kinds:
        with suppress(DataError):  # nothing is no answer; what is wanted is what was made ready to find that out
            Gathered(kind).whole({})


class Gathered(Generic[T]):
    """The parts of one answer, turned into values of the fields of `kind` as they come."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._hints = get_type_hints(kind)
        self._parts: dict[str, list[Any]] = {}
        self._problem: DataError | None = None

    def add(self, part: Mapping[str, Any]) -> None:
        """Take the event of a part; what is wrong with it is told when the answer is whole."""
        field = str(part.get("field"))
        try:
            self._parts.setdefault(field, []).extend(from_plain(self._list_of(field), part.get("items")))
        except DataError as error:
            self._problem = self._problem or error

    def whole(self, result: Any) -> T:
        """Return the answer, from the result that follows its parts. DataError if these are none of `kind`."""
        if self._problem is not None:
            raise self._problem
        value: Any = from_plain(self._kind, result)
        parts = {name: tuple(items) for name, items in self._parts.items()}
        answer: T = replace(value, **parts) if parts else value
        return answer

    def _list_of(self, field: str) -> Any:
        kind = self._hints.get(field)
        if get_origin(kind) is not tuple or get_args(kind)[-1] is not Ellipsis:
            raise DataError(f"Not a part of {self._kind.__name__}: it has no list called {field!r}.")
        return kind
