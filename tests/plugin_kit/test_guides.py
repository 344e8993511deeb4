"""The guides work as they stand: every file they show is written and every command run, from an empty folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .guide import RunCommand, WriteFile, follow, steps

_DOCS = Path(__file__).parents[2] / "docs" / "plugins"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform == "win32", reason="the guides are written for a Unix shell")
@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("writing-a-model.md", "crosslens plugin remove"),
        ("writing-a-model-in-pytorch.md", "crosslens plugin remove"),
        ("writing-a-text-encoder.md", "crosslens recipe shop.db"),
    ],
)
def test_a_newcomer_who_follows_the_guide_gets_to_its_end(name: str, last: str, tmp_path: Path) -> None:
    ran = follow((_DOCS / name).read_text(encoding="utf-8"), tmp_path)
    assert any(command.startswith("crosslens plugin install") for command in ran)
    assert ran[-1].startswith(last)


def test_blocks_are_files_and_commands_in_their_order() -> None:
    guide = "Write `a/b.py`:\n\n```python\nx = 1\n```\n\n```text\nnot run\n```\n\n```console\n$ ls\nb.py\n$ true\n```\n"
    assert list(steps(guide)) == [WriteFile("a/b.py", "x = 1\n"), RunCommand("ls", ("b.py",)), RunCommand("true", ())]


@pytest.mark.parametrize("guide", ["```python\nx = 1\n```\n", "```console\nb.py\n```\n", "```ruby\nputs 1\n```\n"])
def test_a_block_nobody_knows_what_to_do_with_is_an_error(guide: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(steps(guide))


@pytest.mark.parametrize("guide", ["```console\n$ false\n```\n", "```console\n$ echo one\ntwo\n```\n"])
def test_a_command_that_fails_or_says_something_else_fails_the_guide(guide: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        follow(guide, tmp_path)
