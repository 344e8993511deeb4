"""What is known of items in words: which fields say something of the item itself, its title, and its text.

A field belongs to the item if it comes from a table joined by the item's key, or if it is measured to have one value
per item: in at least 99 of 100 items with several rows, all rows agree. Texts are read from one row per item, so memory
grows with the number of items and not with the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crosslens.data import RESERVED_IDS, Int32Array, Int64Array
from crosslens.relational import ColumnInfo, ColumnRef, ColumnType, JoinKind, QuerySpec
from crosslens.schema import Field, FieldKind, FieldRole, FieldSchema
from crosslens.sequences import Catalogue

from .. import words
from ..columns import Column, as_text, is_text, plain
from ..files import replace_file
from ..hashing import UInt64Array, hash64
from ..lists import lists
from ..sequences import Sequences
from ..snapshots import Rows

TITLES = ("title", "name", "label", "headline")
"""Names of columns that say what people call a thing, best first."""
AGREEMENT = 0.99
_SPOKEN = (FieldKind.CATEGORICAL, FieldKind.TEXT, FieldKind.MULTI_VALUED)
_MEASURED_BYTES = 64 << 20


class Texts(Sequence[str]):
    """Texts of ids kept as Arrow; the reserved ids have none. A million titles take their bytes and no more."""

    def __init__(self, values: pa.Array) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values) + RESERVED_IDS

    def __getitem__(self, place: int) -> str:  # type: ignore[override]
        if not 0 <= place < len(self):
            raise IndexError(place)
        return "" if place < RESERVED_IDS else str(self._values[place - RESERVED_IDS].as_py() or "")

    def __iter__(self) -> Iterator[str]:
        yield from ("",) * RESERVED_IDS
        for start in range(0, len(self._values), 1 << 16):
            yield from (text or "" for text in self._values.slice(start, 1 << 16).to_pylist())


@dataclass(frozen=True, slots=True, eq=False)
class ItemTable:
    """Titles and texts (V,) of the items of a vocabulary, and which fields they come from."""

    titles: pa.Array
    texts: pa.Array
    title: str
    fields: tuple[str, ...]

    def catalogue(self) -> Catalogue:
        """Return the items as models see them."""
        return Catalogue(len(self.titles) + RESERVED_IDS, Texts(self.titles), Texts(self.texts))

    def save(self, path: Path) -> None:
        """Write the table to an Arrow file, whole or not at all."""
        about = {"title": self.title, "fields": "\n".join(self.fields)}
        table = pa.table({"title": self.titles, "text": self.texts}).replace_schema_metadata(about)

        def write(temporary: Path) -> None:
            with pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)

        replace_file(path, write)

    @classmethod
    def open(cls, path: Path) -> ItemTable:
        """Read what `save` wrote; OSError or ArrowInvalid if it is gone or damaged."""
        with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
            table = reader.read_all()
        about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        titles, texts = (_whole(table[name]) for name in ("title", "text"))
        return cls(titles, texts, about["title"], tuple(about["fields"].split("\n")) if about["fields"] else ())


def title_column(
    query: QuerySpec, item: ColumnRef, offered: Sequence[tuple[ColumnRef, ColumnInfo]]
) -> ColumnRef | None:
    """Return the column of a table joined by the item's key that people would call it by, or None."""
    direct = {join.name for join in query.joins if join.kind is JoinKind.LOOKUP and _is_keyed_by(item, join.on)}
    readable = [ref for ref, info in offered if ref.source in direct and info.type is ColumnType.TEXT]
    for wanted in TITLES:
        exact = [ref for ref in readable if ref.column.casefold() == wanted]
        for ref in exact or [ref for ref in readable if wanted in words.words(ref.column)]:
            return ref
    return None


def _is_keyed_by(item: ColumnRef, on: tuple[tuple[ColumnRef, str], ...]) -> bool:
    return len(on) == 1 and on[0][0] == item


def joined_sources(query: QuerySpec, item: ColumnRef) -> frozenset[str]:
    """Return the sources looked up by the item's key, or by what these hold: one row per item by construction."""
    found: set[str] = set()
    for join in query.joins:  # a join comes after those it starts from
        if join.kind is JoinKind.LOOKUP and all(left == item or left.source in found for left, _ in join.on):
            found.add(join.name)
    return frozenset(found)


def read_items(
    rows: Rows,
    sequences: Sequences,
    query: QuerySpec,
    fields: FieldSchema,
    *,
    title: ColumnRef | None = None,
    check: Callable[[], None] = lambda: None,
) -> ItemTable:
    """Return what the fields say of each item of `sequences`. `title` names the items; guessed from fields if None."""
    item = fields.with_role(FieldRole.ITEM)[0].column
    own = _own_fields(rows, sequences, query, fields, item, check)
    named = title or _named(own, rows)
    spoken = [field for field in own if field.column != named]
    wanted: dict[ColumnRef, Field | None] = {named: None} if named else {}
    wanted |= {field.column: field for field in spoken}
    values = _of_items(rows, sequences, wanted, check)
    titles = values[named] if named else _value_texts(sequences)
    filled = pc.if_else(pc.equal(titles, _text("")), _value_texts(sequences), titles)
    parts = [titles] if named else []
    parts += [_phrase(field, values[field.column]) for field in spoken]
    names = ([str(named)] if named else []) + [field.name for field in spoken]
    return ItemTable(filled, _joined(parts, len(titles)), str(named) if named else "", tuple(names))


def _own_fields(
    rows: Rows,
    sequences: Sequences,
    query: QuerySpec,
    fields: FieldSchema,
    item: ColumnRef,
    check: Callable[[], None],
) -> list[Field]:
    """Return the fields that belong to the item and say something in words."""
    spoken = [field for field in fields if field.role is FieldRole.FEATURE and field.kind in _SPOKEN]
    joined = joined_sources(query, item)
    asked = [field.column for field in spoken if field.column.source not in joined]
    agreeing = constant_columns(rows, sequences, item, asked, check)
    return [field for field in spoken if field.column.source in joined or field.column in agreeing]


def constant_columns(
    rows: Rows,
    sequences: Sequences,
    item: ColumnRef,
    columns: Sequence[ColumnRef],
    check: Callable[[], None] = lambda: None,
) -> frozenset[ColumnRef]:
    """Return the columns whose value goes with the item, measured on all rows; missing values are not counted."""
    items = len(sequences.vocabulary.values)
    at_once = max(1, _MEASURED_BYTES // max(1, 10 * items))
    found: set[ColumnRef] = set()
    for start in range(0, len(columns), at_once):
        measured = {ref: _Agreement(items) for ref in columns[start : start + at_once]}
        read = sequences.vocabulary.reader()
        for block in rows.blocks((item, *measured)):
            check()
            ids = read(block.column(item))
            for ref, agreement in measured.items():
                agreement.add(ids, block.column(ref))
        found |= {ref for ref, agreement in measured.items() if agreement.holds()}
    return frozenset(found)


class _Agreement:
    """Whether all rows of an item agree on a value: the first hash of every item, and whether another one came."""

    def __init__(self, items: int) -> None:
        self._first = np.zeros(items, np.uint64)
        self._rows = np.zeros(items, np.uint8)
        self._agrees = np.ones(items, np.bool_)

    def add(self, ids: Int32Array, column: Column) -> None:
        """See some rows."""
        known = (ids >= RESERVED_IDS) & ~np.asarray(column.is_null().to_numpy())
        places, hashes = ids[known] - RESERVED_IDS, hash64(column)[known]
        self._see_first(places, hashes)
        self._agrees[places[hashes != self._first[places]]] = False
        seen, counts = np.unique(places, return_counts=True)
        self._rows[seen] = np.minimum(self._rows[seen] + counts, 2)

    def _see_first(self, places: Int64Array, hashes: UInt64Array) -> None:
        new, at = np.unique(places, return_index=True)
        fresh = self._rows[new] == 0
        self._first[new[fresh]] = hashes[at[fresh]]

    def holds(self) -> bool:
        """Return whether nearly all items with several rows agree; False if there is no such item."""
        several = self._rows > 1
        return bool(several.any()) and float(self._agrees[several].mean()) >= AGREEMENT


def _named(own: Sequence[Field], rows: Rows) -> ColumnRef | None:
    """Return the field that is called like a title, of those that hold text."""
    texts = [field.column for field in own if is_text(rows.type_of(field.column))]
    for wanted in TITLES:
        for ref in texts:
            if wanted in words.words(ref.column):
                return ref
    return None


def _of_items(
    rows: Rows, sequences: Sequences, columns: Mapping[ColumnRef, Field | None], check: Callable[[], None]
) -> dict[ColumnRef, pa.Array]:
    """Return the values (V,) of some columns as text, each item's from its first row; "" where missing."""
    if not columns:
        return {}
    first = first_rows(sequences)
    order = np.argsort(first, kind="stable")
    back = pa.array(np.argsort(order, kind="stable"))
    ordered = first[order]
    parts: dict[ColumnRef, list[pa.Array]] = {ref: [] for ref in columns}
    for block in rows.blocks(tuple(columns)):
        check()
        start, end = np.searchsorted(ordered, (block.start, block.start + block.rows))
        if end > start:
            chosen = pa.array(ordered[start:end] - block.start)
            for ref, found in parts.items():
                found.append(_spoken_text(plain(block.column(ref).take(chosen)), columns[ref]))
    return {ref: pa.concat_arrays(found).take(back) for ref, found in parts.items()}


def _spoken_text(column: Column, field: Field | None) -> pa.Array:
    """Return values as text, "" where missing; several values of a row are parted by commas."""
    if field is not None and field.kind is FieldKind.MULTI_VALUED:
        return _whole(pc.binary_join(lists(column, field.delimiter), ", ").fill_null(""))
    return _whole(as_text(column).fill_null(""))


def first_rows(sequences: Sequences) -> Int64Array:
    """Return the number of the first row of each item, int64 (V,)."""
    first = np.full(len(sequences.vocabulary.values), np.iinfo(np.int64).max)
    step = 1 << 22
    for start in range(0, len(sequences.items), step):
        stretch = slice(start, start + step)
        np.minimum.at(first, sequences.items[stretch] - RESERVED_IDS, sequences.row_keys[stretch])
    return first


def _value_texts(sequences: Sequences) -> pa.Array:
    return _whole(as_text(pa.chunked_array([sequences.vocabulary.values])).fill_null(""))


def _phrase(field: Field, texts: pa.Array) -> pa.Array:
    """Return what a field says: long text as it is, single values with the field's name ("category: shoes")."""
    if field.kind is FieldKind.TEXT:
        return texts
    said = pc.binary_join_element_wise(_text(f"{field.name}: "), texts, _text(""))
    return pc.if_else(pc.equal(texts, _text("")), _text(""), said)


def _joined(parts: Sequence[pa.Array], count: int) -> pa.Array:
    """Return the parts of each item as one text, parted by full stops."""
    nothing = pa.array([""] * count, pa.large_string())
    if not parts:
        return nothing
    said = [pc.if_else(pc.equal(part, _text("")), pa.scalar(None, part.type), part) for part in parts]
    return _whole(pc.binary_join_element_wise(*said, _text(". "), null_handling="skip"))


def _text(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def _whole(column: Column | pa.Array) -> pa.Array:
    if isinstance(column, pa.Array):
        return column.cast(pa.large_string())
    found = column.cast(pa.large_string()).combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)
