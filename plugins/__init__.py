"""The built-in models; they speak crosslens and torch or LightGBM, never the app.

Each module registers its models through the same hook as a stranger's plugin.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

_BUILT_IN = (("arm-net", "armnet"), ("lightgbm", "lightgbm_model"), ("logistic", "logistic"))


def builtin_plugins() -> tuple[tuple[str, ModuleType], ...]:
    """Return (name, module) of every built-in plugin, in the order in which the app lists them."""
    return tuple((name, import_module(f"{__name__}.{module}")) for name, module in _BUILT_IN)
