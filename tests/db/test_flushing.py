"""A large file goes to the disk while it is written; what the disk says is heard, and nothing is closed too early."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from db import flushing
from db.flushing import Flushing


@pytest.fixture
def synced(monkeypatch) -> list[int]:
    """Collect how large the file was at each wait for the disk."""
    sizes: list[int] = []
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    monkeypatch.setattr(flushing, "FLUSHED_BYTES", 100)
    return sizes


def test_a_small_file_is_waited_for_once(synced: list[int], tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file, Flushing(file) as under_way:
        file.write(b"x" * 99)
        under_way.written()
    assert synced == [99]


def test_a_large_file_goes_to_the_disk_in_parts_and_at_last_as_a_whole(synced: list[int], tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file, Flushing(file) as under_way:
        for _ in range(40):
            file.write(b"x" * 50)
            under_way.written()
    assert len(synced) > 1
    assert synced[0] >= 100
    assert synced[-1] == 2_000


def test_writing_goes_on_while_the_disk_works_and_the_file_is_closed_after(tmp_path: Path, monkeypatch) -> None:
    go_on, ended = threading.Event(), []

    def slow(descriptor: int) -> None:
        assert go_on.wait(10)
        os.fstat(descriptor)  # fails on a file that is closed
        ended.append(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    monkeypatch.setattr(flushing, "FLUSHED_BYTES", 100)
    with (tmp_path / "x").open("wb") as file, Flushing(file) as under_way:
        for _ in range(5):
            file.write(b"x" * 100)
            under_way.written()
        assert ended == []
        go_on.set()
    assert len(ended) == 2


@pytest.mark.parametrize("parts", [1, 2, 50])
def test_a_full_disk_is_an_error_wherever_it_shows(parts: int, tmp_path: Path, monkeypatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(flushing, "FLUSHED_BYTES", 100)
    with pytest.raises(OSError, match="No space"), (tmp_path / "x").open("wb") as file, Flushing(file) as under_way:
        for _ in range(parts):
            file.write(b"x" * 60)
            under_way.written()


def test_an_error_of_the_writer_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), (tmp_path / "x").open("wb") as file, Flushing(file):
        file.write(b"x")
        raise ZeroDivisionError
    assert (tmp_path / "x").read_bytes() == b"x"
