"""Keys that nobody declared: columns whose names and types say that they refer to another table.

user_id, userId, USER_ID   ->  users.id, users.user_id, user.id         the table's name and its key
buyer_user_id              ->  users.id                                 words before it say in which role
customer_no                ->  crm.customer_no, if it is unique there   the same name as a key
order_id, line_no          ->  order_lines(order_id, line_no)           the same names as a compound key
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from crosslens.relational import ColumnInfo, ColumnType, ForeignKey, TableInfo, TableRef

_ENDINGS = ("id", "key", "code", "no", "nr", "number", "uuid", "fk", "ref")
_PREFIXES = {"tbl", "tab", "t", "dim", "fact", "fct", "stg", "vw", "v"}
_FAMILIES = (
    frozenset({ColumnType.INTEGER, ColumnType.DECIMAL, ColumnType.FLOAT, ColumnType.OTHER}),
    frozenset({ColumnType.TEXT, ColumnType.OTHER}),
)
_CHUNK = re.compile(r"[^\W_]+")
_MOST_TARGETS = 3

Tables = Mapping[TableRef, TableInfo]
Keys = Mapping[TableRef, tuple[ForeignKey, ...]]


def guess_keys(tables: Iterable[TableInfo]) -> Keys:
    """Return the keys that names suggest, by the table that holds them; declared keys are not repeated."""
    known = [table for table in tables if table.columns]
    index = _Index(known)
    return {table.ref: tuple(index.keys_of(table)) for table in known}


@lru_cache(maxsize=1 << 16)
def words(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case: userId, USER_ID and “User Id” are all user, id."""
    return tuple(word.casefold() for chunk in _CHUNK.findall(name) for word in _parted(chunk))


def _parted(chunk: str) -> Iterator[str]:
    """Part userId before the I, and HTTPServer before the S."""
    start = 0
    for place in range(1, len(chunk)):
        before, here, behind = chunk[place - 1], chunk[place], chunk[place + 1 : place + 2]
        if here.isupper() and (before.islower() or (before.isupper() and behind.islower())):
            yield chunk[start:place]
            start = place
    yield chunk[start:]


def stem_of(name: str) -> str:
    """Return what a key's name refers to: user of userid."""
    return next((name.removesuffix(ending) for ending in _ENDINGS if name.endswith(ending)), name)


class _Index:
    """The tables by their names and keys, so that each column is looked up and not compared with every table."""

    def __init__(self, tables: list[TableInfo]) -> None:
        self._by_name: dict[str, list[TableInfo]] = defaultdict(list)
        self._by_key: dict[str, list[tuple[TableInfo, str]]] = defaultdict(list)
        self._compound: dict[str, list[TableInfo]] = defaultdict(list)
        self._keys: dict[TableRef, list[str]] = {}
        self._names: dict[TableRef, set[str]] = {}
        for table in tables:
            names = self._names[table.ref] = _names(table.ref.name)
            for name in names:
                self._by_name[name].append(table)
            self._keys[table.ref] = list(_key_columns(table, names))
            for key in self._keys[table.ref]:
                self._by_key["".join(words(key))].append((table, key))
            if len(table.primary_key) > 1:
                self._compound["".join(words(table.primary_key[0]))].append(table)

    def keys_of(self, table: TableInfo) -> Iterator[ForeignKey]:
        declared = {key.columns for key in table.foreign_keys}
        likely = _likely_keys(self._names[table.ref])
        for column in table.columns:
            if (column.name,) not in declared:
                yield from self._single(table, column, likely)
        yield from (key for key in self._several(table) if key.columns not in declared)

    def _single(self, table: TableInfo, column: ColumnInfo, likely: set[str]) -> Iterator[ForeignKey]:
        parts = words(column.name)
        own = _is_declared(table, column.name) or "".join(parts) in likely
        found: dict[tuple[TableRef, str], None] = {}
        for start in range(len(parts)):
            name = "".join(parts[start:])
            for target, key in self._targets(name):
                # A table's own key refers to another table only where that declares its key: one row there, one here.
                itself = (target.ref == table.ref and key == column.name) or (own and not _is_declared(target, key))
                if not itself and _alike(column, target.column(key)):
                    found[target.ref, key] = None
            if found:
                break  # fewer words would say less
        ranked = sorted(found, key=lambda place: place[0].schema != table.ref.schema)
        for ref, key in ranked[:_MOST_TARGETS]:
            yield ForeignKey((column.name,), ref, (key,))

    def _targets(self, name: str) -> Iterator[tuple[TableInfo, str]]:
        """Yield tables and their key columns that a column of that name would refer to."""
        for ending in ("", *_ENDINGS):
            stem = name.removesuffix(ending) if ending else name
            if not stem or (ending and stem == name):
                continue
            for table in self._by_name.get(stem, ()):
                wanted = {ending or "id", "id", name, *(f"{stem}{other}" for other in ("id", ending) if other)}
                for key in self._keys[table.ref]:
                    if "".join(words(key)) in wanted:
                        yield table, key
        same = () if name in _ENDINGS else self._by_key.get(name, ())
        named = {id(table) for table in self._by_name.get(stem_of(name), ())}
        for table, key in same:
            # What is only likely to be a key says less than the name of another table.
            if _is_declared(table, key) or not named:
                yield table, key

    def _several(self, table: TableInfo) -> Iterator[ForeignKey]:
        names = {"".join(words(column.name)): column for column in table.columns}
        for first in names:
            for target in self._compound.get(first, ()):
                if target.ref == table.ref:
                    continue
                ours = [names.get("".join(words(key))) for key in target.primary_key]
                pairs = list(zip(ours, target.primary_key, strict=True))
                if all(column is not None and _alike(column, target.column(key)) for column, key in pairs):
                    columns = tuple(column.name for column in ours if column is not None)
                    yield ForeignKey(columns, target.ref, target.primary_key)


def _names(table: str) -> set[str]:
    """Return what a table may be called in the name of a column: with and without its plural and its prefix."""
    parts = words(table)
    if len(parts) > 1 and parts[0] in _PREFIXES:
        parts = parts[1:]
    whole = "".join(parts)
    return {whole, _singular(whole)} if whole else set()


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "zes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _key_columns(table: TableInfo, names: set[str]) -> Iterator[str]:
    """Yield the columns that alone identify a row; where nothing is declared, those named like it."""
    declared = [key[0] for key in (table.primary_key, *table.unique_keys) if len(key) == 1]
    if declared or table.primary_key:
        yield from dict.fromkeys(declared)
        return
    likely = _likely_keys(names)
    for place, column in enumerate(table.columns):
        name = "".join(words(column.name))
        if name in likely or (place == 0 and name.endswith(_ENDINGS)):
            yield column.name


def _likely_keys(names: set[str]) -> set[str]:
    return {"id", *(f"{name}{ending}" for name in names for ending in _ENDINGS)}


def _is_declared(table: TableInfo, column: str) -> bool:
    return (column,) == table.primary_key or (column,) in table.unique_keys


def _alike(one: ColumnInfo, other: ColumnInfo) -> bool:
    return any(one.type in family and other.type in family for family in _FAMILIES)
