"""The pass over an epoch and the loop over epochs, on a learner of one number that is right by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from crosslens import DataError, FitContext, FitProgress, Stopped
from crosslens.testing.checkpoints import Crash, FolderCheckpoints, StopAfter
from plugins.neural import checkpoint as checkpoint_module
from plugins.neural import epoch
from plugins.neural.checkpoint import Weights
from plugins.neural.devices import random_state, set_random_state
from plugins.neural.epoch import EpochMeter
from plugins.neural.loop import Loop, Schedule, Validated

CPU = torch.device("cpu")


# -- one pass ----------------------------------------------------------------------------------------------------------


def meter(steps: int = 4, **context: Any) -> EpochMeter:
    return EpochMeter(FitContext(**context), CPU, epoch=2, epochs=9, steps=steps, best_epoch=1, steps_before=10)


def losing(loss: float, rows: int = 5) -> tuple[Tensor, int]:
    return torch.tensor(loss), rows


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time the meter reads, to be moved by hand."""
    now = [100.0]
    monkeypatch.setattr(epoch.time, "monotonic", lambda: now[0])
    return now


def test_a_meter_counts_steps_and_rows_and_numbers_steps_over_all_epochs() -> None:
    watched, numbers = meter(), list[int]()

    def step(_: int) -> tuple[Tensor, int]:
        numbers.append(watched.next_step)
        return losing(1.0, rows=7)

    assert watched.watch(range(4), step)
    assert (watched.steps_done, watched.rows_done, numbers) == (4, 28, [11, 12, 13, 14])


def test_a_meter_tells_now_and_then_the_mean_loss_since_it_told_last(clock: list[float]) -> None:
    told: list[FitProgress] = []
    losses = iter([1.0, 3.0, 5.0, 7.0])

    def step(number: int) -> tuple[Tensor, int]:
        clock[0] += epoch.REPORT_SECONDS if number % 2 else 0.0
        return losing(next(losses))

    watched = meter(progress=told.append)
    watched.watch(range(4), step)
    assert [(each.epoch, each.epochs, each.step, each.steps, each.loss) for each in told] == [
        (2, 9, 2, 4, 2.0),
        (2, 9, 4, 4, 6.0),
    ]
    assert told[0].best_epoch == 1
    assert told[0].rows_per_second == pytest.approx(10 / epoch.REPORT_SECONDS)


def test_time_after_the_pass_does_not_count_as_training(clock: list[float]) -> None:
    told: list[FitProgress] = []

    def step(_: int) -> tuple[Tensor, int]:
        clock[0] += 0.01
        return losing(1.0)

    watched = meter(progress=told.append)
    watched.watch(range(4), step)
    clock[0] += 1000
    watched.report(metrics={"auc": 0.7})
    assert told[-1].rows_per_second == pytest.approx(20 / 0.04)
    assert (told[-1].loss, told[-1].metrics) == (1.0, {"auc": 0.7})


def test_stop_ends_a_pass_before_the_next_step() -> None:
    watched = meter(should_stop=StopAfter(2))
    assert not watched.watch(range(4), lambda _: losing(1.0))
    assert watched.steps_done == 2


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_pass_when_it_is_seen(clock: list[float], bad: float) -> None:
    def step(_: int) -> tuple[Tensor, int]:
        clock[0] += 1
        return losing(bad)

    watched = meter()
    assert watched.watch(range(4), step)
    assert (watched.is_finite, watched.steps_done) == (False, 1)


def test_a_loss_lost_in_the_last_steps_is_seen_at_the_end() -> None:
    losses = iter([1.0, 1.0, 1.0, math.nan])
    watched = meter()
    assert watched.watch(range(4), lambda _: losing(next(losses)))
    assert (watched.is_finite, watched.steps_done) == (False, 4)


# -- all epochs --------------------------------------------------------------------------------------------------------


class Walk:
    """Learns one number by random steps; validation says what it is told to say."""

    steps = 3

    def __init__(self, losses: Callable[[int], float] = lambda epoch: 1 / epoch, device: torch.device = CPU) -> None:
        self.number = torch.nn.Parameter(torch.zeros(2))
        self.optimizer = torch.optim.Adam([self.number])
        self.losses = losses
        self.device = device
        self.rates: list[float] = []
        self.after: dict[int, list[float]] = {}
        self.precision: torch.amp.GradScaler | None = None

    def weights(self) -> Weights:
        return {"number": self.number.data}

    def load_weights(self, weights: Weights) -> None:
        self.number.data.copy_(weights["number"])

    def learn(self, meter: EpochMeter) -> bool:
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        return meter.watch(range(self.steps), self._step)

    def validate(self, epoch: int) -> Validated:
        self.after[epoch] = self.number.tolist()
        return Validated(self.losses(epoch), {"seen": float(epoch)})

    def _step(self, _: int) -> tuple[Tensor, int]:
        self.optimizer.zero_grad()
        loss = (self.number * torch.randn(2)).sum()
        if self.precision is None:
            loss.backward()
            self.optimizer.step()
        else:
            self.precision.scale(loss).backward()
            self.precision.step(self.optimizer)
            self.precision.update()
        return loss.detach(), 1


def loop(walk: Walk, epochs: int = 4, patience: int = 2, **context: Any) -> Loop:
    torch.manual_seed(3)
    return Loop(
        learner=walk,
        schedule=Schedule(epochs, patience, 0.01),
        optimizers=[walk.optimizer],
        context=FitContext(**context),
        device=walk.device,
        identity={"walk": 1},
        scaler=walk.precision,
    )


def test_the_best_epoch_is_put_back() -> None:
    walk = Walk(lambda epoch: abs(epoch - 2))
    done = loop(walk, patience=9)
    done.run()
    assert walk.number.tolist() == walk.after[2] != walk.after[4]
    assert done.facts() == {
        "epochs": 4,
        "best_epoch": 2,
        "seed": 0,
        "device": "cpu",
        "ended": "The last epoch is done.",
    }


def test_at_a_plateau_training_goes_on_from_the_best_epoch_with_a_tenth_of_the_rate_and_then_ends() -> None:
    walk = Walk(lambda epoch: float(epoch))
    loop(walk, epochs=20).run()
    assert walk.rates == pytest.approx([0.01] * 3 + [0.001] * 2)
    assert len(walk.after) == 5


def test_the_end_of_an_epoch_is_told_with_its_metrics_and_the_best_so_far() -> None:
    told: list[FitProgress] = []
    loop(Walk(lambda epoch: abs(epoch - 2)), patience=9, progress=told.append).run()
    ends = [each for each in told if each.metrics]
    assert [(each.epoch, each.best_epoch, each.metrics["seen"]) for each in ends] == [
        (1, 1, 1.0),
        (2, 2, 2.0),
        (3, 2, 3.0),
        (4, 2, 4.0),
    ]
    assert [each.message for each in ends] == ["", "", "", "The last epoch is done."]


def test_a_validation_loss_that_is_no_number_keeps_the_best_epoch_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    walk = Walk(lambda epoch: math.nan if epoch == 3 else 1 / epoch)
    done = loop(walk)
    done.run()
    assert walk.number.tolist() == walk.after[2]
    assert "not a number after epoch 2; the best epoch before it was kept" in done.facts()["ended"]
    assert "not a number" in caplog.text


def test_a_loss_lost_in_the_first_epoch_is_said_with_a_remedy() -> None:
    with pytest.raises(DataError, match="Lower the learning rate"):
        loop(Walk(lambda _: math.nan)).run()


def test_stop_before_the_first_step_leaves_nothing_and_later_the_steps_made() -> None:
    with pytest.raises(Stopped):
        loop(Walk(), should_stop=lambda: True).run()
    walk = Walk()
    done = loop(walk, should_stop=StopAfter(2))
    done.run()
    assert walk.number.tolist() == walk.after[1] != [0.0, 0.0]
    assert done.facts()["ended"] == "Stopped."


# -- going on ----------------------------------------------------------------------------------------------------------


def crash_in_epoch(number: int) -> Callable[[FitProgress], None]:
    def progress(told: FitProgress) -> None:
        if told.epoch == number and told.metrics:
            raise Crash

    return progress


def interrupted(make: Callable[[], Walk], folder: Path) -> Walk:
    """Return what a training came to that died after its second epoch and went on from there."""
    kept = FolderCheckpoints(folder)
    with pytest.raises(Crash):
        loop(make(), progress=crash_in_epoch(2), checkpoints=kept).run()
    walk = make()
    again = loop(walk, checkpoints=kept)
    torch.manual_seed(999)
    again.run()
    assert list(walk.after) == [3, 4]
    return walk


def test_a_training_goes_on_to_the_numbers_of_one_never_interrupted(tmp_path: Path) -> None:
    whole = Walk()
    loop(whole).run()
    assert interrupted(Walk, tmp_path).number.tolist() == whole.number.tolist()


def test_the_factor_of_scaled_gradients_goes_on_too(tmp_path: Path) -> None:
    def scaled() -> Walk:
        walk = Walk()
        walk.precision = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)
        return walk

    whole = scaled()
    loop(whole).run()
    resumed = interrupted(scaled, tmp_path)
    assert whole.precision is not None
    assert resumed.precision is not None
    assert whole.precision.get_scale() == 4.0 * 2**6
    assert resumed.precision.state_dict() == whole.precision.state_dict()
    assert resumed.number.tolist() == whole.number.tolist()


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_random_numbers_that_a_card_draws_by_itself_go_on_too(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = getattr(torch, kind)
    drawn, given = torch.tensor([1, 2, 3], dtype=torch.uint8), list[Tensor]()
    monkeypatch.setattr(card, "get_rng_state", lambda *_: drawn)
    monkeypatch.setattr(card, "set_rng_state", lambda state, *_: given.append(state))
    device = torch.device(kind)
    kept = FolderCheckpoints(tmp_path)
    saved = checkpoint_module.Checkpoint.of(loop(Walk()).state, {"number": torch.ones(2)}, {}, [], device)
    checkpoint_module.save_checkpoint(FitContext(checkpoints=kept), saved, {"walk": 1})
    found = checkpoint_module.latest_checkpoint(FitContext(checkpoints=kept), {"walk": 1}, {"number": torch.ones(2)}, 0)
    assert found is not None
    found.restore([], device)
    assert [each.tolist() for each in given] == [[1, 2, 3]]
    found.restore([], CPU)
    assert len(given) == 1


def test_a_processor_has_no_random_numbers_beside_torchs_own() -> None:
    assert random_state(CPU) is None
    before = torch.get_rng_state()
    set_random_state(CPU, torch.zeros(1, dtype=torch.uint8))
    assert torch.equal(torch.get_rng_state(), before)


def shorten(name: str, share: float) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(len(whole) * share)])

    return damage


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def holding(name: str, text: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_text(text, encoding="utf-8")

    return damage


TENSORS, FACTS = "training.safetensors", "training.json"


@pytest.mark.parametrize(
    "damage",
    [
        *(shorten(name, share) for name in (TENSORS, FACTS) for share in (0.0, 0.01, 0.5, 0.99)),
        without(TENSORS),
        without(FACTS),
        holding(FACTS, "{}"),
        holding(FACTS, "[]"),
        holding(FACTS, '{"identity": {"walk": 1}}'),
        holding(FACTS, '{"identity": {"walk": 1}, "state": {"epochs": 3}}'),
    ],
)
def test_a_checkpoint_cut_short_is_not_used_and_that_is_said(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept, whole = FolderCheckpoints(tmp_path), Walk()
    loop(whole, checkpoints=kept).run()
    folder = kept.latest()
    assert folder is not None
    damage(folder)
    walk = Walk()
    loop(walk, checkpoints=kept).run()
    assert "The checkpoint cannot be read" in caplog.text
    assert "training starts anew" in caplog.text
    assert list(walk.after) == [1, 2, 3, 4]
    assert walk.number.tolist() == whole.number.tolist()


def test_a_checkpoint_of_weights_of_other_shapes_is_left_alone_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = FolderCheckpoints(tmp_path)
    loop(Walk(), checkpoints=kept).run()
    walk = Walk()
    walk.number = torch.nn.Parameter(torch.zeros(1))
    walk.optimizer = torch.optim.Adam([walk.number])
    walk.learn = lambda meter: meter.watch(range(3), lambda _: losing(1.0))  # type: ignore[method-assign]
    loop(walk, checkpoints=kept).run()
    assert "belongs to other rows or parameters" in caplog.text


def test_a_checkpoint_of_before_scalers_were_kept_is_still_read(tmp_path: Path) -> None:
    kept = FolderCheckpoints(tmp_path)
    loop(Walk(), checkpoints=kept).run()
    folder = kept.latest()
    assert folder is not None
    facts = (folder / FACTS).read_text(encoding="utf-8")
    (folder / FACTS).write_text(facts.replace(', "scaler": null', ""), encoding="utf-8")
    walk = Walk()
    loop(walk, checkpoints=kept).run()
    assert walk.after == {}
