"""Scratch folders: found again by the name of their process, and removed when it is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crosslens import _scratch
from crosslens._scratch import make_scratch, scratch, sweep

MAKE = """
import sys
from pathlib import Path
from crosslens._scratch import make_scratch
made = make_scratch(Path(sys.argv[1]))
(made / "part").mkdir()
(made / "part" / "spilled").write_text("rows")
print(made, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def another(tmp_path: Path):
    """Another process with a scratch folder in `tmp_path`."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_a_folder_is_removed_when_it_is_done_with(tmp_path: Path) -> None:
    with scratch(tmp_path) as folder:
        (folder / "rows").write_text("x")
        assert folder.parent == tmp_path
        assert folder.name.startswith("crosslens-")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_swept(tmp_path: Path, another) -> None:
    process, left = another
    process.kill()
    process.wait()
    assert (left / "part" / "spilled").exists()
    assert sweep(tmp_path) == (left,)
    assert not left.exists()


def test_making_a_folder_sweeps_first(tmp_path: Path, another) -> None:
    process, _ = another
    process.kill()
    process.wait()
    made = make_scratch(tmp_path)
    assert list(tmp_path.iterdir()) == [made]


def test_the_folder_of_a_living_process_is_never_touched(tmp_path: Path, another) -> None:
    _, held = another
    own = make_scratch(tmp_path)
    assert sweep(tmp_path) == ()
    assert held.exists()
    assert own.exists()


def test_a_pid_given_to_a_stranger_does_not_keep_a_folder(tmp_path: Path) -> None:
    made = make_scratch(tmp_path)
    mark = _scratch._mark("another start")
    left = made.rename(tmp_path / f"crosslens-{_scratch._host()}-{os.getpid()}-{mark}-abcd")
    assert sweep(tmp_path) == (left,)


@pytest.mark.parametrize(
    "name",
    [
        "crosslens-",
        "crosslens-benchmark",
        "crosslens-abcdefgh",
        "crosslens-00000000-999999999-00000000-x",
        "other-00000000-999999999-00000000-x",
    ],
)
def test_folders_of_other_names_and_other_computers_stay(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert sweep(tmp_path) == ()
    assert (tmp_path / name).exists()


def gone(prefix: str = "crosslens-") -> str:
    return f"{prefix}{_scratch._host()}-999999999-00000000-x"


def test_links_and_files_with_such_a_name_stay(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (tmp_path / gone()).symlink_to(precious, target_is_directory=True)
    (tmp_path / f"{gone()}y").write_text("a file")
    assert sweep(tmp_path) == ()
    assert precious.exists()


def test_each_prefix_is_swept_alone(tmp_path: Path) -> None:
    (tmp_path / gone(".score-")).mkdir()
    assert sweep(tmp_path) == ()
    assert sweep(tmp_path, ".score-") == (tmp_path / gone(".score-"),)


def test_a_place_that_is_not_there_has_nothing_to_sweep(tmp_path: Path) -> None:
    assert sweep(tmp_path / "nowhere") == ()
