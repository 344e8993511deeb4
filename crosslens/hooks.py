"""The hooks a plugin may implement. They return data; a new one arrives only with a plugin that needs it.

    from crosslens import ModelSpec, hookimpl

    @hookimpl
    def crosslens_register_models():
        return [ModelSpec(id="my-model", ...)]

A distribution announces its module under the entry point group `crosslens`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from .models import ModelSpec
from .sequences import TextEncoderSpec

PROJECT = "crosslens"
API_VERSION = "1"
"""What a manifest names in `api`; it grows when a plugin written for the version before would break."""
ENTRY_POINT_GROUP = "crosslens"

hookspec = pluggy.HookspecMarker(PROJECT)
"""Marks a function as a hook; for Crosslens itself."""
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as what answers a hook; it may take fewer arguments than the hook has."""


@hookspec
def crosslens_register_models() -> Sequence[ModelSpec]:  # type: ignore[empty-body]
    """Return the models this plugin brings."""


@hookspec
def crosslens_register_text_encoders() -> Sequence[TextEncoderSpec]:  # type: ignore[empty-body]
    """Return the text encoders this plugin brings: vectors of items for next-item models."""
