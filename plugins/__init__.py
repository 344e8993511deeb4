"""The built-in models; they speak crosslens and torch or LightGBM, never the app.

Each module registers its models through the same hook as a stranger's plugin.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

# The threads of torch and LightGBM wait for each other by spinning unless told otherwise. On a desktop that is doing
# anything else, spinning threads hold up the very thread they wait for: ARM-Net predicted 8,000 rows in 4.1 s with two
# spinning threads beside other work, and in 0.2 s with sleeping ones. Read once, when the first of the libraries loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_BUILT_IN = (
    ("arm-net", "armnet"),
    ("autoint", "autoint"),
    ("esmm", "esmm"),
    ("lightgbm", "lightgbm_model"),
    ("logistic", "logistic"),
    ("sra-cl", "sra_cl"),
    ("next-item", "next_item"),
    ("text-encoders", "text_encoders"),
)


def builtin_plugins() -> tuple[tuple[str, ModuleType], ...]:
    """Return (name, module) of every built-in plugin, in the order in which the app lists them."""
    return tuple((name, import_module(f"{__name__}.{module}")) for name, module in _BUILT_IN)
