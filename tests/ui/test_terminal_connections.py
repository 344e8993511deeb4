"""`crosslens connections`: list, rename, delete; and what `crosslens doctor` says of drivers, disks and folders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.credentials import PassingCredentials
from core.services import Services
from crosslens.errors import SourceError
from crosslens.relational import ConnectionSpec
from crosslens.runs import StoredConnection
from db.store import SqlProjects
from ui.terminal import cli, doctor
from ui.terminal.installed import DRIVERS, LEARNERS, OPTIONAL, Package
from ui.terminal.parts import Parts

USED = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SHOP = StoredConnection("c1", "shop", ConnectionSpec("postgresql", "shop", "db", 5433, "ann", credential="k1"), USED)
FILE = StoredConnection("c2", "visits", ConnectionSpec("sqlite", "/data/visits.db"))


class Locked(PassingCredentials):
    """A keyring nobody unlocks."""

    def forget(self, credential: str) -> None:
        raise SourceError("The system's keyring did not answer.", do="Unlock it and try again.")


@pytest.fixture
def credentials() -> PassingCredentials:
    credentials = PassingCredentials()
    credentials.save("k1", "s3cret")
    return credentials


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    with SqlProjects().open(tmp_path / "project", create=True) as store:
        for each in (SHOP, FILE):
            store.save_connection(each)
    return tmp_path / "project"


def run(credentials: PassingCredentials, *arguments: str) -> int:
    def services(**_: Any) -> Services:
        return Services(sources=None, projects=SqlProjects(), host=None, credentials=credentials)  # type: ignore[arg-type]

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("not needed for this command")

    parts = Parts(
        ("crosslens",), services=services, window=never, screenshots=never, write_pdf=never, library=never, host=never
    )
    return cli.run(["connections", *arguments], parts)


def names(project: Path) -> list[str]:
    with SqlProjects().open(project) as store:
        return [each.name for each in store.connections()]


def test_connections_are_listed_with_kind_and_place(
    project: Path, credentials: PassingCredentials, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(credentials, str(project)) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("shop", "PostgreSQL", "ann@db:5433", "visits", "SQLite", "/data"))


def test_the_list_as_json_has_no_password(
    project: Path, credentials: PassingCredentials, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(credentials, str(project), "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in listed] == ["shop", "visits"]
    assert "secret" not in listed[0]["spec"]


def test_a_connection_is_renamed_by_its_name_or_id(project: Path, credentials: PassingCredentials) -> None:
    assert run(credentials, str(project), "rename", "shop", "old shop") == 0
    assert run(credentials, str(project), "rename", "c2", "visits of May") == 0
    assert names(project) == ["old shop", "visits of May"]


def test_deleting_wants_a_yes(
    project: Path, credentials: PassingCredentials, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(credentials, str(project), "delete", "shop") == 1
    assert "Add --yes." in capsys.readouterr().err
    assert names(project) == ["shop", "visits"]


@pytest.mark.parametrize(("answer", "left"), [("y", ["visits"]), ("", ["shop", "visits"]), ("n", ["shop", "visits"])])
def test_at_a_terminal_one_is_asked(
    answer: str, left: list[str], project: Path, credentials: PassingCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or answer)
    run(credentials, str(project), "delete", "shop")
    assert asked == ["Delete the connection “shop” (ann@db:5433) and its password in the keyring? [y/N] "]
    assert names(project) == left


def test_deleting_forgets_the_password_unless_told_otherwise(project: Path, credentials: PassingCredentials) -> None:
    assert run(credentials, str(project), "delete", "shop", "--yes", "--keep-password") == 0
    assert credentials.has("k1")
    with SqlProjects().open(project) as store:
        store.save_connection(SHOP)
    assert run(credentials, str(project), "delete", "shop", "--yes") == 0
    assert not credentials.has("k1")
    assert names(project) == ["visits"]


def test_nothing_is_deleted_while_the_keyring_stays_locked(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Locked(), str(project), "delete", "shop", "--yes") == 1
    assert "keyring did not answer" in capsys.readouterr().err
    assert names(project) == ["shop", "visits"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rename", "nothing", "x"], "no saved connection called nothing"),
        (["rename", "shop"], "takes two names"),
        (["rename", "shop", "  "], "needs a name"),
        (["delete", "--yes"], "takes one name"),
        (["list", "shop"], "takes no name"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    arguments: list[str], said: str, project: Path, credentials: PassingCredentials, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(credentials, str(project), *arguments) == 1
    assert said in capsys.readouterr().err
    assert names(project) == ["shop", "visits"]


def test_of_two_connections_with_one_name_the_id_is_asked_for(
    project: Path, credentials: PassingCredentials, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(credentials, str(project), "rename", "visits", "shop") == 0
    assert run(credentials, str(project), "delete", "shop", "--yes") == 1
    assert "c1 (ann@db:5433)" in capsys.readouterr().err
    assert names(project) == ["shop", "shop"]


def test_doctor_has_a_line_for_every_driver_folder_and_optional_part() -> None:
    found = {finding.name: finding for finding in doctor.examine(Path("project").absolute())}
    for package in (*DRIVERS, *LEARNERS, *OPTIONAL):
        finding = found[f"{package.name} ({package.purpose})"]
        assert finding.good or finding.remedy.startswith("Run: ")
        assert finding.required is not package.optional
    assert {"Project folder", "Settings folder", "Temporary files", "Processor threads", "Keyring"} <= set(found)


def test_a_driver_that_is_missing_or_broken_comes_with_the_line_that_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_driver.py").write_text("import a_library_that_is_not_there\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    missing = Package("Tests", "no_such_driver", "no-such-driver")
    assert missing.problem() == "not installed"
    assert missing.remedy.endswith('-m pip install --upgrade "no-such-driver"')
    broken = Package("Tests", "broken_driver", "broken-driver")
    assert broken.problem().startswith("installed, but does not load (")
    assert doctor._package(broken).required


def test_a_folder_that_cannot_be_written_and_a_full_disk_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE", 10**18)
    tight = doctor._writable("Temporary files", tmp_path, "")
    assert (tight.good, tight.required) == (False, False)
    assert tight.remedy.startswith("Free some space")

    def refuse(**_: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    closed = doctor._writable("Temporary files", tmp_path, "Set TMPDIR.")
    assert (closed.good, closed.remedy, closed.required) == (False, "Set TMPDIR.", True)
