"""SRA-CL training at the shape of Amazon Beauty: ours, the backbone alone, and one with 14 encoder passes per sample.

The data are synthetic: users, items, targets and lengths as in the 5-core Beauty set, items drawn by popularity. All
three take turns within one run, a few batches at a time, so that load hits them alike.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from crosslens import Catalogue, FitContext, HeldOut, SequenceDataset, SequenceTrainingData, TextEncoders
from crosslens.data import Float32Array
from plugins.sra_cl import SasRecParameters, SraClParameters
from plugins.sra_cl.contrast import Contrast
from plugins.sra_cl.estimator import training_loss
from plugins.sra_cl.module import SasRec
from plugins.sra_cl.semantics import look_up
from plugins.sra_cl.windows import Windows

from .sra_cl_reference import ReferenceSraCl, samples

USERS, ITEMS, TARGETS, LENGTH, WIDTH, BATCH = 22_363, 12_101, 131_413, 20, 64, 256
_SEMANTIC_WIDTH = 64


def measure(repeats: int = 8, threads: int = 0, rows: int = USERS) -> dict[str, Any]:
    """Train all three a few batches at a time, in turn, and return targets per second; the ratios are what counts.

    Wall time and processor time: the latter does not see other work on the machine. The filling of the bank is timed
    once per epoch and spread over its batches; looking up neighbours, once per training, is timed apart.
    """
    threads = threads or os.cpu_count() or 1
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    data = beauty_shaped(rows)
    encoders = TextEncoders(("tfidf-svd",), random_vectors)
    look_up_clock = Clock()
    with look_up_clock.timing(1):
        semantics = look_up(SraClParameters(), data.train, FitContext(text_encoders=encoders))
    contrast = Contrast.prepare(SraClParameters(), data.train, semantics, torch.device("cpu"))
    sides: dict[str, Any] = {
        "sasrec-ce": _Ours(data, SasRecParameters(batch_size=BATCH), None),
        "sra-cl": _Ours(data, SraClParameters(batch_size=BATCH), contrast),
        "reference": _Reference(data),
    }
    for _ in range(repeats):
        for side in sides.values():
            side.turn()
    wall = {name: side.targets_per_second(0) for name, side in sides.items()}
    processor = {name: side.targets_per_second(1) for name, side in sides.items()}
    return {
        "users": rows,
        "items": ITEMS,
        "targets": int(len(data.train.items) - rows),
        "rounds": repeats,
        "threads": threads,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "targets_per_second": wall,
        "targets_per_processor_second": processor,
        "sra_cl_against_reference": _both(wall, processor, "sra-cl", "reference"),
        "backbone_against_sra_cl": _both(wall, processor, "sasrec-ce", "sra-cl"),
        "bank_seconds": sides["sra-cl"].bank.seconds,
        "look_up_seconds": look_up_clock.seconds,
    }


def _both(wall: dict[str, float], processor: dict[str, float], one: str, other: str) -> dict[str, float]:
    return {"wall": wall[one] / wall[other], "processor": processor[one] / processor[other]}


@dataclass(eq=False)
class Clock:
    """Targets and seconds of turns, by the wall and of the processor."""

    turns: list[tuple[int, float, float]] = field(default_factory=list)

    @contextmanager
    def timing(self, targets: int) -> Iterator[None]:
        """Time what is done inside, which handles so many targets."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.turns.append((targets, time.perf_counter() - wall, time.process_time() - processor))

    @property
    def seconds(self) -> tuple[float, float]:
        """Return the median seconds of a turn: by the wall, of the processor."""
        return statistics.median(turn[1] for turn in self.turns), statistics.median(turn[2] for turn in self.turns)

    def per_target(self, kind: int) -> float:
        """Return the median seconds per target: kind 0 by the wall, 1 of the processor."""
        return statistics.median(turn[1 + kind] / turn[0] for turn in self.turns)


def table(figures: dict[str, Any]) -> str:
    """Return the figures as text."""
    wall, processor = figures["targets_per_second"], figures["targets_per_processor_second"]
    reference, backbone = figures["sra_cl_against_reference"], figures["backbone_against_sra_cl"]
    return "\n".join(
        [
            f"SRA-CL training, {figures['users']:,} users, {figures['items']:,} items, {figures['targets']:,} targets, "
            f"{figures['threads']} threads, {figures['rounds']} turns",
            f"  {'':<10} {'targets/s':>10} {'per processor second':>22}",
            *(f"  {name:<10} {wall[name]:>10,.0f} {processor[name]:>22,.0f}" for name in wall),
            f"  SRA-CL against the reference: {reference['wall']:.1f} times (processor {reference['processor']:.1f})",
            f"  the backbone against SRA-CL: {backbone['wall']:.2f} times (processor {backbone['processor']:.2f})",
            f"  once an epoch, the bank: {figures['bank_seconds'][0]:.1f} s; once, neighbours: "
            f"{figures['look_up_seconds'][0]:.1f} s",
        ]
    )


def beauty_shaped(users: int = USERS, *, seed: int = 0) -> SequenceTrainingData:
    """Return training histories with about 5.9 targets per user, items by popularity, and a few validation users."""
    random = np.random.default_rng(seed)
    extra = random.geometric(1 / (TARGETS / USERS - 3 + 1), users) - 1  # at least three targets each
    inputs = np.maximum(np.round((3 + extra) * 1.0), 3).astype(np.int64)
    wanted = round(TARGETS * users / USERS)
    while inputs.sum() != wanted:
        change = np.sign(wanted - inputs.sum())
        chosen = random.choice(users, min(abs(wanted - inputs.sum()), users), replace=False)
        inputs[chosen] = np.maximum(inputs[chosen] + change, 1)
    offsets = np.concatenate(([0], np.cumsum(inputs + 1))).astype(np.int64)
    shares = 1.0 / (np.arange(ITEMS) + 20.0)
    items = random.choice(ITEMS, offsets[-1], p=shares / shares.sum()).astype(np.int32) + 2
    train = SequenceDataset(Catalogue(ITEMS + 2, (), ("", "", "item")), offsets, items.astype(np.int32))
    some = train.take(slice(0, 100))
    return SequenceTrainingData(train, HeldOut(some, np.full(len(some), 2, np.int32)))


def random_vectors(encoder: str, parameters: dict[str, Any], train: SequenceDataset) -> Float32Array:
    """Return unit vectors (I, 64): their cost is what matters here, not their meaning."""
    vectors = np.random.default_rng(1).standard_normal((train.catalogue.size, _SEMANTIC_WIDTH)).astype(np.float32)
    vectors[:2] = 0
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


class _Ours:
    """SASRec or SRA-CL, trained a few batches at a time as the estimator does it."""

    def __init__(self, data: SequenceTrainingData, parameters: SasRecParameters, contrast: Contrast | None) -> None:
        self.parameters, self.contrast = parameters, contrast
        self.windows = Windows.cut(data.train, parameters.length)
        self.network = SasRec(data.catalogue.size, parameters).train()
        learned = [*self.network.parameters(), *(contrast.synthesizer.parameters() if contrast else ())]
        self.optimizer = torch.optim.Adam(learned, fused=True)
        self.batches = iter(())
        self.clock, self.bank = Clock(), Clock()

    def turn(self, batches: int = 3) -> None:
        """Train a few batches; fill the bank first."""
        if self.contrast:
            with self.bank.timing(self.windows.targets):
                self.contrast.begin_epoch(self.network)
        for _ in range(batches):
            batch = next(self.batches, None)
            if batch is None:
                self.batches = self.windows.batches(self.parameters.batch_size)
                batch = next(self.batches)
            with self.clock.timing(len(batch.targets)):
                loss, extra = training_loss(self.network, self.contrast, batch, self.parameters)
                self.optimizer.zero_grad()
                (loss + extra).backward()
                self.optimizer.step()

    def targets_per_second(self, kind: int) -> float:
        """Return targets per second of whole epochs."""
        bank = self.bank.per_target(kind) if self.bank.turns else 0.0
        return 1.0 / (self.clock.per_target(kind) + bank)


class _Reference:
    """The reference, trained a batch of samples at a time; one sample has one target."""

    def __init__(self, data: SequenceTrainingData) -> None:
        self.model = ReferenceSraCl(ITEMS + 2, length=LENGTH, width=WIDTH, layers=2, heads=2, dropout=0.5)
        self.optimizer = torch.optim.Adam(self.model.parameters(), fused=True)
        self.data = samples(data.train.offsets, data.train.items, LENGTH, ITEMS + 2, seed=1)
        self.clock = Clock()

    def turn(self) -> None:
        """Train one batch."""
        rows = torch.randint(0, len(self.data.targets), (BATCH,))
        with self.clock.timing(BATCH):
            loss = self.model(self.data, rows)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def targets_per_second(self, kind: int) -> float:
        """Return targets per second."""
        return 1.0 / self.clock.per_target(kind)
