"""Real rows as models see them: bank-marketing without `duration`, and MovieTweetings as a question of liking.

Every field is categorical (numbers in 32 quantile bins of the training rows), so that all models and peers have the
very same inputs, those for categories only included.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from crosslens import RESERVED_IDS, UNKNOWN_ID, EncodedDataset, EncodedField, EncodedSchema, FieldKind, TrainingData

_BINS = 32
_LIKED = 8
_RARE = 2


@dataclass(frozen=True, slots=True)
class Question:
    """Rows to train and choose on, and those that judge."""

    title: str
    data: TrainingData
    test: EncodedDataset


def questions(folder: Path) -> list[Question]:
    """Read what lies in `folder`: bank-marketing/bank-full.csv, movietweetings-100k/{ratings,movies}.dat."""
    return [_bank(folder / "bank-marketing" / "bank-full.csv"), _movies(folder / "movietweetings-100k")]


def _bank(path: Path) -> Question:
    table = pd.read_csv(path, sep=";")
    label = (table["y"] == "yes").to_numpy(np.float32)
    order = np.random.default_rng(0).permutation(len(table))
    return _question("bank-marketing without duration", table.drop(columns=["duration", "y"]), label, order)


def _movies(folder: Path) -> Question:
    ratings = pd.read_csv(
        folder / "ratings.dat", sep="::", engine="python", names=["user", "movie", "rating", "time"],
        dtype={"movie": str, "user": str},
    )  # fmt: skip
    movies = pd.read_csv(
        folder / "movies.dat", sep="::", engine="python", names=["movie", "title", "genres"], dtype=str
    )
    table = ratings.merge(movies, on="movie", how="left")
    year = table["title"].str.extract(r"\((\d{4})\)")[0]
    moment = pd.to_datetime(table["time"], unit="s")
    fields = pd.DataFrame(
        {
            "user": table["user"],
            "movie": table["movie"],
            "first genre": table["genres"].str.split("|").str[0],
            "genres": table["genres"],
            "year": year,
            "weekday": moment.dt.weekday.astype(str),
            "hour": moment.dt.hour.astype(str),
        }
    )
    label = (table["rating"] >= _LIKED).to_numpy(np.float32)
    return _question("MovieTweetings, rated 8 or more", fields, label, np.argsort(table["time"], kind="stable"))


def _question(title: str, table: pd.DataFrame, label: np.ndarray, order: np.ndarray) -> Question:
    """Part rows 70 : 10 : 20 in the given order and encode them by the training rows."""
    table, label = table.iloc[order].reset_index(drop=True), label[order]
    bounds = [int(len(table) * share) for share in (0.7, 0.8)]
    columns = [_encoded(table[name], bounds[0]) for name in table]
    fields = [EncodedField(name, FieldKind.CATEGORICAL, size) for name, (_, size) in zip(table, columns, strict=True)]
    schema = EncodedSchema(tuple(fields), ("click",))
    ids = np.stack([ids for ids, _ in columns], axis=1) + schema.offsets
    whole = EncodedDataset(
        schema, ids.astype(np.int32), np.zeros((len(ids), 0), np.float32), {"click": label.astype(np.float32)}
    )
    train, validation, test = (whole.take(slice(*ends)) for ends in ((0, bounds[0]), tuple(bounds), (bounds[1], None)))
    return Question(title, TrainingData(train, validation), test)


def _encoded(column: pd.Series, train: int) -> tuple[np.ndarray, int]:
    """Return local ids (N,) and how many there are; rare and unseen values are <unknown>."""
    if pd.api.types.is_numeric_dtype(column):
        edges = np.unique(np.quantile(column[:train], np.linspace(0, 1, _BINS + 1)[1:-1]))
        return np.searchsorted(edges, column, side="right") + RESERVED_IDS, len(edges) + 1 + RESERVED_IDS
    counts = column[:train].value_counts()
    kept = counts.index[counts >= _RARE]
    ids = pd.Index(kept).get_indexer(column)
    return np.where(ids < 0, UNKNOWN_ID, ids + RESERVED_IDS), len(kept) + RESERVED_IDS
