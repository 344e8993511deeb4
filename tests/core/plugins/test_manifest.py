"""What a manifest says, and every way in which it may be wrong."""

from __future__ import annotations

import pytest

from core.plugins.manifest import Manifest, ManifestModel, incompatibility, parse_manifest
from crosslens import ExplanationKind, FieldRole, PluginError, Task

GOOD = """
id = "0B5A6C1E-7a55-4d0c-9a2b-3b4d1f6d9f10"
name = "Plüsch"
version = "1.0.0"
api = ["1"]
entry = "plush.models"
requires_app = ">=0.1"
requires_python = ">=3.11"

[[models]]
id = "plush"
title = "Plush"
task = "ctr"
needs = ["click"]
explains = ["contributions"]
"""


def test_a_manifest_is_read_as_values() -> None:
    assert parse_manifest(GOOD) == Manifest(
        id="0b5a6c1e-7a55-4d0c-9a2b-3b4d1f6d9f10",
        name="Plüsch",
        version="1.0.0",
        api=("1",),
        entry="plush.models",
        requires_app=">=0.1",
        requires_python=">=3.11",
        models=(ManifestModel("plush", "Plush", Task.CTR, (FieldRole.CLICK,), (ExplanationKind.CONTRIBUTIONS,)),),
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0B5A6C1E-7a55-4d0c-9a2b-3b4d1f6d9f10", "seven", "id must be a UUID"),
        ('name = "Plüsch"', "", "name is missing."),
        ('name = "Plüsch"', "name = 7", "name must be a text"),
        ('"1.0.0"', '"one"', "version must be a version such as 1.0.0; it is 'one'."),
        ('["1"]', '"1"', "api must be a list of texts"),
        ('["1"]', "[]", "api must be a list of texts"),
        ("plush.models", "plush/../core", "entry must be the name of a module"),
        (">=3.11", "three", "requires_python must be a version specifier"),
        ("requires_python", "requries_python", "did you mean requires_python?"),
        ('"plush"\ntitle', '"Not A Slug"\ntitle', "models[0].id must be made of small letters"),
        ('"ctr"', '"magic"', "models[0].task must be one of ctr, funnel, next-item; it is 'magic'."),
        ('task = "ctr"', "", "models[0].task is missing."),
        ('["click"]', '["clicks"]', "models[0].needs must be a list out of"),
        ("[[models]]", "[models]", "must be tables, each beginning with [[models]]"),
        ("[[models]]", "[[text_encoders]]", "is not a key of a manifest"),
        ("api =", "api == ", "it is not TOML"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(PluginError) as caught:
        parse_manifest(GOOD.replace(old, new))
    assert any(said in problem for problem in caught.value.facts["problems"]), caught.value.facts


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(PluginError) as caught:
        parse_manifest("version = 3")
    assert len(caught.value.facts["problems"]) == 5


def test_two_models_of_one_id_and_none_at_all_are_refused() -> None:
    model = GOOD[GOOD.index("[[models]]") :]
    with pytest.raises(PluginError, match="names the id plush twice"):
        parse_manifest(GOOD + model)
    with pytest.raises(PluginError, match="announces no model"):
        parse_manifest(GOOD.replace(model, ""))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('["1"]', '["2", "3"]', "Plüsch is written for plugin API 2, 3; this app speaks API 1."),
        (">=0.1", ">=9", "Plüsch needs Crosslens >=9; this is Crosslens 0.1.0."),
        (">=3.11", "<3", "Plüsch needs Python <3; this app runs on Python 3.11.9."),
        ("plush", "plush", ""),
    ],
)
def test_what_it_needs_is_compared_with_what_there_is(old: str, new: str, said: str) -> None:
    assert incompatibility(parse_manifest(GOOD.replace(old, new)), app="0.1.0", python="3.11.9") == said
