"""The contract between the app and a model: what it is, how it is trained, and what the trained thing can do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from .data import EncodedDataset, EncodedSchema, Float64Array, TrainingData
from .explanations import Explanation, ExplanationKind
from .schema import FieldRole
from .sequences import TextEncoders


class Task(StrEnum):
    """What is predicted: one binary label, a funnel of two, or the next item of a sequence."""

    CTR = "ctr"
    FUNNEL = "funnel"
    NEXT_ITEM = "next-item"


class Output(StrEnum):
    """What a funnel model says of an impression.

    CLICK                 pCTR: it is clicked. Measured on all impressions.
    CONVERSION            pCVR: it converts once clicked. Measured on clicked impressions.
    CLICK_AND_CONVERSION  pCTCVR = pCTR pCVR: it is clicked and converts. Measured on all impressions.
    """

    CLICK = "click"
    CONVERSION = "conversion"
    CLICK_AND_CONVERSION = "click_and_conversion"


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Logits (N,) per task name, for example {"click": ...}; probabilities follow from them.

    A funnel model names its logits as `Output` does, each given or some of them.
    """

    logits: Mapping[str, Float64Array]

    def logit(self, task: str | None = None) -> Float64Array:
        """Return the logits of `task`, or of the only task there is."""
        return self.logits[task if task is not None else next(iter(self.logits))]

    def probability(self, task: str | None = None) -> Float64Array:
        """Return the probabilities of `task`, (N,), in (0, 1) wherever float64 can tell."""
        logit = self.logit(task)
        exponential = np.exp(-np.abs(logit))
        return np.where(logit >= 0, 1.0, exponential) / (1.0 + exponential)


@dataclass(frozen=True, slots=True)
class FitProgress:
    """A moment of training. `metrics` are validation metrics at the end of an epoch, empty in between.

    `loss` is the mean training loss since the last report. A metric called "loss" falls as a model gets better; others
    ("auc") rise.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    rows_per_second: float = 0.0
    loss: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    best_epoch: int | None = None
    message: str = ""


class Checkpoints(Protocol):
    """Where a model keeps what it needs to go on after an interruption."""

    def save(self, write: Callable[[Path], None]) -> None:
        """Call `write` with an empty folder; when it returns, the folder replaces the last checkpoint atomically."""

    def latest(self) -> Path | None:
        """Return the folder of the last complete checkpoint, or None."""


class NoCheckpoints:
    """Keeps nothing: for tests and short jobs."""

    def save(self, write: Callable[[Path], None]) -> None:
        """Do nothing."""

    def latest(self) -> Path | None:
        """Return None."""
        return None


def _ignore(_: FitProgress) -> None:
    return None


def _never() -> bool:
    return False


DEVICES = ("auto", "cpu", "cuda", "mps")
"""Where a model may train; auto is a graphics card if there is one, else the processor."""


@dataclass(frozen=True, slots=True)
class FitContext:
    """What the app lends a model while it trains. It knows no window and no database.

    `should_stop` is asked at least once a batch; a model that stops returns its best state so far, or raises `Stopped`
    when there is none. `device` is one of `DEVICES`, in the app "auto" unless the user chose another; models that know
    the processor alone pass over it, others raise `ParameterError` for one this machine does not have.
    """

    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    progress: Callable[[FitProgress], None] = _ignore
    should_stop: Callable[[], bool] = _never
    checkpoints: Checkpoints = field(default_factory=NoCheckpoints)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("crosslens.fit"))
    text_encoders: TextEncoders = field(default_factory=TextEncoders)


@dataclass(frozen=True, slots=True)
class ExplainContext:
    """What the app lends a model while it explains.

    `output` is what a funnel model is asked about, named as `Output` does; empty: all of its outputs. A model may
    answer for others too; what an explanation is about stands in its `task`.
    """

    seed: int = 0
    threads: int = 1
    progress: Callable[[float], None] = lambda _: None
    should_stop: Callable[[], bool] = _never
    output: str = ""


class FittedModel(Protocol):
    """A trained model."""

    @property
    def schema(self) -> EncodedSchema:
        """Return the schema the model was trained on."""

    def predict(self, data: EncodedDataset) -> Predictions:
        """Return logits for every row of `data`; any number of rows, none included. Deterministic."""

    def explain(
        self, data: EncodedDataset, kinds: Collection[ExplanationKind], context: ExplainContext
    ) -> tuple[Explanation, ...]:
        """Return the asked kinds that the model offers, each over all rows of `data`."""

    def save(self, folder: Path) -> None:
        """Write everything `ModelSpec.load` needs into an empty folder. No pickle."""


@runtime_checkable
class OnnxExport(Protocol):
    """What a fitted model may offer besides: itself as an ONNX file, for use without Crosslens."""

    def export_onnx(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the model to `path`, with `metadata` among the file's properties.

        Inputs `ids` int64 (N, C) in the shared table and `values` float32 (N, M), NaN where missing; an output of
        logits float32 (N,) for each name in `Predictions.logits`; any N, 0 included. The logits are those of `predict`
        to 1e-4.
        """


class Estimator(Protocol):
    """A model before training: parameters, nothing learned."""

    def fit(self, data: TrainingData, context: FitContext) -> FittedModel:
        """Train and return the best state by the validation rows. Same seed and threads: same numbers on a CPU."""


@dataclass(frozen=True, slots=True)
class TrainingEstimate:
    """What a training would take: bytes of memory beyond its rows, seconds of an epoch, and the most epochs."""

    memory: int
    epoch_seconds: float
    epochs: int


@runtime_checkable
class DeviceCheck(Protocol):
    """What an estimator may offer besides: to say whether it can train on a device, before a row is read for it."""

    def check_device(self, device: str) -> None:
        """Raise ParameterError for one of `DEVICES` that this machine does not have, as `fit` would."""


class EstimatingEstimator(Estimator, Protocol):
    """An estimator that can say beforehand what its training would take; its `ModelSpec` says that it `estimates`."""

    def estimate(self, data: TrainingData, context: FitContext) -> TrainingEstimate:
        """Return what `fit` would take, within seconds and before anything large is allocated.

        DataError, with what to change, where it would not fit into the free memory.
        """


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as plugins register it: data about the model and two functions; importing it must be cheap.

    `build(parameters)` makes an estimator, `load(folder)` reads what `FittedModel.save` wrote. Both may import their
    heavy libraries when called; the module that holds the spec must not. A model of the task NEXT_ITEM builds a
    `NextItemEstimator` and loads a `NextItemModel`; any other an `Estimator` and a `FittedModel`. One that `estimates`
    builds an `EstimatingEstimator`.
    """

    id: str
    title: str
    summary: str
    task: Task
    parameters: type[Any]
    build: Callable[[Any], Any]
    load: Callable[[Path], Any]
    needs: frozenset[FieldRole] = frozenset({FieldRole.CLICK})
    explains: frozenset[ExplanationKind] = frozenset()
    version: str = "1"
    paper: str = ""
    estimates: bool = False
