"""Predictions for every row of a source: into a file, or into a new table of a database.

Rows are read to a file of the project, then encoded, predicted and written block by block: memory stays flat whatever
their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from crosslens._scratch import scratch
from crosslens.data import EncodedDataset, Float64Array
from crosslens.models import Predictions
from crosslens.relational import ColumnRef, JoinKind, QuerySpec, Snapshot
from crosslens.schema import FieldRole, TimePart

from ..commands import Phase, Score, Scored
from ..encoding import encode_blocks
from ..export.stream import RowStream, distinct_names
from ..outputs import logits, probability_column
from ..ports import RowSource
from ..recipe import Recipe
from ..recipe_toml import recipe_from_toml
from ..services import JobControl, Services
from ..snapshots import Block, Rows, snapshot_rows
from ..source_check import base_key, check_source
from .data import reading_progress
from .delivery import check_target, deliver
from .runs import OpenRun, opened_run

_ROWS_AT_ONCE = 1 << 14
"""So many rows are predicted before Stop is looked at again."""


def score(request: Score, services: Services, control: JobControl) -> Scored:
    """Read the run's columns (never its labels), predict, and write one file or one new table."""
    check_target(request, services)
    with (
        opened_run(request.project, request.run, services) as run,
        scratch(run.project.data_folder, ".score-") as folder,
    ):
        recipe = recipe_from_toml(run.record.recipe)
        snapshot, key = _extract(recipe, request, folder, services, control)
        stream = _scored(run, snapshot, key if request.keys_only else (), request, services, control)
        return deliver(stream, request, services, folder, control)


def _extract(
    recipe: Recipe, request: Score, folder: Path, services: Services, control: JobControl
) -> tuple[Snapshot, tuple[ColumnRef, ...]]:
    """Return the rows, and their key."""
    connection = request.source or recipe.source
    control.say(Phase.CONNECTING, f"Opening {connection.database}")
    with services.sources.open(connection) as source:
        query = scoring_query(recipe, source)
        check_source(recipe, source, query)
        key = base_key(recipe.query, source)
        progress = reading_progress(control)
        return source.extract(query, folder, progress=progress, should_stop=control.should_stop), key


def scoring_query(recipe: Recipe, source: RowSource) -> QuerySpec:
    """Return the recipe's query without labels, and without the joins only labels need: new rows have none yet."""
    key = base_key(recipe.query, source)
    used = [field for field in recipe.fields if field.role.is_feature]
    # the age of a time is counted from the time of the row
    times = (recipe.query.time,) if recipe.query.time and any(TimePart.AGE in field.parts for field in used) else ()
    features = (*(field.column for field in used), *times)
    wanted = {ref.source for ref in features}
    joins = tuple(
        join for join in recipe.query.joins if join.kind is JoinKind.LOOKUP or _needed(join.name, recipe, wanted)
    )
    return replace(recipe.query, columns=tuple(dict.fromkeys((*key, *features))), joins=joins, limit=None, sample=None)


def _needed(name: str, recipe: Recipe, wanted: set[str]) -> bool:
    children = [join.name for join in recipe.query.joins if any(ref.source == name for ref, _ in join.on)]
    return name in wanted or any(_needed(child, recipe, wanted) for child in children)


def _scored(
    run: OpenRun,
    snapshot: Snapshot,
    kept: tuple[ColumnRef, ...],
    request: Score,
    services: Services,
    control: JobControl,
) -> RowStream:
    """Return the `kept` columns (all where none is named) and the probabilities, predicted as they are asked for."""
    rows, outputs = snapshot_rows(snapshot), run.facts.predicted
    shown = kept or snapshot.columns
    names = _column_names(shown, recipe_names(run), plain_keys=request.into is not None)
    kinds = [*(rows.type_of(column) for column in shown), *(pa.float64() for _ in outputs)]
    named = distinct_names([*names, *map(probability_column, outputs)])
    schema = pa.schema(list(zip(named, kinds, strict=True)))
    return RowStream(schema, _predicted(run, rows, shown, schema, services.threads, control), rows.count)


def _predicted(
    run: OpenRun, rows: Rows, shown: tuple[ColumnRef, ...], schema: pa.Schema, threads: int, control: JobControl
) -> Iterator[pa.Table]:
    encoders = replace(run.encoders, columns=rows.columns)
    control.say(Phase.EVALUATING, f"Predicting {rows.count:,} rows", 0.0)
    for block, data in encode_blocks(rows, encoders, threads=min(threads, 2)):
        chances = _probabilities(run, data, control)
        yield pa.table([*(block.column(ref) for ref in shown), *chances], schema=schema)
        _tell(block, rows.count, control)


def _tell(block: Block, rows: int, control: JobControl) -> None:
    done = block.start + block.rows
    control.say(Phase.EVALUATING, f"Predicting: {done:,} of {rows:,} rows", done / rows)


def _probabilities(run: OpenRun, data: EncodedDataset, control: JobControl) -> list[Float64Array]:
    """Return the probabilities of every output, each (N,)."""
    parts: dict[str, list[Float64Array]] = {output: [] for output in run.facts.predicted}
    for start in range(0, len(data), _ROWS_AT_ONCE):
        control.check()
        predictions = run.model.predict(data.take(slice(start, start + _ROWS_AT_ONCE)))
        for output, found in parts.items():
            found.append(Predictions({output: logits(predictions, output)}).probability())
    return [np.concatenate(found) for found in parts.values()]


def recipe_names(run: OpenRun) -> dict[ColumnRef, str]:
    """Return the field names of the run's recipe by column."""
    fields = recipe_from_toml(run.record.recipe).fields
    return {field.column: field.name for field in fields if field.role is not FieldRole.IGNORE}


def _column_names(columns: tuple[ColumnRef, ...], known: dict[ColumnRef, str], *, plain_keys: bool) -> list[str]:
    """Return what columns are called: as the recipe does, others "table.column", or in a table by their own name."""
    return [known.get(column, column.column if plain_keys else str(column)) for column in columns]
