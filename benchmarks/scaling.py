"""How the cost of training grows: seconds an epoch and peak memory at 1, 4 and 16 times the rows, and the vocabulary.

Every size trains in a process of its own, sizes in turn. Growth is per factor 16: 16 is as fast as the work.
"""

from __future__ import annotations

import os
from typing import Any

from .planted import planted_parts
from .turns import SideSpec, running_sides

_FACTORS = (1, 4, 16)
_MODELS = ("arm-net", "autoint", "esmm", "lightgbm")
_BATCH = 4096


def measure(rows: int = 16_384, repeats: int = 3, threads: int = 0) -> dict[str, Any]:
    """Train every model for `repeats` epochs at every size and return seconds an epoch and peak memory in MB."""
    threads = threads or os.cpu_count() or 1
    found: dict[str, Any] = {}
    for model in _MODELS:
        found[model] = {
            "rows": [_cost(model, rows * factor, 500, repeats, threads) for factor in _FACTORS],
            "values of a field": [_cost(model, rows, 500 * factor, repeats, threads) for factor in _FACTORS],
        }
    return {"rows": rows, "values": 500, "fields": 10, "factors": _FACTORS, "threads": threads, "models": found}


def _cost(model: str, rows: int, values: int, epochs: int, threads: int) -> dict[str, float]:
    labels = ("click", "conversion") if model == "esmm" else ("click",)
    data = planted_parts(rows, 4096, values=values, labels=labels)
    settings = {"model": model, "seed": 0, "threads": threads, "parameters": _parameters(model, epochs)}
    with running_sides(data, [SideSpec(model, "ours.py", settings)], epochs=epochs) as (side,):
        answers = [side.ask(do="train") for _ in range(epochs)]
    seconds = min(answer["processor"] for answer in answers[1:] or answers)
    return {"rows": rows, "values": values, "processor_seconds": seconds, "peak_mb": answers[-1]["peak_mb"]}


def _parameters(model: str, epochs: int) -> dict[str, Any]:
    if model == "lightgbm":
        return {"num_trees": epochs, "patience": epochs + 1}
    return {"epochs": epochs, "patience": epochs + 1, "batch_size": _BATCH}


def table(figures: dict[str, Any]) -> str:
    """Return seconds of the processor an epoch (a tree, for LightGBM) and peak memory as a table to print."""
    lines = [f"{figures['rows']:,} rows, {figures['values']} values in each of {figures['fields']} fields, times …"]
    for model, kinds in figures["models"].items():
        for kind, costs in kinds.items():
            cells = "".join(f"{each['processor_seconds']:9.2f} s {each['peak_mb']:6.0f} MB" for each in costs)
            grown = costs[-1]["processor_seconds"] / max(costs[0]["processor_seconds"], 1e-9)
            lines.append(f"  {model:10}{kind:20}{cells}   16x: {grown:5.1f} times the time")
    return "\n".join(lines)
