"""The generated form: every type of parameter, limits, defaults, and what is wrong said in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QWidget

from crosslens import ParameterError, parameter
from ui.desktop.forms import ParameterForm


@dataclass(frozen=True, slots=True)
class Parameters:
    width: int = parameter(10, label="Width", help="Numbers per field.", minimum=1, maximum=256, logarithmic=True)
    rate: float = parameter(0.003, label="Rate", help="Step.", minimum=1e-6, maximum=1.0, logarithmic=True)
    layers: tuple[int, ...] = parameter((64, 32), label="Layers", minimum=1, maximum=512)
    shuffle: bool = parameter(True, label="Shuffle", help="Mix rows.")
    kind: str = parameter("auto", label="Kind", choices=("auto", "plain"), advanced=True)
    fine: float = parameter(1e-10, label="Tolerance", minimum=0.0, maximum=1.0, advanced=True)


@pytest.fixture
def form(qtbot: Any) -> Iterator[ParameterForm]:
    form = ParameterForm(Parameters)
    qtbot.addWidget(form)
    form.show()
    yield form


def test_an_untouched_form_differs_in_nothing(form: ParameterForm) -> None:
    assert form.values() == {}
    assert form.problem() == ""


def test_every_editor_is_named_and_explained(form: ParameterForm) -> None:
    for name, label in (("width", "Width"), ("layers", "Layers"), ("shuffle", "Shuffle"), ("kind", "Kind")):
        assert form.line(name).editor.accessibleName() == label
    assert form.line("width").editor.toolTip() == "Numbers per field."


def test_values_set_are_values_returned(form: ParameterForm) -> None:
    wanted = {"width": 20, "rate": 0.01, "layers": [8], "shuffle": False, "kind": "plain"}
    form.set_values(wanted)
    assert form.values() == wanted


@given(
    width=st.integers(1, 256),
    rate=st.floats(1e-6, 1.0).map(lambda value: round(value, 8)),
    layers=st.lists(st.integers(1, 512), max_size=4),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_values_in_range_survive_the_form(form: ParameterForm, width: int, rate: float, layers: list[int]) -> None:
    form.set_values({"width": width, "rate": rate, "layers": layers})
    shown = {"width": 10, "rate": 0.003, "layers": [64, 32]} | form.values()
    assert shown == {"width": width, "rate": pytest.approx(rate, abs=1e-8), "layers": layers}


def test_a_default_finer_than_the_box_is_not_rounded_away(form: ParameterForm) -> None:
    assert "fine" not in form.values()


def test_layer_widths_are_read_from_text(form: ParameterForm, qtbot: Any) -> None:
    editor = form.line("layers").editor
    for text, value in (("128 64", [128, 64]), ("(16)", [16]), ("", [])):
        editor.setText(text)
        assert form.values()["layers"] == value


@pytest.mark.parametrize("text", ["12a", "0", "9999", "1.5", "²"])
def test_a_wrong_list_is_said_inline_and_refused(form: ParameterForm, text: str) -> None:
    form.line("layers").editor.setText(text)
    assert form.problem().startswith("Layers cannot be")
    with pytest.raises(ParameterError):
        form.values()


def test_logarithmic_boxes_step_by_factors(form: ParameterForm) -> None:
    rate, width = form.line("rate").editor, form.line("width").editor
    rate.stepBy(1)
    assert form.values()["rate"] == 0.005
    rate.stepBy(-4)
    assert form.values()["rate"] == pytest.approx(0.0002)
    width.stepBy(2)
    assert form.values()["width"] == 40


def test_a_step_never_leaves_the_range(form: ParameterForm) -> None:
    form.line("width").editor.stepBy(50)
    form.line("rate").editor.stepBy(50)
    assert form.values() == {"width": 256, "rate": 1.0}


def test_each_parameter_and_all_of_them_can_be_reset(form: ParameterForm) -> None:
    form.set_values({"width": 20, "shuffle": False})
    form.line("width").reset()
    assert form.values() == {"shuffle": False}
    form.reset()
    assert form.values() == {}


def test_advanced_parameters_wait_under_more(form: ParameterForm) -> None:
    assert not form.line("kind").editor.isVisible()
    form.show_more(True)
    assert form.line("kind").editor.isVisible()


def test_a_changed_advanced_parameter_is_never_hidden(form: ParameterForm) -> None:
    form.set_values({"kind": "plain"})
    assert form.line("kind").editor.isVisible()


def test_every_edit_is_announced(form: ParameterForm, qtbot: Any) -> None:
    form.show_more(True)
    check, combo = form.line("shuffle").editor, form.line("kind").editor
    assert isinstance(check, QCheckBox)
    assert isinstance(combo, QComboBox)
    with qtbot.waitSignal(form.changed):
        qtbot.mouseClick(check, Qt.MouseButton.LeftButton, pos=check.rect().center())
    with qtbot.waitSignal(form.changed):
        qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert form.values() == {"shuffle": False, "kind": "plain"}


def test_values_out_of_range_are_refused_as_a_whole(form: ParameterForm) -> None:
    with pytest.raises(ParameterError):
        form.set_values({"width": 20, "rate": 2.0})
    assert form.values() == {}


def test_the_keyboard_reaches_every_editor(form: ParameterForm) -> None:
    form.show_more(True)
    editors = [form.line(name).editor for name in ("width", "rate", "layers", "shuffle", "kind")]
    chain: list[QWidget] = [editors[0]]
    while (follower := chain[-1].nextInFocusChain()) is not editors[0]:
        chain.append(follower)
    places = [chain.index(editor) for editor in editors]
    assert places == sorted(places)
