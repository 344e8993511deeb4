"""The command line as a shell meets it: exit codes, sentences, JSON."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len

from core.display import Align, Table, TableColumn
from crosslens import InternalError, SourceError, __version__
from ui.terminal import cli
from ui.terminal.doctor import install_packages
from ui.terminal.parts import Parts
from ui.terminal.terminal import Terminal, parts_of, widths_of, without_nan


def parts(**makers: Any) -> Parts:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("not needed for this command")

    names = ("services", "window", "screenshots", "write_pdf", "library", "host")
    return Parts(program=("crosslens",), **(dict.fromkeys(names, never) | makers))


def failing(error: BaseException) -> Any:
    def services(**_: Any) -> Any:
        raise error

    return services


def test_the_version_is_printed_without_loading_anything(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run(["--version"], parts())
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"crosslens {__version__}\n"


def test_without_a_command_the_window_opens() -> None:
    asked: list[Path | None] = []
    assert cli.run([], parts(window=lambda project: asked.append(project) or 0)) == 0
    assert asked == [None]


def test_open_passes_the_project_on() -> None:
    asked: list[Path | None] = []
    assert cli.run(["open", "my shop"], parts(window=lambda project: asked.append(project) or 0)) == 0
    assert asked == [Path("my shop")]


def test_the_worlds_failure_is_exit_1_and_three_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    error = SourceError("It is gone.", why="Somebody moved it.", do="Look again.")
    assert cli.run(["runs"], parts(services=failing(error))) == 1
    assert capsys.readouterr().err.splitlines() == ["It is gone.", "Somebody moved it.", "Look again."]


def test_our_own_failure_is_exit_3_with_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["runs"], parts(services=failing(InternalError("a bug")))) == 3
    shown = capsys.readouterr().err
    assert "our fault" in shown
    assert "InternalError: a bug" in shown


def test_with_json_the_error_is_json_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    error = SourceError("It is gone.", why="Somebody moved it.", do="Look again.")
    assert cli.run(["runs", "--json"], parts(services=failing(error))) == 1
    problem = json.loads(capsys.readouterr().out)
    assert problem == {"error": {"what": "It is gone.", "why": "Somebody moved it.", "do": "Look again."}}


@pytest.mark.parametrize("arguments", [["train"], ["train", "a.toml", "--resume", "x"]])
def test_train_wants_a_recipe_or_a_run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments, parts()) == 1
    assert "either a recipe or a run" in capsys.readouterr().err


def test_a_recipe_that_is_not_there_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["train", str(tmp_path / "no.toml")], parts()) == 1
    assert "no recipe" in capsys.readouterr().err


def test_doctor_speaks_json(capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.run(["doctor", "--json"], parts())
    findings = json.loads(capsys.readouterr().out)
    assert {finding["name"] for finding in findings} >= {"Python", "Memory", "Project folder", "Keyring"}
    required_and_bad = [each for each in findings if not each["good"] and each.get("required", True)]
    assert code == (1 if required_and_bad else 0)
    assert all(finding.get("remedy") for finding in required_and_bad)


def test_missing_libraries_without_rights_name_the_exact_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/apt-get")
    with pytest.raises(Exception, match="sudo apt-get install -y libegl1 libgl1"):
        install_packages(("libegl1", "libgl1"))


def test_nothing_missing_installs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", failing(AssertionError("nothing to install")))
    install_packages(())


def test_json_never_holds_what_other_readers_refuse() -> None:
    assert without_nan({"a": [1.0, math.nan, (math.inf,)], "b": "x"}) == {"a": [1.0, None, [None]], "b": "x"}


def test_a_table_keeps_its_columns_apart(capsys: pytest.CaptureFixture[str]) -> None:
    heads = (TableColumn("Model"), TableColumn("AUC", Align.RIGHT, decimals=3))
    Terminal(as_json=False).table(Table("Runs", heads, (("[bold]x", 0.51234), ("y", None)), note="on test rows"))
    shown = capsys.readouterr().out
    assert "0.512" in shown
    assert "[bold]x" in shown
    assert "on test rows" in shown


@pytest.mark.parametrize(
    ("widths", "room", "parts"),
    [
        ([], 80, [[]]),
        ([5], 80, [[0]]),
        ([5, 5, 5], 25, [[0, 1, 2]]),
        ([5, 5, 5], 24, [[0, 1], [0, 2]]),
        ([5, 50, 5], 20, [[0, 1], [0, 2]]),
    ],
    ids=["no column", "one", "they fit", "one letter short", "one that never fits"],
)
def test_a_table_too_wide_is_parted_and_each_part_begins_with_the_first_column(
    widths: list[int], room: int, parts: list[list[int]]
) -> None:
    assert parts_of(widths, room) == parts


def test_columns_share_the_room_narrow_ones_first() -> None:
    assert widths_of([4, 4], [6, 40], 31) == [6, 18]
    assert widths_of([4, 4], [6, 10], 80) == [6, 10]
    assert widths_of([40, 40], [60, 60], 30) == [40, 40]


@pytest.mark.parametrize("room", [40, 80, 200])
def test_no_word_of_a_table_is_cut_in_a_narrow_terminal(
    room: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(room))
    monkeypatch.setenv("FORCE_COLOR", "1")
    names = [f"Parameter{number} regularisation" for number in range(9)]
    columns = tuple(TableColumn(name, Align.RIGHT, decimals=5) for name in ("trial", *names))
    Terminal(as_json=False).table(Table("Trials", columns, (tuple(number / 7 for number in range(10)),)))
    printed = capsys.readouterr().out
    assert all(f"Parameter{number}" in printed for number in range(9))
    assert "…" not in printed
    assert max(map(cell_len, re.sub(r"\x1b\[[0-9;]*m", "", printed).splitlines())) <= room


@pytest.mark.parametrize("output", ["shop.db", "shop.DUCKDB", "postgresql://ann@db/shop"])
def test_a_database_wants_the_name_of_a_table(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["predict", "latest", output], parts(services=lambda **_: SimpleNamespace(plugins=None))) == 1
    assert "--table" in capsys.readouterr().err
