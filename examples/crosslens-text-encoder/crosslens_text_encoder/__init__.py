"""Hashed pieces: what the app shows of the encoder. encoder.py is imported when items are encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crosslens import TextEncoder, TextEncoderSpec, hookimpl, parameter


@dataclass(frozen=True, slots=True)
class HashedPiecesParameters:
    """What a person may choose."""

    width: int = parameter(
        256, label="Width", help="Numbers per item.", minimum=8, maximum=8192, logarithmic=True, search=(64, 1024)
    )
    shortest: int = parameter(3, label="Shortest piece", help="Letters.", minimum=1, maximum=12)
    longest: int = parameter(5, label="Longest piece", help="Letters.", minimum=1, maximum=12)
    rarity: bool = parameter(True, label="Rare pieces count more", help="Weighs pieces by how few items have them.")


def build(parameters: HashedPiecesParameters) -> TextEncoder:
    """Return the encoder."""
    from .encoder import HashedPieces

    return HashedPieces(parameters)


SPEC = TextEncoderSpec(
    id="hashed-pieces",
    title="Hashed pieces",
    summary="Items are alike when rare pieces of their words are: endings and misspellings do not matter much.",
    parameters=HashedPiecesParameters,
    build=build,
    uses_sequences=False,
)


@hookimpl
def crosslens_register_text_encoders() -> Sequence[TextEncoderSpec]:
    """Return the one text encoder of this plugin."""
    return [SPEC]
