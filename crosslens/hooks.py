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
ENTRY_POINT_GROUP = "crosslens"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def crosslens_register_models() -> Sequence[ModelSpec]:  # type: ignore[empty-body]
    """Return the models this plugin brings."""


@hookspec
def crosslens_register_text_encoders() -> Sequence[TextEncoderSpec]:  # type: ignore[empty-body]
    """Return the text encoders this plugin brings: vectors of items for next-item models."""
