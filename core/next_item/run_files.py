"""What a next-item run keeps beside the files every run has.

recommendation-test.json, recommendation-validation.json    RankingQuality
sequences.json                                              SequenceFacts
ranks.npz                                                   Ranks of the test users
test-users.parquet                                          user, events, rank, next item, recommended
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crosslens.errors import ProjectError

from ..files import read_json, replace_file, write_json
from .values import RankingQuality, Ranks, SequenceFacts


class NextItemFiles:
    """Typed access to what is kept under a run's folder; readers return None for what is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether the run is one of a next-item model that was measured."""
        return (self.path / "recommendation-test.json").exists()

    def save_quality(self, part: str, quality: RankingQuality) -> None:
        """Keep the quality on "test" or "validation"."""
        write_json(self.path / f"recommendation-{part}.json", quality)

    def quality(self, part: str = "test") -> RankingQuality | None:
        """Return the quality on "test" or "validation"."""
        path = self.path / f"recommendation-{part}.json"
        return read_json(path, RankingQuality) if path.exists() else None

    def save_facts(self, facts: SequenceFacts) -> None:
        """Keep what the run was made of."""
        write_json(self.path / "sequences.json", facts)

    def facts(self) -> SequenceFacts | None:
        """Return what the run was made of."""
        path = self.path / "sequences.json"
        return read_json(path, SequenceFacts) if path.exists() else None

    def save_ranks(self, ranks: Ranks) -> None:
        """Keep where the targets stand."""

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.savez(file, better=ranks.better, equal=ranks.equal, top=ranks.top, scores=ranks.scores)

        replace_file(self.path / "ranks.npz", write)

    def ranks(self) -> Ranks | None:
        """Return where the targets stand; ProjectError if the file is damaged."""
        path = self.path / "ranks.npz"
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return Ranks(arrays["better"], arrays["equal"], arrays["top"], arrays["scores"])
        except (OSError, ValueError, KeyError) as error:
            raise ProjectError(
                "The ranks of this run cannot be read.",
                why=f"{path.name} is damaged ({error}).",
                do="Train the run again.",
            ) from error

    def save_users(self, table: pa.Table) -> None:
        """Keep the test users."""
        replace_file(self.path / "test-users.parquet", lambda path: pq.write_table(table, path))

    def users(self) -> pa.Table | None:
        """Return the test users in the order of the ranks."""
        path = self.path / "test-users.parquet"
        return pq.read_table(path) if path.exists() else None
