"""What to recommend to every user of a source, into a file or a new table: the best items of each.

Users with or without a history have a list, written block by block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crosslens._scratch import scratch
from crosslens.data import RESERVED_IDS, UNKNOWN_ID, Float32Array, Int32Array, Int64Array
from crosslens.errors import ParameterError
from crosslens.relational import ColumnRef, Snapshot
from crosslens.sequences import SequenceDataset

from ..commands import Phase, Score, Scored
from ..export.stream import RowStream
from ..hashing import hash64
from ..next_item.ranking import block_scores, top_items
from ..sequences import SequenceSpec, build_sequences
from ..services import JobControl, Services
from ..snapshots import Rows, snapshot_rows
from ..source_check import check_source
from .data import reading_progress
from .delivery import check_target, deliver
from .next_item_ask import OpenRecommender, opened_recommender
from .next_item_data import event_query, events_of, sequence_columns

BASES = ("history", "no known item", "no history")
"""What a list rests on: the user's own history; without any item of it that was trained on, or without one at all, what
the model gives everybody."""


def score_users(request: Score, services: Services, control: JobControl) -> Scored:
    """Write user, rank, item, title, score and basis: the `top` items of every user of the source."""
    check_target(request, services)
    if request.top < 1:
        raise ParameterError("A list needs at least one item.", do="Ask for 1 or more.", top=request.top)
    with (
        opened_recommender(request.project, request.run, services, control) as run,
        scratch(run.project.data_folder, ".score-") as folder,
    ):
        snapshot, key = _extract(run, request, folder, services, control)
        rows = snapshot_rows(snapshot)
        users, histories, bases = _histories(run, rows, key, folder, control)
        control.say(Phase.EVALUATING, "Recommending", 0.0)
        lists = _lists(run, users, histories, bases, request.top, control)
        return deliver(RowStream(_schema(users, run), lists), request, services, folder, control)


def _extract(
    run: OpenRecommender, request: Score, folder: Path, services: Services, control: JobControl
) -> tuple[Snapshot, tuple[ColumnRef, ...]]:
    recipe = run.recipe
    connection = request.source or recipe.source
    control.say(Phase.CONNECTING, f"Opening {connection.database}")
    with services.sources.open(connection) as source:
        query, _, key = event_query(recipe, source)
        query = replace(query, limit=None, sample=None)
        check_source(recipe, source, query)
        snapshot = source.extract(query, folder, progress=reading_progress(control), should_stop=control.should_stop)
    return snapshot, key


def _histories(
    run: OpenRecommender, rows: Rows, key: tuple[ColumnRef, ...], folder: Path, control: JobControl
) -> tuple[pa.Array, SequenceDataset, Int64Array]:
    """Return the users, their histories in the ids of the model, and the place (U,) among BASES of each."""
    columns = sequence_columns(run.recipe)
    spec = SequenceSpec(columns.user.column, columns.item.column, columns.time, key, seed=run.recipe.seed)
    kept = events_of(run.recipe, rows, control).kept
    found = build_sequences(rows, spec, folder / "sequences", kept=kept, check=control.check)
    cold = _without_history(rows, columns.user.column, found.users, control)
    users = pa.concat_arrays([found.users, cold.cast(found.users.type)])
    ids = run.data.sequences.vocabulary.local_ids(pa.chunked_array([found.vocabulary.values]))
    table = np.concatenate((np.arange(RESERVED_IDS, dtype=np.int32), np.where(ids < UNKNOWN_ID, UNKNOWN_ID, ids)))
    histories = SequenceDataset(
        catalogue=run.data.catalogue,
        offsets=np.concatenate((found.offsets, np.full(len(cold), found.offsets[-1]))),
        items=table.astype(np.int32)[found.items],
        times=found.times,
        users=hash64(pa.chunked_array([users])).view(np.int64),
    )
    return users, histories, _bases(histories)


def _bases(histories: SequenceDataset) -> Int64Array:
    known = np.concatenate(([0], np.cumsum(histories.items >= RESERVED_IDS)))
    items = known[histories.offsets[1:]] - known[histories.offsets[:-1]]
    return np.where(items > 0, 0, np.where(histories.lengths > 0, 1, 2))


def _without_history(rows: Rows, user: ColumnRef, known: pa.Array, control: JobControl) -> pa.Array:
    """Return the users of the rows that are not among the known ones."""
    seen = np.sort(hash64(pa.chunked_array([known])))
    found: list[pa.Array] = []
    for block in rows.blocks((user,)):
        control.check()
        values = pc.unique(block.column(user)).drop_null()
        hashes = hash64(pa.chunked_array([values]))
        new = ~np.isin(hashes, seen)
        if new.any():
            found.append(values.filter(pa.array(new)))
            seen = np.union1d(seen, hashes[new])
    return pa.concat_arrays(found) if found else known.slice(0, 0)


def _lists(
    run: OpenRecommender, users: pa.Array, histories: SequenceDataset, bases: Int64Array, top: int, control: JobControl
) -> Iterator[pa.Table]:
    exclude = run.recipe.next_item.exclude_seen
    for block, scores in block_scores(run.model, histories, exclude_seen=exclude, check=control.check):
        control.say(Phase.EVALUATING, "Recommending", block.stop / len(users))
        items, values = top_items(scores, top)
        yield _table(run, users, block, items, values, bases)


def _table(
    run: OpenRecommender, users: pa.Array, block: slice, items: Int32Array, values: Float32Array, bases: Int64Array
) -> pa.Table:
    kept = items >= RESERVED_IDS
    places = np.broadcast_to(np.arange(block.start, block.stop)[:, None], items.shape)[kept]
    ranks = np.broadcast_to(np.arange(1, items.shape[1] + 1), items.shape)[kept]
    chosen = pa.array(items[kept].astype(np.int64) - RESERVED_IDS)
    basis = pa.array(BASES).take(pa.array(bases[places]))
    columns = (
        users.take(pa.array(places)),
        pa.array(ranks.astype(np.int32)),
        run.data.sequences.vocabulary.values.take(chosen),
        run.data.items.titles.take(chosen),
        pa.array(values[kept].astype(np.float64)),
        basis,
    )
    return pa.table(list(columns), schema=_schema(users, run))


def _schema(users: pa.Array, run: OpenRecommender) -> pa.Schema:
    item = run.data.sequences.vocabulary.values.type
    kinds = (users.type, pa.int32(), item, pa.large_string(), pa.float64(), pa.string())
    names = ("user", "rank", "item", "title", "score", "basis")
    return pa.schema(list(zip(names, kinds, strict=True)))
