"""What the app relies on in the description of anything a plugin registers, model or text encoder."""

# The name of a test is its sentence.
# ruff: noqa: D102

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from crosslens.parameters import describe_parameters, parameters_from_plain, parameters_to_plain

from .imports import import_alone

_SECONDS = 2.0


class SpecContract:
    """The tests that all contracts share; `spec`, `parameters` and `module` as they say."""

    spec: ClassVar[Any]
    parameters: ClassVar[Mapping[str, Any]] = {}
    module: ClassVar[str] = ""

    def test_the_spec_describes_itself(self) -> None:
        name = self.spec.id
        assert name, "the id is empty"
        assert name == name.strip().lower(), f"the id {name!r} is to be written in small letters"
        assert " " not in name, f"the id {name!r} is to have no spaces: recipes name it"
        assert self.spec.title.strip(), "the title is empty"
        assert self.spec.summary.strip(), "the summary is empty: one sentence for people who choose"

    def test_importing_the_spec_is_cheap_and_needs_no_heavy_library(self) -> None:
        seconds, heavy = import_alone(self.module or self.spec.parameters.__module__)
        assert heavy == [], f"importing it imports {', '.join(heavy)}; do so inside build() and load()"
        assert seconds < _SECONDS, f"importing it took {seconds:.1f} s; the app allows {_SECONDS:.0f} s"

    def test_parameters_survive_json(self) -> None:
        given = parameters_from_plain(self.spec.parameters, self.parameters)
        text = json.dumps(parameters_to_plain(given))
        again = parameters_from_plain(self.spec.parameters, json.loads(text))
        assert again == given, f"written as JSON and read again, {given} became {again}"

    def test_every_default_is_within_its_range_and_has_a_label(self) -> None:
        defaults = parameters_to_plain(self.spec.parameters())
        assert parameters_from_plain(self.spec.parameters, defaults) == self.spec.parameters()
        bare = [info.name for info in describe_parameters(self.spec.parameters) if not info.label.strip()]
        assert bare == [], f"no label: {', '.join(bare)}"
