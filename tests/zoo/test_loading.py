"""Plugins that misbehave while they are looked into: each costs its own process and becomes a row with a sentence."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.plugins.joining import host_of, listed
from core.plugins.library import Library
from core.plugins.rows import PluginRow, Standing
from plugins import builtin_plugins

from .wheels import MODEL, make_bundle, make_plugin, make_wheel, plugin_id

RAISES = "raise RuntimeError('no licence found')"
ZOO = {
    "raises": (RAISES, "The plugin {name} could not be loaded: RuntimeError: no licence found."),
    "exits": ("import sys; sys.exit(3)", "it tried to end the program."),
    "leaves": ("import os; os._exit(7)", "it ended its own process (exit code 7)."),
    "crashes": ("import os; os.kill(os.getpid(), 11)", "it crashed (SIGSEGV)."),
    "hangs": ("while True: pass", "its import took more than 2 seconds."),
    "floods": ("while True: print('x' * 100_000)", "its import took more than 2 seconds."),
    "misspells": (
        "from crosslens import hookimpl\n@hookimpl\ndef crosslens_register_modles(): return []",
        "crosslens_register_modles",
    ),
    "misunderstands": (
        "from crosslens import hookimpl\n@hookimpl\ndef crosslens_register_models(colour): return []",
        "colour",
    ),
    "empty": ("", "it implements no hook."),
    "imports": ("import there_is_no_such_module", "ModuleNotFoundError: No module named 'there_is_no_such_module'."),
    "syntax": ("def (", "SyntaxError"),
}


def row_of(library: Library, name: str) -> PluginRow:
    return next(row for row in listed(library, host_of(builtin_plugins(), library)) if row.name == name)


@pytest.mark.parametrize("name", ZOO)
def test_a_plugin_that_cannot_be_loaded_is_a_row_that_says_why(library: Library, tmp_path: Path, name: str) -> None:
    code, said = ZOO[name]
    row = library.install(make_plugin(tmp_path, name, code=code or "# nothing\n"))
    assert row.standing is Standing.BROKEN
    assert said.format(name=name) in row.sentence
    assert row.sentence.startswith(f"The plugin {name} could not be loaded: ")
    assert [model.id for model in row.models] == [name]  # known without its code


def test_what_a_broken_plugin_said_is_kept_for_its_author(library: Library, tmp_path: Path) -> None:
    row = library.install(make_plugin(tmp_path, "raises", code=f"print('a word before')\n{RAISES}"))
    assert "Traceback" in row.details


@pytest.mark.parametrize(
    "code",
    [
        "print('rubbish'); import sys; sys.stderr.write('more')",
        'import os; os.write(1, b\'{"event": "result"}\')',
        "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()",
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(5)'])",
        "import sys; sys.stdin.read()",
    ],
    ids=["prints", "writes events", "leaves a thread", "leaves a process", "reads"],
)
def test_a_noisy_plugin_is_used_all_the_same(library: Library, tmp_path: Path, code: str) -> None:
    row = library.install(make_plugin(tmp_path, "noisy", code=code + MODEL.format(model="noisy", title="Noisy")))
    assert (row.standing, row.sentence) == (Standing.ENABLED, "")
    assert row.seconds is not None


def test_a_model_id_of_a_built_in_one_is_refused_and_the_built_in_one_kept(library: Library, tmp_path: Path) -> None:
    library.install(make_plugin(tmp_path, "clash", model="arm-net"))
    row = row_of(library, "clash")
    assert row.standing is Standing.BROKEN
    assert row.sentence == "The model 'arm-net' of the plugin clash was refused: arm-net already brings one."
    assert host_of(builtin_plugins(), library).model("arm-net").title != "Clash"


def test_a_model_the_form_cannot_show_is_a_problem_of_its_plugin(library: Library, tmp_path: Path) -> None:
    code = MODEL.format(model="odd", title="Odd").replace("share: float", "share: dict")
    library.install(make_plugin(tmp_path, "odd", code=code))
    row = row_of(library, "odd")
    assert row.standing is Standing.BROKEN
    assert "parameter 'share' has type" in row.sentence


def test_the_code_of_a_plugin_never_comes_into_this_process(library: Library, tmp_path: Path) -> None:
    mark = tmp_path / "pids"
    code = f"import os\nwith open({str(mark)!r}, 'a') as file: file.write(f'{{os.getpid()}} ')\n"
    library.install(make_plugin(tmp_path, "spy", code=code + MODEL.format(model="spy", title="Spy")))
    host_of(builtin_plugins(), library).model("spy").parameters()
    (pid,) = mark.read_text().split()
    assert int(pid) != os.getpid()


def test_the_form_of_a_described_model_is_that_of_the_plugin(library: Library, tmp_path: Path) -> None:
    code = MODEL.format(model="form", title="Form").replace(
        "    share: float",
        '    layers: tuple[int, ...] = parameter((8, 4), label="Layers", search=(1, 2))\n    share: float',
    )
    library.install(make_plugin(tmp_path, "form", code=code))
    spec = host_of(builtin_plugins(), library).model("form")
    made = spec.parameters(share=0.25)
    assert (made.layers, made.share) == ((8, 4), 0.25)


def installed_pair(library: Library, tmp_path: Path) -> Iterator[PluginRow]:
    for name, version in (("left", "1.0"), ("right", "2.0")):
        fluff = make_wheel(tmp_path / version, "fluff", {"fluff.py": f"VERSION = '{version}'"}, version=version)
        code = f"import fluff\nassert fluff.VERSION == '{version}'\n" + MODEL.format(model=name, title=name)
        plugin = make_plugin(tmp_path, name, code=code, requires=[f"fluff=={version}"])
        yield library.install(make_bundle(tmp_path / f"{name}.crosslens-plugin", plugin, [fluff]))


def test_two_plugins_have_two_versions_of_one_package(library: Library, tmp_path: Path) -> None:
    rows = list(installed_pair(library, tmp_path))
    assert [(row.standing, row.private) for row in rows] == [
        (Standing.ENABLED, ("fluff 1.0",)),
        (Standing.ENABLED, ("fluff 2.0",)),
    ]
    assert {"left", "right"} <= {model.id for model in host_of(builtin_plugins(), library).models()}


def test_several_installations_at_once_do_not_disturb_each_other(library: Library, tmp_path: Path) -> None:
    wheels = [make_plugin(tmp_path, f"p{number}") for number in range(3)]
    threads = [threading.Thread(target=library.install, args=(wheel,)) for wheel in wheels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row.standing for row in library.rows() if row.origin == "file"] == [Standing.ENABLED] * 3


def test_a_plugin_that_took_its_process_with_it_is_left_out_at_the_next_start(library: Library, tmp_path: Path) -> None:
    library.install(make_plugin(tmp_path, "plush"))
    loading = library.folder / "loading" / f"{plugin_id('plush')}.1.json"
    loading.parent.mkdir(exist_ok=True)
    loading.write_text(json.dumps({"key": plugin_id("plush"), "pid": 2**22 - 1, "start": "long ago", "since": 0.0}))
    assert library.start() == ("plush",)
    row = library.row("plush")
    assert row.standing is Standing.BROKEN
    assert "its process ended while it was being imported" in row.sentence
    assert library.start() == ()
    assert library.enable(row.key).standing is Standing.ENABLED
