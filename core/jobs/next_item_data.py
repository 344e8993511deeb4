"""From a recipe to sequences: extracted, ordered, described in words, parted; each step reused where it can be."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crosslens.data import Float32Array
from crosslens.errors import DataError
from crosslens.plain import to_plain
from crosslens.relational import ColumnRef, QuerySpec, Snapshot
from crosslens.schema import Field, FieldRole, FieldSchema
from crosslens.sequences import Catalogue, SequenceDataset

from ..columns import is_text
from ..commands import Finding, Phase
from ..formats import counted, enumerated
from ..hashing import hash64
from ..labels import LabelCounts, LabelRule
from ..next_item.catalogue import ItemTable, read_items, title_column
from ..next_item.split import SequenceSplit, split_sequences
from ..next_item.values import SequenceFacts
from ..ports import ProjectStore, RowSource
from ..recipe import Recipe
from ..repairs import Repairing, repaired_fields
from ..run_folder import RunFacts
from ..sequences import Sequences, SequenceSpec, build_sequences, open_sequences
from ..services import JobControl, Services
from ..snapshots import Rows, snapshot_rows
from ..source_check import base_key, check_source
from .data import reading_progress

_FORMAT = 1

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSequences:
    """Everything a next-item model and its measuring need of the data."""

    snapshot: Snapshot
    folder: Path
    sequences: Sequences
    items: ItemTable
    data: SequenceDataset
    split: SequenceSplit
    facts: SequenceFacts
    findings: tuple[Finding, ...]
    seconds: Mapping[str, float]
    exclude_seen: bool

    @property
    def catalogue(self) -> Catalogue:
        """Return the items."""
        return self.data.catalogue

    @property
    def test_fingerprint(self) -> str:
        """Return a digest of what is asked in the test: runs with the same one may be compared."""
        test = self.split.test
        asked = (self.snapshot.fingerprint, self.exclude_seen, test.histories.catalogue.size)
        digest = hashlib.blake2b(json.dumps(asked).encode(), digest_size=10)
        assert test.histories.users is not None, "sequences of a project know their users"
        for array in (test.histories.users, test.targets, test.histories.offsets, test.histories.items):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class SequenceColumns:
    """The columns of a recipe that make sequences."""

    user: Field
    item: Field
    time: ColumnRef


def sequence_columns(recipe: Recipe) -> SequenceColumns:
    """Return the columns sequences are made of; DataError names what is missing."""
    fields = repaired_fields(recipe.fields, recipe.repairs)
    users, items = fields.with_role(FieldRole.USER), fields.with_role(FieldRole.ITEM)
    missing = [role for role, found in (("user", users), ("item", items)) if not found]
    if missing:
        raise DataError(
            "Next-item models need to know who chose what.",
            why=f"No column has the role {enumerated([f'“{role}”' for role in missing])}.",
            do="Set the role on the Prepare page or in the recipe.",
        )
    if recipe.query.time is None:
        raise DataError(
            "Next-item models need to know in which order items were chosen.",
            why="The query has no time column.",
            do="Choose the column that says when a row happened: on the Prepare page, or as time in [query].",
        )
    return SequenceColumns(users[0], items[0], recipe.query.time)


def prepare_sequences(
    recipe: Recipe, project: ProjectStore, services: Services, control: JobControl
) -> PreparedSequences:
    """Return the sequences of a recipe, extracting and ordering only what the project does not have yet."""
    started = time.perf_counter()
    columns = sequence_columns(recipe)
    snapshot, title, key = _extract(recipe, project, services, control)
    read = time.perf_counter()
    rows = snapshot_rows(snapshot)
    control.say(Phase.ENCODING, "Ordering events by user and time")
    chosen = events_of(recipe, rows, control)
    folder = project.data_folder / f"sequences-{_key(recipe, snapshot, columns, key)}"
    sequences = _sequences(folder, rows, _spec(recipe, columns, key), chosen.kept, control)
    control.say(Phase.ENCODING, "Looking for words about the items")
    path = folder / f"items-{_items_key(recipe, title)}.arrow"
    items = _items(path, rows, sequences, recipe, title, control)
    data = dataset(sequences, items.catalogue())
    split = split_sequences(data, recipe.next_item.split, recipe.split)
    kind = rows.type_of(columns.time)
    facts = replace(
        _facts(rows, chosen, sequences, items, split),
        items_file=path.name,
        times_are_moments=is_text(kind) or pa.types.is_temporal(kind),
    )
    return PreparedSequences(
        snapshot=snapshot,
        folder=folder,
        sequences=sequences,
        items=items,
        data=data,
        split=split,
        facts=facts,
        findings=tuple(_findings(facts, recipe)),
        seconds={"extract": read - started, "encode": time.perf_counter() - read},
        exclude_seen=recipe.next_item.exclude_seen,
    )


def dataset(sequences: Sequences, catalogue: Catalogue) -> SequenceDataset:
    """Return sequences as models see them; users are the hashes of their values."""
    return SequenceDataset(
        catalogue=catalogue,
        offsets=sequences.offsets,
        items=sequences.items,
        times=sequences.times,
        users=hash64(pa.chunked_array([sequences.users])).view(np.int64),
    )


def event_query(
    recipe: Recipe, source: RowSource, *, labels: bool = True
) -> tuple[QuerySpec, ColumnRef | None, tuple[ColumnRef, ...]]:
    """Return the recipe's query with the columns sequences need, the column of titles, and the key of a row."""
    columns = sequence_columns(recipe)
    key = base_key(recipe.query, source)
    title = recipe.next_item.title or title_column(recipe.query, columns.item.column, source.columns(recipe.query))
    used = [field.column for field in _used(recipe) if labels or not field.role.is_label]
    repaired = Repairing(recipe.repairs, recipe.fields, recipe.query).columns
    wanted = (*key, *used, *repaired, columns.time, *((title,) if title else ()))
    return replace(recipe.query, columns=tuple(dict.fromkeys(wanted))), title, key


def _extract(
    recipe: Recipe, project: ProjectStore, services: Services, control: JobControl
) -> tuple[Snapshot, ColumnRef | None, tuple[ColumnRef, ...]]:
    control.say(Phase.CONNECTING, f"Opening {recipe.source.database}")
    with services.sources.open(recipe.source) as source:
        query, title, key = event_query(recipe, source)
        check_source(recipe, source, query)
        control.check()
        snapshot = source.extract(
            query, project.data_folder, progress=reading_progress(control), should_stop=control.should_stop
        )
    return snapshot, title, key


def _used(recipe: Recipe) -> FieldSchema:
    fields = repaired_fields(recipe.fields, recipe.repairs)
    return FieldSchema(tuple(field for field in fields if field.role is not FieldRole.IGNORE))


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Which rows are events, bool (N,) or None for all, and whether because they were clicked."""

    kept: BoolArray | None
    of_clicks: bool


def events_of(recipe: Recipe, rows: Rows, control: JobControl) -> Events:
    """Return the rows that count: those that repairs keep and, where there is a click label, that were clicked."""
    labels = {role: recipe.fields.with_role(role) for role in (FieldRole.CLICK, FieldRole.CONVERSION)}
    fields = [found[0] for found in labels.values() if found]
    of_clicks = bool(labels[FieldRole.CLICK])
    repairing = Repairing(recipe.repairs, recipe.fields, recipe.query)
    if not of_clicks and not repairing.columns:
        return Events(None, False)
    rules = {field.role: _label_rule(rows, field, control) for field in fields} if of_clicks else {}
    kept = np.ones(rows.count, np.bool_)
    wanted = tuple(dict.fromkeys((*repairing.columns, *(rule.column for rule in rules.values()))))
    for block in rows.blocks(wanted):
        control.check()
        stays = repairing.kept(block.table, block.columns)
        if of_clicks:
            read: dict[str, Float32Array] = {role: rule.read(block.column(rule.column)) for role, rule in rules.items()}
            stays &= repairing.labels(read)[FieldRole.CLICK] > 0
        kept[block.start : block.start + block.rows] = stays
    if not kept.any():
        raise DataError(
            "No row is an event.",
            why="Every row is left out by a repair, or was not clicked.",
            do="Take a repair back, or give the click column another role.",
        )
    return Events(kept, of_clicks)


def _label_rule(rows: Rows, field: Field, control: JobControl) -> LabelRule:
    counts = LabelCounts()
    for block in rows.blocks((field.column,)):
        control.check()
        counts.add(block.column(field.column))
    return counts.rule(field)


def _spec(recipe: Recipe, columns: SequenceColumns, key: tuple[ColumnRef, ...]) -> SequenceSpec:
    return SequenceSpec(
        user=columns.user.column,
        item=columns.item.column,
        time=columns.time,
        key=key,
        minimum_length=recipe.next_item.minimum_events,
        core=recipe.next_item.core,
        seed=recipe.seed,
    )


def _sequences(folder: Path, rows: Rows, spec: SequenceSpec, kept: BoolArray | None, control: JobControl) -> Sequences:
    if (folder / "sequences.json").exists():
        return open_sequences(folder)
    return build_sequences(rows, spec, folder, kept=kept, check=control.check)


def _items(
    path: Path, rows: Rows, sequences: Sequences, recipe: Recipe, title: ColumnRef | None, control: JobControl
) -> ItemTable:
    try:
        return ItemTable.open(path)
    except (OSError, KeyError, pa.ArrowInvalid):
        items = read_items(rows, sequences, recipe.query, _used(recipe), title=title, check=control.check)
    items.save(path)
    return items


def _items_key(recipe: Recipe, title: ColumnRef | None) -> str:
    fields = tuple(replace(field, reason="") for field in _used(recipe))
    return _digest(to_plain((_FORMAT, fields, recipe.query.joins, title)))


def reopened(recipe: Recipe, run: RunFacts, facts: SequenceFacts, project: ProjectStore) -> PreparedSequences | None:
    """Return the sequences of a finished run without asking its source; None if a file is no longer there."""
    folder = project.data_folder / run.encoded
    try:
        sequences = open_sequences(folder)
        items = ItemTable.open(folder / facts.items_file)
    except (OSError, KeyError, pa.ArrowInvalid, DataError):
        return None
    data = dataset(sequences, items.catalogue())
    return PreparedSequences(
        snapshot=run.snapshot,
        folder=folder,
        sequences=sequences,
        items=items,
        data=data,
        split=split_sequences(data, recipe.next_item.split, recipe.split),
        facts=facts,
        findings=run.findings,
        seconds={},
        exclude_seen=recipe.next_item.exclude_seen,
    )


def _key(recipe: Recipe, snapshot: Snapshot, columns: SequenceColumns, key: tuple[ColumnRef, ...]) -> str:
    labels = [field.column for role in FieldRole if role.is_label for field in recipe.fields.with_role(role)]
    chosen = (recipe.next_item.core, recipe.next_item.minimum_events, recipe.seed, recipe.repairs)
    source = (columns.user.column, columns.item.column, columns.time, key, labels)
    return _digest(to_plain((_FORMAT, snapshot.fingerprint, chosen, source, _meanings(recipe))))


def _meanings(recipe: Recipe) -> tuple[Field, ...]:
    """Return the fields that repairs look at: another meaning may leave out other rows."""
    named = {name for repair in recipe.repairs for name in repair.fields}
    return tuple(replace(field, reason="") for field in recipe.fields if field.name in named)


def _digest(meaning: object) -> str:
    return hashlib.blake2b(json.dumps(meaning, sort_keys=True).encode(), digest_size=10).hexdigest()


def _facts(rows: Rows, chosen: Events, sequences: Sequences, items: ItemTable, split: SequenceSplit) -> SequenceFacts:
    train = split.training.train
    return SequenceFacts(
        rows=rows.count,
        events=len(sequences.items),
        users=len(sequences),
        items=len(sequences.vocabulary.values),
        trained_users=len(train),
        trained_events=len(train.items),
        validation_users=len(split.training.validation.targets),
        test_users=len(split.test.targets),
        left_out=sequences.left_out,
        of_clicks=chosen.of_clicks,
        title=items.title,
        text_fields=items.fields,
    )


def _findings(facts: SequenceFacts, recipe: Recipe) -> Iterator[Finding]:
    """Yield what was made of the rows, in sentences."""
    rows = counted(facts.rows, "row")
    if facts.of_clicks:
        yield Finding("note", f"Only clicked rows are events: {facts.events:,} of {rows} are in a sequence.")
    else:
        yield Finding("note", f"Every row is an event: {facts.events:,} of {rows} are in a sequence.")
    if facts.left_out:
        what = counted(facts.left_out, "row has", "rows have")
        yield Finding("note", f"{what} no user, no item or no time and cannot be used.", rows=facts.left_out)
    spec = recipe.next_item
    if spec.core or spec.minimum_events > 1:
        core = f", and users and items with fewer than {spec.core} in all" if spec.core else ""
        yield Finding("note", f"Users with fewer than {counted(spec.minimum_events, 'event')} are left out{core}.")
    if facts.text_fields:
        yield Finding("note", f"Items are described by {enumerated(list(facts.text_fields))}.")
    else:
        yield Finding(
            "note", "No column says anything of the items in words: models that read texts learn from clicks."
        )
    yield from _about_items(facts)


def _about_items(facts: SequenceFacts) -> Iterator[Finding]:
    if facts.items < 2:
        yield Finding("warn", "There is only one item, so there is nothing to choose from.")
    if not facts.validation_users:
        yield Finding("warn", "No user validates: every model stops by its training alone.")
