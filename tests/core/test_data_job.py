"""From a snapshot to encoded parts: repaired, split, learned from, reused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.encoding import open_encoded
from core.jobs.data import PreparedData, encode_again, extraction_query, prepare_data
from core.recipe import Recipe, Repair, RepairKind, SplitMethod, SplitSpec
from core.services import JobControl, Services
from crosslens import DataError, FieldRole, FieldSchema
from crosslens.errors import Stopped
from crosslens.relational import (
    ColumnInfo,
    ColumnRef,
    ColumnType,
    ConnectionSpec,
    QuerySpec,
    Snapshot,
    TableInfo,
    TableRef,
)

from .snapshots import fields, ref, snapshot

ROWS = 60
COLUMNS: dict[str, Any] = {
    "id": list(range(ROWS)),
    "who": [f"user {n % 7}" if n % 13 else None for n in range(ROWS)],
    "price": [None if n % 10 == 3 else float(n % 11) for n in range(ROWS)],
    "at": [f"2026-01-{n % 28 + 1:02d}" for n in range(ROWS)],
    "click": [n % 3 % 2 for n in range(ROWS)],
    "buy": [int(n % 4 == 1) for n in range(ROWS)],
}
MEANING = {"who": "user", "price": "numerical feature", "click": "click", "buy": "conversion"}


class World:
    """A source that holds one snapshot, and a project folder."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        table, columns = snapshot(**COLUMNS | changes)
        path = folder / "rows.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table, 16)
        self.snapshot = Snapshot(path, columns, table.num_rows, "fingerprint", "key", "sql", "source")
        self.data_folder = folder / "data"
        self.queries: list[QuerySpec] = []

    def table(self, table: TableRef) -> TableInfo:
        infos = tuple(info for _, info in self.columns(QuerySpec(table, ())))
        return TableInfo(table, infos, primary_key=("id",))

    def columns(self, _: QuerySpec) -> tuple[tuple[ColumnRef, ColumnInfo], ...]:
        return tuple((ref(name), ColumnInfo(name, ColumnType.OTHER)) for name in (*COLUMNS, "hidden"))

    def extract(self, query: QuerySpec, *_: Any, **__: Any) -> Snapshot:
        self.queries.append(query)
        return self.snapshot

    @contextmanager
    def open(self, _: ConnectionSpec) -> Iterator[World]:
        yield self

    def prepare(self, recipe: Recipe, **options: Any) -> PreparedData:
        services = Services(self, None, None, threads=2)  # type: ignore[arg-type]
        return prepare_data(recipe, self, services, JobControl(**options))  # type: ignore[arg-type]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def recipe(*repairs: Repair, **changes: Any) -> Recipe:
    query = QuerySpec(TableRef("t"), (), time=ref("at"))
    made = Recipe(ConnectionSpec("sqlite", "x"), query, fields(**MEANING), minimum_count=1, repairs=repairs)
    return replace(made, **changes)


def test_rows_that_repairs_leave_out_have_no_place_in_the_arrays(world: World) -> None:
    data = world.prepare(recipe(Repair(RepairKind.DROP_MISSING, ("price",))))
    expected = [n for n in range(ROWS) if n % 10 != 3]
    assert data.keys.tolist() == expected
    assert len(data.encoded) == len(data.split.parts) == len(expected)
    assert not np.isnan(data.encoded.values).any()
    assert data.encoded.labels["click"].tolist() == [COLUMNS["click"][n] for n in expected]
    assert any(finding.rows == 6 and finding.check == "repaired-drop-missing" for finding in data.findings)


def test_rows_are_parted_by_their_own_times_after_repairs(world: World) -> None:
    by_time = SplitSpec(SplitMethod.TIME)
    data = world.prepare(recipe(Repair(RepairKind.DROP_MISSING, ("price",)), split=by_time))
    times = np.array(COLUMNS["at"], "datetime64[D]")[data.keys]
    assert times[data.split.train].max() < times[data.split.validation].min()
    assert times[data.split.validation].max() < times[data.split.test].min()


def test_labels_are_put_right_in_the_arrays(world: World) -> None:
    data = world.prepare(recipe(Repair(RepairKind.CLICK_IF_CONVERTED)))
    clicks, buys = data.encoded.labels["click"], data.encoded.labels["conversion"]
    assert (clicks >= buys).all()
    assert buys.tolist() == COLUMNS["buy"]


def test_an_ignored_field_is_not_learned_from(world: World) -> None:
    data = world.prepare(recipe(Repair(RepairKind.IGNORE_FIELD, ("price",))))
    assert data.encoded.schema.names == ("who",)


def test_what_repairs_look_at_is_extracted(world: World) -> None:
    chosen = recipe(Repair(RepairKind.DROP_MISSING, ("hidden",)))
    hidden = fields(hidden="ignore").fields
    query = extraction_query(replace(chosen, fields=FieldSchema((*chosen.fields, *hidden))), world)  # type: ignore[arg-type]
    assert [column.column for column in query.columns] == ["id", "who", "price", "click", "buy", "hidden", "at"]


def test_repairs_that_leave_no_row_are_explained(tmp_path: Path) -> None:
    world = World(tmp_path, price=pa.nulls(ROWS, pa.float64()))
    with pytest.raises(DataError, match="leave no row"):
        world.prepare(recipe(Repair(RepairKind.DROP_MISSING, ("price",))))


def test_users_are_told_apart_and_rows_without_one_stand_alone(world: World) -> None:
    users = world.prepare(recipe()).users
    assert users is not None
    assert users[1] == users[8] != users[2]
    assert len(set(users.tolist())) == 7 + sum(who is None for who in COLUMNS["who"])
    assert world.prepare(recipe(fields=fields(**MEANING | {"who": "feature"}))).users is None


def test_arrays_are_made_once_and_again_when_they_mean_something_else(world: World) -> None:
    first = world.prepare(recipe())
    made = (first.encoded_folder / "ids.npy").stat().st_mtime_ns
    again = world.prepare(recipe())
    assert again.encoded_folder == first.encoded_folder
    assert (again.encoded_folder / "ids.npy").stat().st_mtime_ns == made
    assert again.findings == first.findings
    others = [
        recipe(Repair(RepairKind.CLICK_IF_CONVERTED)),
        recipe(hash_buckets=3),
        recipe(moment="before the click"),
        recipe(minimum_count=2),
        recipe(query=QuerySpec(TableRef("t"), ())),
        recipe(split=SplitSpec(seed=1)),
    ]
    folders = {world.prepare(other).encoded_folder for other in others}
    assert len(folders - {first.encoded_folder}) == len(others)


def test_arrays_that_were_deleted_are_made_again_alike(world: World, tmp_path: Path) -> None:
    chosen = recipe(Repair(RepairKind.DROP_MISSING, ("price",)), Repair(RepairKind.CLICK_IF_CONVERTED))
    data = world.prepare(chosen)
    again = encode_again(world.snapshot, chosen, data.encoders, tmp_path / "again")
    np.testing.assert_array_equal(again.ids, data.encoded.ids)
    np.testing.assert_array_equal(again.target, data.encoded.target)
    assert again.row_keys is not None
    assert again.row_keys.tolist() == data.keys.tolist()


def test_arrays_of_before_row_numbers_were_kept_still_open(world: World) -> None:
    folder = world.prepare(recipe()).encoded_folder
    (folder / "row_keys.npy").unlink()
    keys = open_encoded(folder).row_keys
    assert keys is not None
    assert keys.tolist() == list(range(ROWS))


def test_stopping_while_encoding_leaves_nothing_partial(world: World) -> None:
    stop = threading.Event()
    with pytest.raises(Stopped):
        world.prepare(recipe(), stop=stop, progress=lambda now: stop.set() if "Learning" in now.message else None)
    assert not list(world.data_folder.glob("*")) if world.data_folder.exists() else True


def test_the_table_is_there_for_whoever_asks(world: World) -> None:
    data = world.prepare(recipe())
    assert data.table.num_rows == ROWS
    assert data.test_fingerprint == world.prepare(recipe()).test_fingerprint
    assert {field.role for field in data.encoded.schema.fields} == {FieldRole.USER, FieldRole.FEATURE}
