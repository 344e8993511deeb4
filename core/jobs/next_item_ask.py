"""Questions about a trained next-item model: what it recommends to a test user, and why, by occlusion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crosslens.data import RESERVED_IDS
from crosslens.errors import ParameterError, ProjectError
from crosslens.models import ModelSpec, Task
from crosslens.runs import RunRecord
from crosslens.sequences import NextItemModel, SequenceDataset

from ..commands import (
    EventEffect,
    ExplainRecommendation,
    HistoryEvent,
    Phase,
    RecommendationExplained,
    RecommendedItem,
    RecommendToUser,
    UserRecommended,
)
from ..moments import moments
from ..next_item.occlusion import Occlusion, occlude, similar_events
from ..next_item.present import occlusion_bars
from ..next_item.ranking import block_scores, standing, top_items
from ..next_item.run_files import NextItemFiles
from ..ports import ProjectStore
from ..recipe import Recipe
from ..recipe_toml import recipe_from_toml
from ..run_folder import RunFolder
from ..services import JobControl, Services
from .next_item import check_model, plain_vectors
from .next_item_data import PreparedSequences, prepare_sequences, reopened

METHOD = (
    "Occlusion: the score of the item with the whole history, minus the score with one event removed. The candidates "
    "stay the same."
)


@dataclass(frozen=True, slots=True, eq=False)
class OpenRecommender:
    """A finished next-item run with its model and its data, ready to be asked."""

    record: RunRecord
    spec: ModelSpec
    recipe: Recipe
    model: NextItemModel
    data: PreparedSequences
    project: ProjectStore

    def history(self, user: int) -> SequenceDataset:
        """Return the history of one test user; ParameterError if there is no such user."""
        users = len(self.data.split.test.targets)
        if not 0 <= user < users:
            raise ParameterError(f"There is no test user {user}.", do=f"Users go from 0 to {users - 1}.", user=user)
        return self.data.split.test.histories.take(slice(user, user + 1))


def is_next_item(run: str, project: ProjectStore, services: Services) -> bool:
    """Whether a run is one of a next-item model."""
    return services.host.model(project.run(run).model).task is Task.NEXT_ITEM


@contextmanager
def opened_recommender(folder: Path, run: str, services: Services, control: JobControl) -> Iterator[OpenRecommender]:
    """Open a next-item run; its sequences are made again from the source if they were deleted.

    ProjectError if it has no model, or is no next-item run.
    """
    project = services.projects.open(folder)
    try:
        record = project.run(run)
        spec = services.host.model(record.model)
        model_folder = project.run_folder(run) / "model"
        if spec.task is not Task.NEXT_ITEM:
            raise ProjectError(f"{spec.title} recommends no items.", do="Choose a run of a next-item model.")
        if not model_folder.exists():
            raise ProjectError(
                f"The run {run} has no trained model.",
                why=f"It is {record.status}.",
                do="Resume it, or choose a finished run.",
            )
        recipe = recipe_from_toml(record.recipe)
        data = _data(record, recipe, project, services, control)
        model: NextItemModel = spec.load(model_folder)
        check_model(model, data, spec)
        yield OpenRecommender(record, spec, recipe, model, data, project)
    finally:
        project.close()


def _data(
    record: RunRecord, recipe: Recipe, project: ProjectStore, services: Services, control: JobControl
) -> PreparedSequences:
    folder = RunFolder(project.run_folder(record.id))
    facts = NextItemFiles(folder.path).facts()
    known = None if facts is None else reopened(recipe, folder.facts(), facts, project)
    return known if known is not None else prepare_sequences(recipe, project, services, control)


def recommend_to_user(request: RecommendToUser, services: Services, control: JobControl) -> UserRecommended:
    """Return what a test user chose, what is recommended, and where the item held out stands."""
    with opened_recommender(request.project, request.run, services, control) as run:
        control.say(Phase.EVALUATING, "Ranking all items")
        history = run.history(request.user)
        target = run.data.split.test.targets[request.user : request.user + 1]
        exclude = run.recipe.next_item.exclude_seen
        ((_, scores),) = block_scores(run.model, history, exclude_seen=exclude, check=control.check)
        better, equal = standing(scores, target)
        return UserRecommended(
            user=request.user,
            name=_name(run.data, request.user),
            history=_history(run.data, history),
            items=_listed(run.data, *top_items(scores, request.top), int(target[0])),
            target=_event(run.data, int(target[0]), ""),
            target_rank=float(better[0] + 1 + equal[0] / 2) if better[0] >= 0 else None,
        )


def explain_recommendation(
    request: ExplainRecommendation, services: Services, control: JobControl
) -> RecommendationExplained:
    """Return what each event of a test user's history does to the standing of an item."""
    with opened_recommender(request.project, request.run, services, control) as run:
        if not RESERVED_IDS <= request.item < run.data.catalogue.size:
            raise ParameterError(f"There is no item with the id {request.item}.", item=request.item)
        control.say(Phase.EXPLAINING, "Removing one event after the other")
        history = run.history(request.user)
        exclude = run.recipe.next_item.exclude_seen
        found = occlude(run.model, history, request.item, exclude_seen=exclude, top=request.top, check=control.check)
        effects = _effects(run, history, request.item, found, services, control)
        title = _title(run.data, request.item)
        return RecommendationExplained(
            user=request.user,
            item=request.item,
            title=title,
            score=found.score,
            rank=found.rank,
            top=request.top,
            history=int(history.lengths[0]),
            effects=effects,
            removal=tuple(_title(run.data, int(history.of(0)[place])) for place in found.removal),
            bars=occlusion_bars(title, effects),
            method=METHOD,
        )


def _effects(
    run: OpenRecommender,
    history: SequenceDataset,
    item: int,
    found: Occlusion,
    services: Services,
    control: JobControl,
) -> tuple[EventEffect, ...]:
    """Return the events looked at, those that lift the item most first."""
    items = np.asarray(history.of(0))[list(found.events)] if found.events else np.zeros(0, np.int32)
    vectors = plain_vectors(run.data, run.project, services, control)
    alike = np.full(len(items), np.nan) if vectors is None else similar_events(vectors, items, item)
    changes = found.score - found.scores
    return tuple(
        EventEffect(
            place=found.events[place],
            title=_title(run.data, int(items[place])),
            score_change=float(changes[place]),
            rank=float(found.ranks[place]),
            similarity=None if np.isnan(alike[place]) else float(alike[place]),
        )
        for place in np.argsort(-changes, kind="stable")
    )


def _history(data: PreparedSequences, history: SequenceDataset) -> tuple[HistoryEvent, ...]:
    items = history.of(0).tolist()
    times = [""] * len(items) if history.times is None else time_texts(history.times, data.facts.times_are_moments)
    return tuple(_event(data, item, text) for item, text in zip(items, times, strict=True))


def time_texts(times: NDArray[Any], are_moments: bool) -> list[str]:
    """Return times as people write them: microseconds since 1970, or the source's own numbers.

    Own numbers as large as a time in seconds since 1973 are read as one, smaller ones (steps, years) shown as they are.
    """
    if not len(times):
        return []
    if not are_moments and np.median(times) < _SECONDS_OF_1973:
        return [f"{value:g}" if isinstance(value, float) else str(value) for value in times.tolist()]
    found = np.asarray(times, "datetime64[us]") if are_moments else moments(pa.chunked_array([pa.array(times)]))
    texts = np.datetime_as_string(found, unit="m", casting="unsafe")
    return [text.replace("T", " ") for text in texts.tolist()]


_SECONDS_OF_1973 = 1e8


def _event(data: PreparedSequences, item: int, time: str) -> HistoryEvent:
    return HistoryEvent(_value(data, item), _title(data, item), time)


def _listed(data: PreparedSequences, items: Any, scores: Any, target: int) -> tuple[RecommendedItem, ...]:
    return tuple(
        RecommendedItem(place, item, _value(data, item), _title(data, item), score, item == target)
        for place, (item, score) in enumerate(zip(items[0].tolist(), scores[0].tolist(), strict=True), start=1)
        if item >= RESERVED_IDS
    )


def _title(data: PreparedSequences, item: int) -> str:
    return data.catalogue.titles[item] or _value(data, item)


def _value(data: PreparedSequences, item: int) -> str:
    return data.sequences.vocabulary.text(item)


def _name(data: PreparedSequences, user: int) -> str:
    place = int(data.split.test_users[user])
    value: pa.Scalar = data.sequences.users[place]
    return str(value.as_py())
