"""Whether a job's models can train where they are told to, asked before any row is read for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crosslens.models import DeviceCheck, ModelSpec

_EVERYWHERE = ("auto", "cpu")


def check_device(models: Iterable[tuple[ModelSpec, Any]], device: str) -> None:
    """Ask models, each with its parameters, about a device that not every machine has.

    ParameterError from the first that cannot train there: the device is a choice for the whole job.
    """
    if device in _EVERYWHERE:
        return
    for spec, parameters in models:
        try:
            estimator = spec.build(parameters)
        except Exception:  # noqa: BLE001 - a stranger's model may raise anything: it fails in its turn, alone
            continue
        if isinstance(estimator, DeviceCheck):
            estimator.check_device(device)
