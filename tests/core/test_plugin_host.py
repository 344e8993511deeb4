"""Plugins of good and of ill will, loaded side by side."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from core.plugin_host import Host, load_plugins
from core.ports import PluginHost
from crosslens import ModelSpec, PluginError, Task, TextEncoderSpec, hookimpl, parameter


@dataclass(frozen=True, slots=True)
class Parameters:
    width: int = parameter(8, label="Width", minimum=1)


@dataclass(frozen=True, slots=True)
class NoDefault:
    width: int


@dataclass(frozen=True, slots=True)
class OddType:
    width: dict[str, int] = dataclasses.field(default_factory=dict)


def spec(**changes: Any) -> ModelSpec:
    facts = {"id": "good", "title": "Good", "summary": "", "task": Task.CTR, "parameters": Parameters}
    return ModelSpec(**{**facts, "build": print, "load": print, **changes})


def plugin(register: Callable[..., Any] | None = None, *, hook: str = "crosslens_register_models") -> ModuleType:
    """Return a module that registers what `register` returns."""
    module = ModuleType("plugin")
    if register is not None:
        setattr(module, hook, hookimpl(register))
    return module


def brings(*specs: Any) -> ModuleType:
    return plugin(lambda: specs)


def load(*modules: ModuleType) -> Host:
    return load_plugins([(f"plugin {place}", module) for place, module in enumerate(modules)])


def test_models_come_in_the_order_of_their_plugins() -> None:
    host = load(brings(spec(id="b"), spec(id="a")), brings(spec(id="c")))
    assert [model.id for model in host.models()] == ["b", "a", "c"]
    assert host.problems() == ()
    assert host.model("c").title == "Good"
    assert host.plugin_of("c") == "plugin 1"


def test_the_host_is_what_jobs_expect() -> None:
    host: PluginHost = load(brings(spec()))
    assert host.model("good").id == "good"


def raising(error: BaseException) -> ModuleType:
    def register() -> Any:
        raise error

    return plugin(register)


def half_way() -> ModuleType:
    def register() -> Iterator[ModelSpec]:
        yield spec(id="early")
        raise RuntimeError("ran out of models")

    return plugin(register)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (raising(RuntimeError("no licence\nsecond line")), "RuntimeError: no licence."),
        (raising(SystemExit(3)), "it tried to end the program."),
        (raising(MemoryError()), "MemoryError: no reason given."),
        (half_way(), "RuntimeError: ran out of models."),
        (plugin(lambda: [*()], hook="crosslens_register_modles"), "crosslens_register_modles"),
        (plugin(lambda colour: []), "colour"),
        (plugin(), "it implements no hook."),
        (plugin(lambda: 3), "TypeError"),
    ],
)
def test_a_broken_plugin_is_a_problem_and_stops_nobody(module: ModuleType, message: str) -> None:
    host = load(brings(spec(id="before")), module, brings(spec(id="after")))
    assert [model.id for model in host.models()] == ["before", "after"]
    (problem,) = host.problems()
    assert problem.name == "plugin 1"
    assert problem.message.startswith("The plugin plugin 1 could not be loaded: ")
    assert message in problem.message
    assert "Traceback" in problem.details


def test_the_users_own_interruption_is_let_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        load(raising(KeyboardInterrupt()))


class Hostile(type):
    def __instancecheck__(cls, _: object) -> bool:
        raise OSError("no")

    @property
    def __dataclass_fields__(cls) -> Any:
        raise OSError("do not look")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("arm-net", "it is a str and not a ModelSpec"),
        (spec(id="Not A Slug"), "small letters, digits and single hyphens"),
        (spec(id=7), "small letters, digits and single hyphens"),
        (spec(title=" "), "has no title"),
        (spec(task="ctr please"), "unknown task"),
        (spec(build=None), "must be functions"),
        (spec(parameters=Parameters()), "are not a dataclass"),
        (spec(parameters=dict), "are not a dataclass"),
        (spec(parameters=NoDefault), "width of 'good' have no default"),
        (spec(parameters=OddType), "TypeError"),
        (spec(parameters=Hostile("Odd", (), {})), "OSError: do not look."),
    ],
)
def test_a_model_that_is_none_is_refused_and_its_neighbour_kept(bad: Any, message: str) -> None:
    host = load(brings(bad, spec(id="neighbour")))
    assert [model.id for model in host.models()] == ["neighbour"]
    (problem,) = host.problems()
    assert problem.message.startswith("A model of the plugin plugin 0 was refused: ")
    assert message in problem.message


def test_a_default_out_of_its_own_range_is_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class OutOfRange:
        width: int = parameter(0, label="Width", minimum=1)

    (problem,) = load(brings(spec(parameters=OutOfRange))).problems()
    assert "Width cannot be 0" in problem.message


def test_the_first_model_of_an_id_keeps_it() -> None:
    host = load(brings(spec(title="First")), brings(spec(title="Second")))
    assert host.model("good").title == "First"
    assert host.problems()[0].message == (
        "The model 'good' of the plugin plugin 1 was refused: plugin 0 already brings one."
    )


@pytest.mark.parametrize(
    ("asked", "message"), [("goood", "Did you mean 'good'"), ("xyz", "Models are: good"), ("", "no model ''")]
)
def test_a_model_there_is_not_is_named(asked: str, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        load(brings(spec())).model(asked)


def test_what_a_plugin_prints_stays_off_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    load(plugin(lambda: sys.stdout.write("rubbish") and []))
    assert capsys.readouterr().out == ""


def encoder(**changes: Any) -> TextEncoderSpec:
    facts = {"id": "words", "title": "Words", "summary": "", "parameters": Parameters, "build": print}
    return TextEncoderSpec(**{**facts, **changes})


def brings_encoders(*specs: Any) -> ModuleType:
    return plugin(lambda: specs, hook="crosslens_register_text_encoders")


def test_text_encoders_are_collected_beside_models() -> None:
    host = load(brings(spec()), brings_encoders(encoder(), encoder(id="numbers")))
    assert [each.id for each in host.text_encoders()] == ["words", "numbers"]
    assert host.text_encoder("numbers").title == "Words"
    assert host.problems() == ()


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (encoder(id="Not An Id"), "small letters"),
        (encoder(title=" "), "title"),
        (encoder(build=None), "function"),
        (encoder(parameters=NoDefault), "no default"),
        (spec(), "not a TextEncoderSpec"),
        (encoder(), "already brings one"),
    ],
)
def test_a_refused_encoder_takes_no_other_with_it(refused: Any, words: str) -> None:
    host = load(brings_encoders(encoder(), refused, encoder(id="other")))
    assert [each.id for each in host.text_encoders()] == ["words", "other"]
    (problem,) = host.problems()
    assert words in problem.message
    assert "text encoder" in problem.message


def test_an_unknown_encoder_is_a_sentence() -> None:
    with pytest.raises(PluginError, match="Text encoders are: words"):
        load(brings_encoders(encoder())).text_encoder("letters")
