"""Where scored rows go: into a file, or into a table that a database did not have.

A source is never written to. A new table is made by its own command, over a connection of its own, opened when all
rows are known: they wait in a file of the project, so that the database is held for no longer than it takes to write.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from crosslens.errors import ParameterError
from crosslens.relational import ConnectionSpec, TableRef

from ..commands import Phase, Score, Scored
from ..connections import connection_text
from ..export.files import check_ending, write_file
from ..export.plain_cells import for_table, table_schema
from ..export.stream import RowStream
from ..files import storage
from ..services import JobControl, Services


def check_target(request: Score, services: Services) -> None:
    """Raise before any work what would be raised after it: an ending nobody writes, a table that is there already."""
    if request.into is None:
        check_ending(request.output)
    else:
        services.sources.refuse_table(request.into, _table(request))


def deliver(stream: RowStream, request: Score, services: Services, folder: Path, control: JobControl) -> Scored:
    """Write the rows where the request wants them; after Stop or an error nothing is left there.

    `folder` is for rows that wait.
    """
    if request.into is None:
        output = request.output.absolute()
        return Scored(output, write_file(stream, output, control.check))
    waiting = _stored(stream, folder / "scored.arrow", control)
    control.say(Phase.WRITING, f"Writing the table {request.table}")
    written = services.sources.write_table(
        request.into,
        _table(request),
        table_schema(stream.schema),
        _read(waiting, control),
        should_stop=control.should_stop,
    )
    return Scored(_place(request.into), written, request.table, connection_text(replace(request.into, secret=None)))


def _table(request: Score) -> TableRef:
    if not request.table.strip():
        raise ParameterError("The new table has no name.", do="Give it one.")
    return TableRef(request.table)


def _place(connection: ConnectionSpec) -> Path:
    return Path(connection.database) if not connection.host else Path()


def _stored(stream: RowStream, path: Path, control: JobControl) -> Path:
    schema = table_schema(stream.schema)
    with storage(path), pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in stream.blocks(control.check, 1 << 16):
            writer.write_batch(for_table(batch))
    return path


def _read(path: Path, control: JobControl) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
        for number in range(reader.num_record_batches):
            control.say(Phase.WRITING, "Writing the table", number / reader.num_record_batches)
            yield reader.get_batch(number)
