"""Imports a module in a process of its own: how long it takes and which heavy libraries come with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

_HEAVY = ("PySide6", "torch", "lightgbm", "sklearn", "tensorflow", "jax", "xgboost", "catboost")

_IMPORT = """
import importlib, json, sys, time
import crosslens
started = time.perf_counter()
importlib.import_module(sys.argv[1])
heavy = [name for name in sys.argv[2:] if name in sys.modules]
print(json.dumps([time.perf_counter() - started, heavy]))
"""


def import_alone(module: str) -> tuple[float, list[str]]:
    """Import `module` in a process of its own; return the seconds it took and the heavy libraries it brought."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    command = [sys.executable, "-c", _IMPORT, module, *_HEAVY]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    seconds, heavy = json.loads(done.stdout.splitlines()[-1])
    return seconds, heavy
