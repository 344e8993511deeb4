"""The contract of one model or text encoder of a plugin, as a test class. Needs pytest."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pluggy

from crosslens import Task, hooks
from crosslens.testing import FunnelContract, ModelContract, NextItemContract, TextEncoderContract

_OF_TASK: dict[Task, type] = {
    Task.CTR: ModelContract,
    Task.FUNNEL: FunnelContract,
    Task.NEXT_ITEM: NextItemContract,
}


def contract(entry: str, wanted: str) -> type:
    """Return the test class of what `entry` registers under the id `wanted`; KeyError if there is no such thing."""
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(import_module(entry))
    models: dict[str, Any] = {spec.id: spec for specs in manager.hook.crosslens_register_models() for spec in specs}
    if wanted in models:
        return type("TestContract", (_OF_TASK[models[wanted].task],), {"spec": models[wanted]})
    encoders = {spec.id: spec for specs in manager.hook.crosslens_register_text_encoders() for spec in specs}
    return type("TestContract", (TextEncoderContract,), {"spec": encoders[wanted]})
