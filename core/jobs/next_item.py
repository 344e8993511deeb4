"""Measuring a trained next-item model: how well it ranks what users chose next, and what its lists are like."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from crosslens.data import RESERVED_IDS, Float32Array, Int32Array
from crosslens.errors import PluginError, UserError
from crosslens.models import ModelSpec
from crosslens.runs import Metric
from crosslens.sequences import EncodeContext, HeldOut, NextItemModel, TextEncoders

from ..commands import Phase
from ..next_item.lists import measure_lists
from ..next_item.ranking import measure, rank_targets, training_counts
from ..next_item.run_files import NextItemFiles
from ..next_item.values import RankingQuality, Ranks
from ..ports import ProjectStore
from ..recipe import Recipe
from ..run_folder import RunFacts
from ..services import JobControl, Services
from ..text_vectors import TextVectors
from .next_item_data import PreparedSequences

PLAIN_ENCODER = "tfidf-svd"
"""The encoder whose vectors tell how alike two items are, whatever the model uses: quick, and the same for all runs."""


def text_vectors(project: ProjectStore, services: Services, control: JobControl, *, seed: int) -> TextVectors:
    """Return the maker of item vectors for this project."""
    context = EncodeContext(
        seed=seed,
        threads=services.threads,
        progress=lambda done: control.say(Phase.ENCODING, "Making vectors of items", done),
        should_stop=control.should_stop,
    )
    return TextVectors(project.data_folder, services.host, context, lambda words: control.say(Phase.ENCODING, words))


def lent_encoders(project: ProjectStore, services: Services, control: JobControl, *, seed: int) -> TextEncoders:
    """Return the text encoders as a model in training is lent them."""
    return text_vectors(project, services, control, seed=seed).lent()


def plain_vectors(
    data: PreparedSequences, project: ProjectStore, services: Services, control: JobControl
) -> Float32Array | None:
    """Return vectors of the items' texts, float32 (I, D), or None where there are no texts or no encoder."""
    known = {spec.id for spec in services.host.text_encoders()}
    if PLAIN_ENCODER not in known or not data.catalogue.has_text:
        return None
    try:
        vectors = text_vectors(project, services, control, seed=0)
        return vectors.encode(PLAIN_ENCODER, {}, data.split.training.train)
    except UserError as error:  # a figure beside the metrics is not worth losing a trained model
        control.log.warning("no vectors of items: %s", error)
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Recommender:
    """A trained next-item model with the recipe and the data it is measured by."""

    model: NextItemModel
    spec: ModelSpec
    recipe: Recipe
    data: PreparedSequences


def assess_recommendations(
    recommender: Recommender, files: NextItemFiles, project: ProjectStore, services: Services, control: JobControl
) -> dict[str, Metric]:
    """Measure a model on validation and test users, keep everything in the run's folder, return the test metrics."""
    data, spec = recommender.data, recommender.spec
    check_model(recommender.model, data, spec)
    files.save_facts(data.facts)
    validation = data.split.training.validation
    if len(validation.targets):
        files.save_quality("validation", _measured(recommender, validation, control, "validation")[0])
    quality, ranks = _measured(recommender, data.split.test, control, "test")
    control.say(Phase.EVALUATING, f"{spec.title}: measuring the lists")
    vectors = plain_vectors(data, project, services, control)
    top = ranks.top[:, : quality.headline]
    counts = training_counts(data.split.training.train)
    lists = measure_lists(top, counts, vectors=vectors, source=PLAIN_ENCODER)
    quality = replace(quality, lists=lists, warnings=(*quality.warnings, *notes_of(recommender.model)))
    files.save_ranks(ranks)
    files.save_users(user_table(data, ranks, quality.headline))
    files.save_quality("test", quality)
    return {metric.name: metric for metric in quality.metrics}


def check_model(model: NextItemModel, data: PreparedSequences, spec: ModelSpec) -> None:
    """Raise PluginError if the model ranks other items than those of the data."""
    if model.catalogue.size != data.catalogue.size:
        raise PluginError(
            f"{spec.title} ranks other items than those it was trained on.",
            why=f"It knows {model.catalogue.size:,} ids, and the data has {data.catalogue.size:,}.",
            do="Report this to the author of its plugin.",
        )


def notes_of(model: NextItemModel) -> tuple[str, ...]:
    """Return the sentences a model has to say about its training."""
    facts = getattr(model, "facts", {})
    notes = facts.get("notes", ()) if isinstance(facts, dict) else ()
    return tuple(str(note) for note in ((notes,) if isinstance(notes, str) else notes))


def _measured(recommender: Recommender, held: HeldOut, control: JobControl, part: str) -> tuple[RankingQuality, Ranks]:
    chosen, title = recommender.recipe.next_item, recommender.spec.title
    message = f"{title}: ranking all items for {len(held.targets):,} {part} users"
    control.say(Phase.EVALUATING, message)
    ranks = rank_targets(
        recommender.model,
        held,
        exclude_seen=chosen.exclude_seen,
        top=max(chosen.at),
        progress=lambda done: control.say(Phase.EVALUATING, message, done),
        check=control.check,
    )
    train = recommender.data.split.training.train
    seed, at = recommender.recipe.seed, chosen.at
    return measure(ranks, held, train, at=at, exclude_seen=chosen.exclude_seen, seed=seed), ranks


def user_table(data: PreparedSequences, ranks: Ranks, k: int) -> pa.Table:
    """Return the test users: "user", "events" so far, "rank" of the "next item", k titles that are "recommended"."""
    test = data.split.test
    middle = ranks.middle
    return pa.table(
        {
            "user": data.sequences.users.take(pa.array(data.split.test_users)),
            "events": pa.array(test.histories.lengths),
            "rank": pa.array(middle, mask=np.isnan(middle)),
            "next item": titles_of(data.items.titles, test.targets),
            "recommended": _lists(data.items.titles, ranks.top[:, :k]),
        }
    )


def titles_of(titles: pa.Array, ids: Int32Array) -> pa.Array:
    """Return the titles of ids (n,); NULL for the reserved ones."""
    places = np.asarray(ids, np.int64) - RESERVED_IDS
    return titles.take(pa.array(places, mask=places < 0))


def _lists(titles: pa.Array, top: Int32Array) -> pa.Array:
    """Return the titles of lists (U, k) as list<string> (U,), shorter where there are fewer."""
    kept = top >= RESERVED_IDS
    offsets = np.concatenate(([0], np.cumsum(kept.sum(axis=1)))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), titles_of(titles, top[kept]).cast(pa.string()))


def sequence_facts(
    spec: ModelSpec,
    data: PreparedSequences,
    versions: dict[str, str],
    services: Services,
    seconds: dict[str, float],
    device: str,
) -> RunFacts:
    """Return what a next-item run rests on; its rows are events for training, users for validation and test."""
    facts = data.facts
    return RunFacts(
        model=spec.id,
        model_title=spec.title,
        model_version=spec.version,
        snapshot=data.snapshot,
        encoded=data.folder.name,
        rows_train=facts.trained_events,
        rows_validation=facts.validation_users,
        rows_test=facts.test_users,
        fields=facts.text_fields,
        label=LABEL,
        versions=versions,
        threads=services.threads,
        seconds=seconds,
        findings=data.findings,
        device=device,
    )


LABEL = "next item"
"""What a next-item run predicts, in the place of a label."""
