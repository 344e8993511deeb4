"""The contract passes an honest model and catches each way of breaking it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from crosslens import FitContext, FitProgress, ModelSpec, ParameterError, Predictions
from crosslens.testing import ModelContract, pickled_files

from .helpers import guide_code

_ROOT = Path(__file__).parents[2]


class Wrapped:
    """Passes everything on to the honest model."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def predict(self, data: Any) -> Predictions:
        return self.model.predict(data)


class SometimesNotANumber(Wrapped):
    def predict(self, data: Any) -> Predictions:
        logits = self.model.predict(data).logit().copy()
        logits[:1] = np.nan
        return Predictions({"click": logits})


class LooksAtTheWholeBatch(Wrapped):
    def predict(self, data: Any) -> Predictions:
        logits = self.model.predict(data).logit()
        return Predictions({"click": logits - logits.mean() if len(logits) else logits})


class FailsOnNoRows(Wrapped):
    def predict(self, data: Any) -> Predictions:
        return Predictions({"click": self.model.predict(data).logit() + 0 * data.ids[0, 0]})


class WritesIntoItsInput(Wrapped):
    def predict(self, data: Any) -> Predictions:
        data.ids[:] = 0
        return self.model.predict(data)


class KnowsNothing(Wrapped):
    def predict(self, data: Any) -> Predictions:
        return Predictions({"click": np.zeros(len(data))})


class SavesPickle(Wrapped):
    def save(self, folder: Path) -> None:
        self.model.save(folder)
        (folder / "extra.bin").write_bytes(pickle.dumps({"a": 1}))


class ForgetsWhenSaved(Wrapped):
    def save(self, folder: Path) -> None:
        replace(self.model, intercept=self.model.intercept + 1e-3).save(folder)


class HidesAShare(Wrapped):
    def explain(self, *arguments: Any) -> tuple[Any, ...]:
        return tuple(replace(shares, values=shares.values * 0.9) for shares in self.model.explain(*arguments))


class NamesOtherFields(Wrapped):
    def explain(self, *arguments: Any) -> tuple[Any, ...]:
        return tuple(replace(shares, fields=shares.fields[::-1]) for shares in self.model.explain(*arguments))


_BROKEN_MODELS = [
    (SometimesNotANumber, "test_probabilities_are_finite_and_between_0_and_1"),
    (SometimesNotANumber, "test_unseen_values_are_answered"),
    (LooksAtTheWholeBatch, "test_a_row_scores_the_same_alone_as_among_others"),
    (FailsOnNoRows, "test_no_rows_give_no_predictions"),
    (WritesIntoItsInput, "test_training_and_predicting_leave_the_rows_as_they_were"),
    (KnowsNothing, "test_it_beats_the_base_rate_on_new_rows"),
    (KnowsNothing, "test_it_learns_xor_of_two_fields"),
    (KnowsNothing, "test_rows_that_weigh_more_count_for_more"),
    (SavesPickle, "test_saved_files_hold_no_pickle"),
    (ForgetsWhenSaved, "test_a_saved_model_predicts_the_same_after_loading"),
    (HidesAShare, "test_it_explains_what_it_says_it_explains"),
    (NamesOtherFields, "test_it_explains_what_it_says_it_explains"),
]


def first_line(caught: pytest.ExceptionInfo[Exception]) -> str:
    return str(caught.value).strip().partition("\n")[0]


def contract_of(given: ModelSpec) -> ModelContract:
    class Contract(ModelContract):
        spec = given

    return Contract()


def run(contract: ModelContract, name: str, folder: Path) -> None:
    test = getattr(contract, name)
    test(folder) if "tmp_path" in test.__code__.co_varnames[: test.__code__.co_argcount] else test()


@pytest.mark.parametrize(("wrapper", "name"), _BROKEN_MODELS)
def test_a_broken_model_is_caught(wrapper: type[Wrapped], name: str, guide: ModuleType, tmp_path: Path) -> None:
    honest = guide.SPEC

    class Estimator:
        def __init__(self, parameters: Any) -> None:
            self.estimator = honest.build(parameters)

        def fit(self, *arguments: Any) -> Wrapped:
            return wrapper(self.estimator.fit(*arguments))

    with pytest.raises((AssertionError, ValueError, IndexError)) as caught:
        run(contract_of(replace(honest, build=Estimator)), name, tmp_path)
    assert not first_line(caught).startswith("assert "), "a sentence says what is wrong"


def ignores_stop(context: FitContext) -> FitContext:
    return replace(context, should_stop=lambda: bool(context.should_stop()) and False)


def never_asks(context: FitContext) -> FitContext:
    return replace(context, should_stop=lambda: False)


def keeps_silent(context: FitContext) -> FitContext:
    return replace(context, progress=lambda _: None)


def gets_worse(context: FitContext) -> FitContext:
    def rising(seen: FitProgress) -> None:
        context.progress(replace(seen, loss=float(seen.epoch)))

    return replace(context, progress=rising)


def counts_down(context: FitContext) -> FitContext:
    def backwards(seen: FitProgress) -> None:
        context.progress(replace(seen, epoch=seen.epochs - seen.epoch))

    return replace(context, progress=backwards)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (ignores_stop, "test_stop_before_the_first_batch_ends_training_at_once"),
        (ignores_stop, "test_stop_in_the_middle_ends_training_within_one_batch"),
        (never_asks, "test_stop_in_the_middle_ends_training_within_one_batch"),
        (keeps_silent, "test_progress_is_reported_and_never_goes_back"),
        (counts_down, "test_progress_is_reported_and_never_goes_back"),
        (keeps_silent, "test_progress_carries_finite_validation_metrics"),
        (gets_worse, "test_the_loss_falls_while_it_trains"),
    ],
)
def test_a_careless_training_is_caught(
    change: Callable[[FitContext], FitContext], name: str, guide: ModuleType, tmp_path: Path
) -> None:
    honest = guide.SPEC

    class Estimator:
        def __init__(self, parameters: Any) -> None:
            self.estimator = honest.build(parameters)

        def fit(self, data: Any, context: FitContext) -> Any:
            return self.estimator.fit(data, change(context))

    with pytest.raises(AssertionError) as caught:
        run(contract_of(replace(honest, build=Estimator)), name, tmp_path)
    assert not first_line(caught).startswith("assert "), "a sentence says what is wrong"


def needs_a_card(context: FitContext) -> None:
    """As `torch.device` does."""
    if context.device not in ("cpu", "cuda"):
        raise RuntimeError(f"unknown device {context.device}")


def refuses_auto(context: FitContext) -> None:
    if context.device == "auto":
        raise ParameterError("There is no device called auto.")


def refuses_cards(context: FitContext) -> None:
    if context.device in ("cuda", "mps"):
        raise ParameterError(f"This machine has no {context.device}.")


@pytest.mark.parametrize(
    ("look", "device", "caught"),
    [
        (needs_a_card, "auto", RuntimeError),
        (needs_a_card, "mps", RuntimeError),
        (refuses_auto, "auto", AssertionError),
        (refuses_cards, "auto", None),
        (refuses_cards, "cuda", None),
    ],
)
def test_a_model_that_does_not_know_the_words_for_devices_is_caught(
    look: Callable[[FitContext], None], device: str, caught: type[Exception] | None, guide: ModuleType
) -> None:
    honest = guide.SPEC

    class Estimator:
        def __init__(self, parameters: Any) -> None:
            self.estimator = honest.build(parameters)

        def fit(self, data: Any, context: FitContext) -> Any:
            look(context)
            return self.estimator.fit(data, context)

    contract = contract_of(replace(honest, build=Estimator))
    with pytest.raises(caught) if caught else nullcontext():
        contract.test_every_device_is_used_or_passed_over_or_refused_in_a_sentence(device)


def test_training_that_draws_other_numbers_each_time_is_caught(guide: ModuleType, tmp_path: Path) -> None:
    random, honest = np.random.default_rng(0), guide.SPEC

    class Estimator:
        def __init__(self, parameters: Any) -> None:
            self.estimator = honest.build(parameters)

        def fit(self, *arguments: Any) -> Any:
            model = self.estimator.fit(*arguments)
            return replace(model, intercept=model.intercept + random.normal() * 1e-6)

    with pytest.raises(AssertionError):
        run(contract_of(replace(honest, build=Estimator)), "test_the_same_seed_gives_the_same_numbers", tmp_path)


def test_a_spec_that_imports_a_heavy_library_is_caught(guide: ModuleType, tmp_path: Path) -> None:
    contract = contract_of(guide.SPEC)
    type(contract).module = "sklearn"
    with pytest.raises(AssertionError):
        run(contract, "test_importing_the_spec_is_cheap_and_needs_no_heavy_library", tmp_path)


def test_the_model_of_the_guide_keeps_the_whole_contract(tmp_path: Path) -> None:
    (tmp_path / "my_plugin.py").write_text(guide_code(), encoding="utf-8")
    (tmp_path / "test_my_plugin.py").write_text(
        "from crosslens.testing import ModelContract\nfrom my_plugin import SPEC\n\n"
        "class TestFieldRates(ModelContract):\n    spec = SPEC\n    learns_interactions = False\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tmp_path)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_the_model_of_the_guide_is_about_sixty_lines_of_code() -> None:
    lines = [line for line in guide_code().splitlines() if line.strip()]
    assert len(lines) <= 90


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_is_found_whatever_its_protocol(protocol: int, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(pickle.dumps([1, 2], protocol=protocol))
    assert pickled_files(tmp_path) == ("weights.bin",)


def test_pickle_inside_an_archive_and_object_arrays_are_found(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", fine=np.zeros(3), objects=np.array([{}, None], dtype=object))
    assert pickled_files(tmp_path) == ("arrays.npz/objects.npy",)


def test_plain_files_are_not_taken_for_pickle(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "text.json").write_text("{}", encoding="utf-8")
    (tmp_path / "other.bin").write_bytes(b"\x80\x99not a pickle")
    assert pickled_files(tmp_path) == ()


def test_without_pytest_the_test_kit_says_what_to_install() -> None:
    code = "import sys; sys.modules['pytest'] = None; import crosslens.testing"
    done = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install pytest" in done.stderr.splitlines()[-1]
