"""A search over a model of the next item: what it rests on, in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from core.commands import Tune
from core.jobs.tune import tune
from core.plugin_host import Host, LoadedModel
from core.recipe_toml import recipe_to_toml
from core.services import JobControl
from core.tuning import TrialState, Tuning, load_tuning, tuning_folder
from crosslens import FitContext, FitProgress, SequenceTrainingData, parameter

from .next_item_world import Counting, CountModel, World, model, shop


@dataclass(frozen=True, slots=True)
class Searched:
    boost: float = parameter(0.0, label="Boost", minimum=0.0, search=(0.0, 9.0))


COUNTS = model("counts", parameters=Searched, build=lambda parameters: Counting(0.0))


def world(folder: Path) -> World:
    return replace(shop(folder), host=Host([LoadedModel("test", COUNTS)], []))


def exchange(rows: World, place: int) -> None:
    """Let every user have clicked on another item at a place of the history, counted from its end."""
    for user in sorted(set(rows.columns["who"])):
        clicked = [
            row
            for row, (who, click) in enumerate(zip(rows.columns["who"], rows.columns["click"], strict=True))
            if who == user and click
        ]
        item = f"i{(int(rows.columns['what'][clicked[-place]][1:]) + 5) % 12}"
        rows.columns["what"][clicked[-place]] = item
        rows.columns["item_title"][clicked[-place]] = f"Item {item[1:]}"
        rows.columns["category"][clicked[-place]] = f"kind {int(item[1:]) % 3}"


def search(rows: World, trials: int = 2) -> Tuning:
    recipe = recipe_to_toml(rows.recipe("counts"))
    done = tune(Tune(rows.folder, recipe, "counts", trials=trials), rows.services, JobControl())
    return load_tuning(tuning_folder(rows.folder, done.tuning))


@pytest.mark.parametrize(("place", "part"), [(1, "test"), (2, "validation")])
def test_a_search_ranks_validation_items_and_never_test_items(place: int, part: str, tmp_path: Path) -> None:
    clean, poisoned = world(tmp_path / "clean"), world(tmp_path / "poisoned")
    exchange(poisoned, place)
    before, after = search(clean), search(poisoned)
    assert before.metric == "NDCG@10"
    assert before.rises
    same = [trial.value for trial in before.trials] == [trial.value for trial in after.trials]
    assert same is (part == "test")


@dataclass
class Telling:
    """Says as early as it can how good it will be (its boost), at the epochs it is told to report."""

    boost: float
    epochs: tuple[int, ...]

    def fit(self, data: SequenceTrainingData, context: FitContext) -> CountModel:
        for epoch in self.epochs:
            context.progress(FitProgress(epoch, 20, 1, 1, metrics={"ndcg@10": self.boost}))
            if context.should_stop():
                break
        return CountModel(np.bincount(data.train.items, minlength=data.catalogue.size), 0.0)


@pytest.mark.parametrize(
    ("epochs", "is_left"), [((1, 2, 3, 4, 5), True), ((1, 7, 13, 20), False)], ids=["every epoch", "now and then"]
)
def test_only_trainings_that_tell_of_every_epoch_are_compared_on_their_way(
    epochs: tuple[int, ...], is_left: bool, tmp_path: Path
) -> None:
    telling = model("counts", parameters=Searched, build=lambda parameters: Telling(parameters.boost, epochs))
    found = search(replace(shop(tmp_path), host=Host([LoadedModel("test", telling)], [])), trials=12)
    assert any(trial.state is TrialState.PRUNED for trial in found.trials) is is_left
    for trial in found.trials:
        assert trial.epochs == (3 if trial.state is TrialState.PRUNED else epochs[-1])
        assert len(trial.curve) == (trial.epochs if is_left else 0)
