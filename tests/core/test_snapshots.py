"""Rows read block by block, counted, ranked and summed up as if they were read at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.counting import ValueCounter
from core.encoding import encode, fit_encoders
from core.quantiles import Moments, Quantiles
from core.ranks import count_below, last_below, next_above, value_at
from core.snapshots import snapshot_rows, table_rows
from crosslens import DataError, Field, FieldKind, FieldRole, FieldSchema
from crosslens.relational import Snapshot

from .snapshots import fields, ref, snapshot, vocabulary_of


def stored(folder: Path, table: pa.Table, batch: int) -> Snapshot:
    """Write a table as extraction does, in batches of a size."""
    path = folder / "rows.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        for part in table.to_batches(batch):
            writer.write_batch(part)
    columns = tuple(ref(chr(ord("a") + place)) for place in range(table.num_columns))
    return Snapshot(path, columns, table.num_rows, "fingerprint", "key", "sql", "source")


TABLE = pa.table({"c0": range(10), "c1": [f"t{n}" for n in range(10)], "c2": [n / 2 for n in range(10)]})


@pytest.mark.parametrize("batch", [1, 3, 4, 100])
def test_blocks_are_of_one_size_whatever_the_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr("core.snapshots.BLOCK_ROWS", 4)
    rows = snapshot_rows(stored(tmp_path, TABLE, batch))
    blocks = list(rows.blocks((ref("c"), ref("a"))))
    assert [(block.start, block.rows) for block in blocks] == [(0, 4), (4, 4), (8, 2)]
    assert [block.column(ref("a")).to_pylist() for block in blocks] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert blocks[2].column(ref("c")).to_pylist() == [4.0, 4.5]
    with pytest.raises(DataError, match=r"no column t\.b"):
        blocks[0].column(ref("b"))


def test_a_damaged_snapshot_is_a_sentence(tmp_path: Path) -> None:
    kept = stored(tmp_path, TABLE, 3)
    whole = kept.path.read_bytes()
    for content in (b"", whole[: len(whole) // 2]):
        kept.path.write_bytes(content)
        with pytest.raises(DataError, match=r"cannot be read\. .*rows\.arrow is missing or damaged"):
            list(snapshot_rows(kept).blocks((ref("a"),)))


def test_a_sample_holds_a_row_of_every_stretch_and_all_of_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.snapshots.BLOCK_ROWS", 64)
    rows = table_rows(*snapshot(a=range(1000), b=range(1000)))
    sample = rows.sample((ref("b"), ref("a")), 50)
    places = sample["c1"].to_pylist()
    assert [place // 20 for place in places] == list(range(50))
    assert sample.equals(rows.sample((ref("b"), ref("a")), 50))
    assert rows.sample((ref("a"),), 1000)["c0"].to_pylist() == list(range(1000))


VALUES = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-5, 5))),
    st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62), st.just(7))),
    st.lists(st.one_of(st.none(), st.text(max_size=2))),
    st.lists(st.one_of(st.none(), st.booleans())),
)


@given(VALUES, st.integers(1, 7))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_counted_in_blocks_are_counted_right(
    monkeypatch: pytest.MonkeyPatch, values: list[Any], block: int
) -> None:
    monkeypatch.setattr("core.counting.DENSE_RANGE", 8)
    monkeypatch.setattr("core.counting.PATIENCE", 6)
    column = pa.chunked_array([pa.array(values)])
    counter = ValueCounter()
    for start in range(0, len(column), block):
        counter.add(column.slice(start, block))
    table = counter.table()
    counts = dict(zip(table["value"].to_pylist(), table["count"].to_pylist(), strict=True))
    present = [value for value in values if value is not None]
    assert counts == {value: present.count(value) for value in present}
    assert counter.at_most >= len(counts)


@pytest.mark.parametrize(
    "values", [[f"value {n}" for n in range(300)], [n * 10**9 for n in range(300)], list(range(300))]
)
def test_ids_among_many_values_are_those_among_few(monkeypatch: pytest.MonkeyPatch, values: list[Any]) -> None:
    column = pa.chunked_array([pa.array([*values, *values, None])])
    few = vocabulary_of(column).local_ids(column)
    monkeypatch.setattr("core.vocabulary._MANY_VALUES", 10)
    monkeypatch.setattr("core.vocabulary._DENSE_RANGE", 10)
    np.testing.assert_array_equal(vocabulary_of(column).local_ids(column), few)
    assert few[-1] == 0
    assert vocabulary_of(column).local_ids(pa.chunked_array([["none of them"] * 70])).tolist() == [1] * 70


NUMBERS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1),
    st.lists(st.integers(-2, 2).map(float), min_size=1),
)


@given(NUMBERS, st.data())
@settings(max_examples=80, deadline=None)
def test_the_value_of_a_rank_is_found_without_sorting(values: list[Any], data: st.DataObject) -> None:
    array = np.array(values)
    rank = data.draw(st.integers(0, len(values) - 1))
    found = value_at(array, rank)
    assert found == np.sort(array)[rank]
    assert count_below(array, found) == int((array < found).sum())
    assert next_above(array, found) == min((v for v in values if v > found), default=None)
    assert last_below(array, found) == max((v for v in values if v < found), default=None)


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=80), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_moments_of_blocks_are_those_of_the_whole(values: list[float], block: int) -> None:
    array, moments = np.array(values), Moments()
    for start in range(0, len(array), block):
        moments.add(array[start : start + block])
    mean, scale = moments.mean_and_scale()
    assert mean == pytest.approx(array.mean(), rel=1e-9, abs=1e-9 * np.abs(array).max())
    whole = Moments()
    whole.add(array)
    assert scale == pytest.approx(whole.mean_and_scale()[1], rel=1e-6, abs=1e-9 * max(np.abs(array).max(), 1))


def test_moments_of_tiny_numbers_after_zeros_are_kept() -> None:
    moments = Moments()
    for value in (0.0, 3e-215):
        moments.add(np.array([value]))
    assert moments.mean_and_scale() == pytest.approx((1.5e-215, 1.5e-215), abs=0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80), st.integers(2, 12), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_quantiles_of_few_values_are_exact(values: list[float], bins: int, block: int) -> None:
    array, quantiles = np.array(values), Quantiles()
    for start in range(0, len(array), block):
        quantiles.add(array[start : start + block])
    for share in np.arange(1, bins) / bins:
        for method, whole in (("linear", False), ("higher", True)):
            expected = np.quantile(array, share, method=method)
            quantiles._merge()
            assert quantiles._quantile(float(share), whole=whole) == pytest.approx(expected, rel=1e-12, abs=1e-300)


def test_quantiles_of_many_values_are_off_by_little() -> None:
    array, quantiles = np.random.default_rng(0).lognormal(size=200_000), Quantiles(most=4_096)
    for start in range(0, len(array), 10_000):
        quantiles.add(array[start : start + 10_000])
    edges = quantiles.edges(20, whole=False)
    shares = [(array < edge).mean() for edge in edges]
    assert shares == pytest.approx([step / 20 for step in range(1, 20)], abs=0.005)


def test_results_do_not_depend_on_threads_and_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.snapshots.BLOCK_ROWS", 50)
    draw = np.random.default_rng(3)
    columns = {
        "n": draw.normal(size=400),
        "b": draw.normal(size=400),
        "k": draw.integers(0, 30, 400),
        "w": [f"word {n}" for n in draw.integers(0, 60, 400)],
        "t": [f"2026-01-{n:02d} 10:00" for n in draw.integers(1, 28, 400)],
        "l": [f"a{n}|b{n % 3}" for n in draw.integers(0, 9, 400)],
        "y": draw.integers(0, 2, 400),
    }
    kinds = {"n": FieldKind.NUMERICAL, "b": FieldKind.NUMERICAL, "t": FieldKind.TIMESTAMP, "l": FieldKind.MULTI_VALUED}
    features = [
        Field(ref(name), name, kinds.get(name, FieldKind.CATEGORICAL), FieldRole.FEATURE, bins=5 if name == "b" else 0)
        for name in "nbkwtl"
    ]
    schema = FieldSchema((*features, *fields(y="click")))
    table, refs = snapshot(**columns)
    train, kept = draw.random(390) < 0.7, np.arange(400) % 40 != 7
    found = []
    for batch, threads in ((400, 1), (7, 3)):
        rows = table_rows(pa.Table.from_batches(table.to_batches(batch)), refs)
        encoders = fit_encoders(rows, schema, train, kept=kept, threads=threads)
        data = encode(rows, encoders, tmp_path / f"{batch}", kept=kept, threads=threads)
        found.append((encoders.to_json(), data.ids.tobytes(), data.values.tobytes(), data.row_keys.tolist()))
    assert found[0] == found[1]
    assert found[0][3] == np.flatnonzero(kept).tolist()
