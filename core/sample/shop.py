"""The shop in one piece: its tables, and the truth beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from crosslens.errors import UserError
from crosslens.relational import TableInfo

from ..files import replace_file, write_text
from .covariates import draw_covariates
from .funnel import DECOYS, PLANTED, Funnel, PlantedInteraction, draw_funnel
from .presets import preset_named
from .tables import LEAKS, describe, shop_tables

LEAST_ROWS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Shop:
    """A generated shop.

    `tables` and `infos` go into the database. `truth` (rows,) holds impression_id, click_probability (c),
    conversion_probability (r, given a click) and would_convert (z*). `planted` are the true interactions with their
    coefficients in both logits, `decoys` pairs that only look like some, both in the field names of `shop_recipe`.
    """

    tables: Mapping[str, pa.Table]
    infos: tuple[TableInfo, ...]
    truth: pa.Table
    planted: tuple[PlantedInteraction, ...]
    decoys: tuple[tuple[str, str], ...]
    preset: str
    seed: int

    @property
    def ctr(self) -> float:
        """Return the share of impressions that were clicked."""
        return _mean(self.truth.column("clicked"))

    @property
    def cvr(self) -> float:
        """Return the share of clicked impressions that convert sooner or later; NaN without clicks."""
        return _mean(self.truth.column("would_convert").filter(self.truth.column("clicked")))

    def write_truth(self, database: Path) -> Path:
        """Write `<stem>.truth.parquet` and `<stem>.truth.json` beside `database`; return the JSON file."""
        from pyarrow import parquet

        replace_file(
            database.with_name(f"{database.stem}.truth.parquet"), lambda path: parquet.write_table(self.truth, path)
        )
        summary = database.with_name(f"{database.stem}.truth.json")
        write_text(summary, json.dumps(self._summary(), ensure_ascii=False, indent=1) + "\n")
        return summary

    def _summary(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "preset": self.preset,
            "rows": self.truth.num_rows,
            "ctr": self.ctr,
            "cvr": self.cvr,
            "planted": [_interaction(each) for each in self.planted],
            "decoys": [list(pair) for pair in self.decoys],
            "leaks": list(LEAKS) if preset_named(self.preset).dirt else [],
        }


def generate_shop(rows: int = 40_000, seed: int = 7, preset: str = "default") -> Shop:
    """Return a shop of `rows` impressions; the same arguments give the same bytes.

    UserError for a preset that does not exist (it lists those that do) or fewer than 100 rows. Covariates, tastes,
    outcomes and dirt come from streams of their own, so turning one knob leaves the other draws alone.
    """
    knobs = preset_named(preset)
    _check(rows, seed)
    streams = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4))
    where, taste, labels, dirt = streams
    covariates = draw_covariates(rows, knobs, where)
    funnel = draw_funnel(covariates, knobs, taste, labels)
    tables = shop_tables(covariates, funnel, knobs, labels, dirt)
    planted = tuple(funnel.effective(each) for each in PLANTED)
    return Shop(tables, describe(tables), _truth(funnel), planted, DECOYS, preset, seed)


def _truth(funnel: Funnel) -> pa.Table:
    return pa.table(
        {
            "impression_id": np.arange(1, len(funnel.clicked) + 1),
            "click_probability": funnel.click_probability,
            "conversion_probability": funnel.conversion_probability,
            "clicked": funnel.clicked,
            "would_convert": funnel.would_convert,
        }
    )


def _interaction(planted: PlantedInteraction) -> dict[str, Any]:
    return {
        "fields": list(planted.fields),
        "where": planted.where,
        "order": planted.order,
        "strength": planted.strength,
        "click": planted.click,
        "conversion": planted.conversion,
    }


def _mean(values: pa.ChunkedArray) -> float:
    array = values.to_numpy()
    return float(array.mean()) if len(array) else float("nan")


def _check(rows: int, seed: int) -> None:
    if rows < LEAST_ROWS:
        raise UserError(
            f"A sample of {rows:,} impressions is too small.",
            why="Every kind of user, item and session should occur.",
            do=f"Ask for at least {LEAST_ROWS} rows.",
            rows=rows,
        )
    if seed < 0:
        raise UserError(f"{seed} cannot be a seed.", why="Seeds count from 0.", do="Choose a whole number from 0 on.")
