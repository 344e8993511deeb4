"""Built-in models go through the same hook as a stranger's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pluggy
import pytest

from crosslens import ModelSpec, describe_parameters, hooks
from plugins import builtin_plugins

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def models() -> tuple[ModelSpec, ...]:
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    for name, module in builtin_plugins():
        manager.register(module, name)
    manager.check_pending()
    return tuple(spec for specs in reversed(manager.hook.crosslens_register_models()) for spec in specs)


def test_every_built_in_model_registers_through_the_hook(models: tuple[ModelSpec, ...]) -> None:
    ids = [spec.id for spec in models]
    assert {"arm-net", "arm-net-plus", "autoint", "autoint-plus", "lightgbm", "logistic"} <= set(ids)
    assert len(ids) == len(set(ids))


def test_every_parameter_has_help_or_a_label_that_says_it_all(models: tuple[ModelSpec, ...]) -> None:
    main = [info for spec in models for info in describe_parameters(spec.parameters) if not info.advanced]
    assert [info.name for info in main if not info.help] == []


def test_registering_imports_no_heavy_library() -> None:
    code = "import plugins, json, sys; plugins.builtin_plugins(); print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True)
    heavy = {"torch", "lightgbm", "sklearn", "scipy", "PySide6", "sqlalchemy", "pyarrow"}
    assert heavy & set(json.loads(done.stdout)) == set()
