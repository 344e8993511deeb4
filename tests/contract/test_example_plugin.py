"""The plugin under examples/ is what a stranger would write: it loads by its entry point and keeps the contract."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pluggy
import pytest

from crosslens import FitContext, hooks
from crosslens.testing import training_data, xor

_ROOT = Path(__file__).parents[2]
_EXAMPLE = _ROOT / "examples" / "crosslens-cross-tables"


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> pluggy.PluginManager:
    monkeypatch.syspath_prepend(str(_EXAMPLE))
    announced = tomllib.loads((_EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    for name, module in announced[hooks.ENTRY_POINT_GROUP].items():
        manager.register(import_module(module), name)
    manager.check_pending()
    return manager


def test_its_model_trains_after_loading_from_its_folder(manager: pluggy.PluginManager) -> None:
    ((spec,),) = manager.hook.crosslens_register_models()
    model = spec.build(spec.parameters()).fit(training_data(xor()), FitContext())
    fresh = xor(200, seed=9, noise=0.0)
    assert ((model.predict(fresh).logit() > 0) == (fresh.target > 0.5)).all()


def test_its_own_tests_pass_as_its_author_would_run_them() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:pytest-qt"],
        cwd=_EXAMPLE,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(_ROOT), str(_EXAMPLE)]), PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "failed" not in done.stdout
