"""Every built-in text encoder that needs no further library keeps the contract that strangers' have to keep."""

from __future__ import annotations

from typing import ClassVar

from crosslens import TextEncoderSpec
from crosslens.testing import TextEncoderContract
from plugins.text_encoders import SPECS

_SPECS: dict[str, TextEncoderSpec] = {spec.id: spec for spec in SPECS}


class TestTfidfSvd(TextEncoderContract):
    spec = _SPECS["tfidf-svd"]
    parameters: ClassVar = {"width": 8}


class TestCollaborativeSvd(TextEncoderContract):
    spec = _SPECS["collaborative-svd"]
    parameters: ClassVar = {"width": 8}


class TestHybrid(TextEncoderContract):
    spec = _SPECS["hybrid"]
    parameters: ClassVar = {"width": 8}
