"""Predictions for every row of a source, into a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from crosslens._scratch import scratch
from crosslens.data import Float64Array
from crosslens.errors import StorageError
from crosslens.models import Predictions
from crosslens.relational import ColumnRef, JoinKind, QuerySpec, Snapshot
from crosslens.schema import FieldRole, TimePart

from ..commands import Phase, Score, Scored
from ..encoding import encode
from ..files import replace_file
from ..outputs import logits, probability_column
from ..ports import RowSource
from ..recipe import Recipe
from ..recipe_toml import recipe_from_toml
from ..services import JobControl, Services
from ..snapshots import snapshot_rows
from ..source_check import base_key, check_source
from .data import read_snapshot, reading_progress
from .runs import OpenRun, opened_run

WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    ".csv": lambda table, path: pa_csv.write_csv(_flat(table), path),
    ".parquet": lambda table, path: pq.write_table(table, path),
}
"""How scored rows are written, by the ending of the file."""
_ROWS_AT_ONCE = 200_000


def score(request: Score, services: Services, control: JobControl) -> Scored:
    """Read the run's columns (never its labels), predict, and write one file."""
    write = WRITERS.get(request.output.suffix.lower())
    if write is None:
        raise StorageError(f"{request.output.name} has an ending that cannot be written.", do="Use .csv or .parquet.")
    with (
        opened_run(request.project, request.run, services) as run,
        scratch(run.project.data_folder, ".score-") as folder,
    ):
        recipe = recipe_from_toml(run.record.recipe)
        snapshot = _extract(recipe, request, folder, services, control)
        table = read_snapshot(snapshot)
        scored = _predict(run, table, snapshot, folder, control)
        control.say(Phase.WRITING, f"Writing {request.output.name}")
        replace_file(request.output.absolute(), lambda path: write(scored, path))
        return Scored(request.output.absolute(), table.num_rows)


def _extract(recipe: Recipe, request: Score, folder: Path, services: Services, control: JobControl) -> Snapshot:
    connection = request.source or recipe.source
    control.say(Phase.CONNECTING, f"Opening {connection.database}")
    with services.sources.open(connection) as source:
        query = scoring_query(recipe, source)
        check_source(recipe, source, query)
        return source.extract(
            query,
            folder,
            progress=reading_progress(control),
            should_stop=control.should_stop,
        )


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


def _predict(run: OpenRun, table: pa.Table, snapshot: Snapshot, folder: Path, control: JobControl) -> pa.Table:
    control.say(Phase.ENCODING, f"Encoding {table.num_rows:,} rows")
    encoders = replace(run.encoders, columns=snapshot.columns)
    data = encode(snapshot_rows(snapshot), encoders, folder / "encoded", labels=False)
    outputs = run.facts.predicted
    parts: dict[str, list[Float64Array]] = {output: [] for output in outputs}
    for start in range(0, len(data), _ROWS_AT_ONCE):
        control.check()
        control.say(Phase.EVALUATING, "Predicting", start / len(data))
        predictions = run.model.predict(data.take(slice(start, start + _ROWS_AT_ONCE)))
        for output in outputs:
            parts[output].append(Predictions({output: logits(predictions, output)}).probability())
    columns = [table.column(index) for index in range(table.num_columns)]
    names = _column_names(snapshot.columns, recipe_names(run))
    chances = [pa.chunked_array([pa.array(part) for part in parts[output]], type=pa.float64()) for output in outputs]
    return pa.table([*columns, *chances], names=[*names, *map(probability_column, outputs)])


def recipe_names(run: OpenRun) -> dict[ColumnRef, str]:
    """Return the field names of the run's recipe by column."""
    fields = recipe_from_toml(run.record.recipe).fields
    return {field.column: field.name for field in fields if field.role is not FieldRole.IGNORE}


def _column_names(columns: tuple[ColumnRef, ...], known: dict[ColumnRef, str]) -> list[str]:
    return [known.get(column, str(column)) for column in columns]


def _flat(table: pa.Table) -> pa.Table:
    """Return the table with several values of a row written as one text, parted by |: CSV knows no lists."""
    for place, kind in enumerate(table.schema.types):
        if pa.types.is_list(kind):
            texts = pc.binary_join(table.column(place).cast(pa.list_(pa.string())), "|")
            table = table.set_column(place, table.schema.names[place], texts)
    return table
