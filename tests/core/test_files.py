"""Files are whole or not there."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.files import read_json, replace_file, replace_folder, write_json, write_text
from crosslens.errors import ProjectError, StorageError


@dataclass(frozen=True)
class Note:
    text: str
    size: float = 1.0


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_value_comes_back_as_it_was(tmp_path: Path) -> None:
    write_json(tmp_path / "note.json", Note("größer als «vorher»", 2.5))
    assert read_json(tmp_path / "note.json", Note) == Note("größer als «vorher»", 2.5)
    assert leftovers(tmp_path) == ["note.json"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")

    def fail(path: Path) -> None:
        path.write_text("half", encoding="utf-8")
        raise ValueError

    with pytest.raises(ValueError):
        replace_file(tmp_path / "a.txt", fail)
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"
    assert leftovers(tmp_path) == ["a.txt"]


def test_a_full_disk_is_a_sentence_with_what_is_left(tmp_path: Path) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError) as caught:
        replace_file(tmp_path / "big.npy", fail)
    assert "disk is full" in caught.value.what
    assert "MB left" in caught.value.why
    assert leftovers(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="could not be written"):
        write_text(tmp_path / "file" / "inside.txt", "x")


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for number in ("one", "two"):
        replace_folder(tmp_path / "model", lambda folder, number=number: write_text(folder / number, number))  # type: ignore[misc]
    assert leftovers(tmp_path / "model") == ["two"]
    assert leftovers(tmp_path) == ["model"]


def test_a_failed_folder_leaves_the_one_before(tmp_path: Path) -> None:
    replace_folder(tmp_path / "model", lambda folder: write_text(folder / "good", ""))

    def fail(folder: Path) -> None:
        write_text(folder / "half", "")
        raise ValueError

    with pytest.raises(ValueError):
        replace_folder(tmp_path / "model", fail)
    assert leftovers(tmp_path / "model") == ["good"]
    assert leftovers(tmp_path) == ["model"]


@pytest.mark.parametrize("damage", ["", "{", '{"txet": 1}', "[]"])
def test_a_damaged_file_names_itself_and_a_way_out(tmp_path: Path, damage: str) -> None:
    (tmp_path / "note.json").write_text(damage, encoding="utf-8")
    with pytest.raises(ProjectError) as caught:
        read_json(tmp_path / "note.json", Note)
    assert "note.json" in caught.value.what
    assert caught.value.do
