"""From a server to a trained model, predictions and a report; and the password is nowhere on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import numpy as np
import pyarrow as pa
import pytest

import main
from core.connections import connection_text
from core.recipe_toml import recipe_from_toml
from core.run_folder import RunFolder
from crosslens.plain import to_plain
from crosslens.relational import ColumnInfo, ColumnType, ForeignKey, TableInfo, TableRef

from .conftest import Server
from .shop import write_shop, write_table

NAMES = ['a"b', "a'b", "a`b", "select", "Größe", "имя", "x; drop", "%s", ":name", "MiXed", "%(x)s", "a\\b", "x" * 63]


def url_of(server: Server) -> str:
    user, _, place = connection_text(server.reader).partition("@")
    return f"{user}:{quote(server.reader.secret or '', safe='')}@{place}"


def told(capfd: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main.main([*arguments, "--json"]) == 0
    return json.loads(capfd.readouterr().out)


@pytest.fixture(scope="module")
def shop(server: Server) -> Server:
    write_shop(server, rows=3_000)
    return server


def test_a_shop_on_a_server_becomes_a_model_predictions_and_a_report(
    shop: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_PASSWORD", shop.reader.secret or "")
    toml = told(
        capfd, "recipe", url_of(shop), "--base", "impressions", "--label", "clicks", "--model", "logistic",
        "--out", "shop.toml", "--password-variable", "SHOP_PASSWORD",
    )["recipe"]  # fmt: skip
    assert recipe_from_toml(toml).source.secret is None
    told(capfd, "train", "shop.toml", "--project", "project", "--threads", "1")
    run = told(capfd, "runs", "--project", "project")[0]
    assert run["status"] == "finished"
    assert run["metrics"]["auc"]["value"] > 0.55
    scored = told(capfd, "predict", run["id"], "scores.csv", "--project", "project", "--threads", "1")
    assert scored["rows"] == 3_000
    told(capfd, "report", run["id"], "--project", "project", "--out", "report.html")
    assert "impressions" in (tmp_path / "report.html").read_text(encoding="utf-8")
    refuse_password(shop, tmp_path)


def refuse_password(server: Server, folder: Path, *outputs: str) -> None:
    """No byte written anywhere holds the password, as it is or as a URL would have it."""
    secret = server.reader.secret or ""
    forms = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    needles = [form.encode() for form in forms]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        assert not any(needle in content for needle in needles), path
    for output in outputs:
        assert not any(form in output for form in forms)


def test_a_worker_gets_the_password_on_stdin_and_leaves_no_trace_of_it(shop: Server, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring", "CROSSLENS_THREADS": "1"}
    toml = _recipe_of(shop, tmp_path)
    asked = [
        {"command": "open-source", "arguments": {"connection": to_plain(shop.reader)}},
        {"command": "train", "arguments": {"project": str(tmp_path / "project"), "recipe": toml}},
    ]
    with subprocess.Popen(
        [sys.executable, main.ENTRY, "worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=environment, cwd=tmp_path,
    ) as worker:  # fmt: skip
        assert worker.stdin is not None and worker.stdout is not None and worker.stderr is not None
        events = []
        for number, line in enumerate(asked):
            worker.stdin.write(json.dumps({"id": number, **line, "secret": shop.reader.secret}) + "\n")
            worker.stdin.flush()
            events.append(_answer(worker.stdout))
        arguments = Path(f"/proc/{worker.pid}/cmdline").read_text() + Path(f"/proc/{worker.pid}/environ").read_text()
        worker.stdin.close()
        log = worker.stderr.read()
    assert [event["event"] for event in events] == ["result", "result"], events
    assert "READ ONLY" in events[0]["result"]["read_only"]
    refuse_password(shop, tmp_path, json.dumps(events), log, arguments)


def _recipe_of(server: Server, folder: Path) -> str:
    out = folder / "shop.toml"
    words = ["--base", "impressions", "--label", "clicks", "--model", "logistic", "--out", str(out)]
    assert main.main(["recipe", url_of(server), *words]) == 0
    return out.read_text(encoding="utf-8")


def _answer(lines: Any) -> Any:
    while True:
        event = json.loads(lines.readline())
        if event["event"] != "progress":
            return event


def test_a_wrong_password_is_a_sentence_without_the_password(shop: Server, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = url_of(shop).replace(quote(shop.reader.secret or "", safe=""), "hush-hush")
    assert main.main(["recipe", wrong, "--base", "impressions"]) == 1
    said = capfd.readouterr()
    assert "assword" in said.err or "let" in said.err
    assert "hush-hush" not in said.err + said.out


def test_strange_names_travel_from_a_server_to_the_report(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [*NAMES, "ends with space "] if server.is_postgresql else NAMES  # MySQL forbids a space at the end
    _write_strange(server, names)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSWORD_OF_READER", server.reader.secret or "")
    words = ["--label", "select.clicked", "--model", "logistic", "--password-variable", "PASSWORD_OF_READER"]
    toml = told(capfd, "recipe", connection_text(server.reader), "--base", "select", *words, "--out", "r.toml")[
        "recipe"
    ]
    told(capfd, "train", "r.toml", "--project", "projékt", "--threads", "1")
    run = told(capfd, "runs", "--project", "projékt")[0]["id"]
    fields = RunFolder(tmp_path / "projékt" / "runs" / run).facts().fields
    assert "Größe" in toml
    assert all(any(name in field for field in fields) for name in names)
    told(capfd, "predict", run, "scores.csv", "--project", "projékt", "--threads", "1")
    told(capfd, "report", run, "--project", "projékt", "--out", "report.html")


def _write_strange(server: Server, names: list[str]) -> None:
    rng = np.random.default_rng(0)
    sizes = TableInfo(
        TableRef("Größe"), (ColumnInfo("id", ColumnType.INTEGER), ColumnInfo("a.b", ColumnType.TEXT)), ("id",)
    )
    write_table(server, sizes, pa.table({"id": range(20), "a.b": [f"«{number % 3}»" for number in range(20)]}))
    columns = [ColumnInfo(name, ColumnType.TEXT) for name in names]
    infos = (
        ColumnInfo("id", ColumnType.INTEGER), *columns,
        ColumnInfo("order", ColumnType.INTEGER), ColumnInfo("clicked", ColumnType.INTEGER),
    )  # fmt: skip
    values = {name: rng.choice(["ä", "b'c", 'd"e', None], 900).tolist() for name in names}
    key = ForeignKey(("order",), TableRef("Größe"), ("id",))
    rest = {"order": rng.integers(20, size=900), "clicked": (rng.random(900) < 0.3).astype(int)}
    write_table(
        server,
        TableInfo(TableRef("select"), infos, ("id",), (key,)),
        pa.table({"id": range(900), **values, **rest}),
    )
