"""Sequences of items per user."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.sequences import Sequences, SequenceSpec, build_sequences, open_sequences
from core.snapshots import table_rows
from crosslens import DataError

from .snapshots import ref, snapshot

SPEC = SequenceSpec(ref("u"), ref("i"), ref("t"))


def build(folder: Path, spec: SequenceSpec = SPEC, **columns: Any) -> Sequences:
    return build_sequences(table_rows(*snapshot(**columns)), spec, folder / "sequences")


def readable(found: Sequences) -> dict[Any, list[Any]]:
    values = found.vocabulary.values.to_pylist()
    return {
        user: [values[item - 2] for item in found.of(place).tolist()]
        for place, user in enumerate(found.users.to_pylist())
    }


def naively(events: list[tuple[Any, Any, Any]], fewest_user: int, fewest_item: int) -> dict[Any, list[tuple[Any, Any]]]:
    """Group by user, ordered by time, after leaving out rare users and items until nothing changes."""
    left = [event for event in events if None not in event]
    while True:
        users, items = Counter(user for user, _, _ in left), Counter(item for _, item, _ in left)
        fewer = [event for event in left if users[event[0]] >= fewest_user and items[event[1]] >= fewest_item]
        if fewer == left:
            break
        left = fewer
    found: dict[Any, list[tuple[Any, Any]]] = {}
    for user, item, time in left:
        found.setdefault(user, []).append((time, item))
    return found


EVENTS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 6).map("user {}".format)),
        st.one_of(st.none(), st.integers(0, 5)),
        st.one_of(st.none(), st.integers(-3, 9)),
    ),
    min_size=1,
    max_size=80,
)


@given(EVENTS, st.integers(1, 3), st.sampled_from([0, 2]), st.sampled_from([None, 1, 3]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sequences_are_what_grouping_and_sorting_by_hand_would_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[Any], shortest: int, core: int, latest: int | None
) -> None:
    monkeypatch.setattr("core.sequences.ROWS_PER_FILE", 16)
    monkeypatch.setattr("core.snapshots.BLOCK_ROWS", 7)
    users, items, times = (
        pa.array(column, kind) for column, kind in zip(zip(*events, strict=True), KINDS, strict=True)
    )
    spec = SequenceSpec(*SPEC.columns, minimum_length=shortest, core=core, latest=latest)
    expected = naively(events, max(core, shortest), max(core, 1))
    if not expected:
        with pytest.raises(DataError, match="No sequence is left"):
            build(tmp_path, spec, u=users, i=items, t=times)
        return
    found = build(tmp_path, spec, u=users, i=items, t=times)
    assert found.left_out == sum(None in event for event in events)
    assert set(found.users.to_pylist()) == set(expected)
    for place, (user, sequence) in enumerate(readable(found).items()):
        whole = sorted(expected[user], key=lambda event: event[0])
        kept = whole if latest is None else whole[-latest:]
        ordered = found.times[found.offsets[place] : found.offsets[place + 1]].tolist()
        assert ordered == [time for time, _ in kept]
        assert not Counter(zip(ordered, sequence, strict=True)) - Counter(whole)


KINDS = (pa.string(), pa.int64(), pa.int64())


def test_events_of_one_time_stand_in_an_order_that_the_file_does_not_decide(tmp_path: Path) -> None:
    items = [f"item {number}" for number in range(30)]
    columns = {"u": ["me"] * 30, "t": [1] * 30}
    first = readable(build(tmp_path, i=items, **columns))["me"]
    assert readable(build(tmp_path, i=items[::-1], **columns))["me"] == first != items
    other = SequenceSpec(*SPEC.columns, seed=1)
    assert readable(build(tmp_path, other, i=items, **columns))["me"] != first


@pytest.mark.parametrize(
    "times",
    [
        ["2026-01-03", "2026-01-01 10:00", "2026-01-02T00:00:00Z"],
        [dt.date(2026, 1, 3), dt.date(2026, 1, 1), dt.date(2026, 1, 2)],
        [3.5, 1.25, 1.5],
    ],
)
def test_times_of_any_notation_order_events(tmp_path: Path, times: list[Any]) -> None:
    assert readable(build(tmp_path, u=[7, 7, 7], i=["c", "a", "b"], t=times)) == {7: ["a", "b", "c"]}


def test_rows_that_repairs_leave_out_are_in_no_sequence_and_others_keep_their_numbers(tmp_path: Path) -> None:
    rows = table_rows(*snapshot(u=[1, 1, 1], i=[5, 6, 7], t=[1, 2, 3]))
    found = build_sequences(rows, SPEC, tmp_path / "s", kept=np.array([True, False, True]))
    assert found.row_keys.tolist() == [0, 2]
    assert found.items.dtype == np.int32


def test_nothing_is_left_behind_beside_the_arrays(tmp_path: Path) -> None:
    build(tmp_path, u=[1, 2], i=[1, 2], t=[1, 2])
    names = {path.name for path in (tmp_path / "sequences").iterdir()}
    assert names == {
        *("users.arrow", "items.arrow", "sequences.json"),
        *("offsets.npy", "items.npy", "times.npy", "row_keys.npy"),
    }
    (tmp_path / "sequences" / "items.npy").unlink()
    with pytest.raises(DataError, match="incomplete"):
        open_sequences(tmp_path / "sequences")


def test_stopping_leaves_nothing(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyError("stop")

    with pytest.raises(KeyError):
        build_sequences(table_rows(*snapshot(u=[1], i=[1], t=[1])), SPEC, tmp_path / "s", check=stop)
    assert list(tmp_path.iterdir()) == []
