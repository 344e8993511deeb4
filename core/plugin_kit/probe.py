"""Imports a plugin in a process of its own and writes what it brings as JSON: `python -m core.plugin_kit.probe`.

Arguments: the module to import, the file to write.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

HEAVY = ("PySide6", "torch", "lightgbm", "sklearn", "tensorflow", "jax", "xgboost", "catboost", "pandas")


def probe(entry: str) -> dict[str, Any]:
    """Return how long the import took, what came with it, what was printed, and what the plugin registers."""
    import crosslens  # noqa: F401  the app has it already: its time is not the plugin's

    before = set(sys.modules)
    printed = io.StringIO()
    started = time.perf_counter()
    with contextlib.redirect_stdout(printed):
        module = importlib.import_module(entry)
    seconds = time.perf_counter() - started
    heavy = [name for name in HEAVY if name in set(sys.modules) - before]
    return {"seconds": seconds, "heavy": heavy, "printed": printed.getvalue(), **_registered(entry, module)}


def _registered(entry: str, module: Any) -> dict[str, Any]:
    from core.plugin_host import load_plugins

    host = load_plugins([(entry, module)])
    models = [
        {
            "id": spec.id,
            "title": spec.title,
            "task": spec.task.value,
            "needs": sorted(role.value for role in spec.needs),
            "explains": sorted(kind.value for kind in spec.explains),
        }
        for spec in host.models()
    ]
    encoders = [{"id": spec.id, "title": spec.title} for spec in host.text_encoders()]
    return {
        "models": models,
        "text_encoders": encoders,
        "problems": [problem.message for problem in host.problems()],
    }


if __name__ == "__main__":
    found = probe(sys.argv[1])
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")
