"""Whatever is installed, the window is there as soon as without it, and says what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.plugins.library import Library

from .conftest import MAIN
from .wheels import make_plugin, plugin_id

PROBE = """
import json, sys, time
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import main
from ui.desktop.application import destroy, make_application, make_window
application = make_application()
folder = Path(sys.argv[2])
started = time.process_time()
services = replace(main.desktop_services(None), settings_file=folder / "s.ini", projects_folder=folder)
window = make_window(services)
window.show()
application.processEvents()
seconds = time.process_time() - started
window.show_page("plugins")
application.processEvents()
rows = {card.row.name: (str(card.row.standing), card.row.sentence) for card in window.page.cards.values()}
models = [model.id for model in window.session.models]
print(json.dumps({"seconds": seconds, "rows": rows, "models": models}))
destroy(window)
"""

SICK = {
    "raises": "raise RuntimeError('no')",
    "crashes": "import os; os.kill(os.getpid(), 11)",
    "exits": "raise SystemExit",
    "hangs": "while True: pass",
}


def start(data: Path, folder: Path) -> dict[str, Any]:
    """Start the real window on a data folder and return what it shows."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(MAIN.parent), str(folder)],
        env={**os.environ, "CROSSLENS_DATA": str(data), "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return shown


@pytest.mark.slow
def test_the_window_starts_as_soon_with_a_zoo_as_without(library: Library, tmp_path: Path) -> None:
    library.seconds = 0.5
    for name, code in SICK.items():
        library.install(make_plugin(tmp_path, name, code=code))
    library.seconds = 10.0
    library.install(make_plugin(tmp_path, "clash", model="arm-net"))
    library.install(make_plugin(tmp_path, "many", files={f"many/f{number}.py": "" for number in range(2_000)}))
    library.install(make_plugin(tmp_path, "altered"))
    (library.folder / plugin_id("altered") / "1.0" / "site" / "altered" / "model.py").write_text("")
    alone = start(tmp_path / "nothing", tmp_path)
    zoo = start(library.folder.parent, tmp_path)
    assert zoo["seconds"] - alone["seconds"] < 1.0
    assert zoo["models"] == [*alone["models"], "many"]
    standings = {name: standing for name, (standing, _) in zoo["rows"].items()}
    assert standings == {**dict.fromkeys(SICK, "broken"), "clash": "broken", "many": "enabled", "altered": "changed"}
    sentences = [sentence for name, (_, sentence) in zoo["rows"].items() if name != "many"]
    assert all(sentence.endswith(".") for sentence in sentences), sentences


def run(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(MAIN), *arguments],
        env={**os.environ, "CROSSLENS_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_command_line_installs_lists_and_removes(tmp_path: Path) -> None:
    wheel, data = make_plugin(tmp_path, "plush"), tmp_path / "data"
    refused = run(data, "plugin", "install", str(wheel))
    assert (refused.returncode, "Add --yes." in refused.stderr) == (1, True)
    assert "not sandboxed" in refused.stdout
    done = run(data, "plugin", "install", str(wheel), "--yes")
    assert "plush 1.0 is installed and enabled. It brings: plush." in done.stdout, done.stderr
    listed = json.loads(run(data, "plugin", "list", "--json").stdout)
    assert {row["name"]: row["standing"] for row in listed}["plush"] == "enabled"
    safe = json.loads(run(data, "--safe-mode", "plugin", "list", "--json").stdout)
    assert {row["name"]: row["standing"] for row in safe}["plush"] == "left out"
    assert run(data, "plugin", "remove", "plush").returncode == 0
    assert "There is no plugin 'plush'." in run(data, "plugin", "info", "plush").stderr


@pytest.mark.slow
def test_the_command_line_says_what_it_started_without(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert run(data, "plugin", "install", str(make_plugin(tmp_path, "plush")), "--yes").returncode == 0
    runs = ("runs", "--project", str(tmp_path / "project"), "--json")
    assert "tarted without" not in run(data, *runs).stderr
    assert "Safe mode: started without plush." in run(data, "--safe-mode", *runs).stderr
    loading = data / "plugins" / "loading" / f"{plugin_id('plush')}.1.json"
    loading.write_text(json.dumps({"key": plugin_id("plush"), "pid": 2**22 - 1, "start": "long ago", "since": 0.0}))
    said = run(data, *runs)
    assert said.stderr.count("Started without plush.") == 1
    assert "crosslens plugin enable plush" in said.stderr
    assert "tarted without" not in said.stdout
    assert "tarted without" not in run(data, *runs).stderr


@pytest.mark.parametrize("path", ["https://example.org/x-1.0-py3-none-any.whl", "nothing.whl"])
def test_the_command_line_fetches_nothing(tmp_path: Path, path: str) -> None:
    done = run(tmp_path / "data", "plugin", "install", path, "--yes")
    assert done.returncode == 1
    assert "cannot be installed" in done.stderr
