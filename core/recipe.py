"""A recipe: the complete, human-readable description of a job, as TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from crosslens.relational import ColumnRef, ConnectionSpec, QuerySpec
from crosslens.schema import FieldSchema

FORMAT = 1


class SplitMethod(StrEnum):
    """How rows are parted: the latest rows are the test, or whole users, or at random."""

    TIME = "time"
    USER = "user"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class SplitSpec:
    """Shares of validation and test rows; the rest trains."""

    method: SplitMethod = SplitMethod.RANDOM
    validation: float = 0.1
    test: float = 0.2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model by id, with the parameters that differ from its defaults."""

    id: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


class NextItemSplit(StrEnum):
    """Which items are held out: the last one of every user (the one before validates), or those after a moment."""

    LEAVE_ONE_OUT = "leave-one-out"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class NextItemSpec:
    """How sequences for next-item models are made of the rows, and how recommendations are measured.

    `minimum_events`: users with fewer are left out. `core` > 0 keeps the largest set in which every user and every
    item occurs so often. By time, the shares of `Recipe.split` say where the held-out events begin. `exclude_seen`:
    an item a user has had already is never recommended again, so a repeat counts as a miss. `at`: the lengths k of the
    lists measured. `title` is the column with what people call an item; chosen from what a lookup joined if None.
    `baselines`: popularity, item-kNN and the backbone of a model are trained beside it.
    """

    core: int = 0
    minimum_events: int = 3
    split: NextItemSplit = NextItemSplit.LEAVE_ONE_OUT
    exclude_seen: bool = True
    at: tuple[int, ...] = (5, 10, 20)
    title: ColumnRef | None = None
    baselines: bool = True


class RepairKind(StrEnum):
    """What to do about rows or fields that a check has found."""

    IGNORE_FIELD = "ignore-field"
    DROP_MISSING = "drop-missing"
    DROP_DUPLICATES = "drop-duplicates"
    DROP_ORPHANS = "drop-orphans"
    CLICK_IF_CONVERTED = "click-if-converted"
    NO_CONVERSION_WITHOUT_CLICK = "no-conversion-without-click"
    DROP_LATER_THAN_EVENT = "drop-later-than-event"


@dataclass(frozen=True, slots=True)
class Repair:
    """A repair the user has chosen. `fields` are the names it concerns.

    IGNORE_FIELD                  the fields get the role ignore
    DROP_MISSING                  rows in which one of the fields is missing are left out
    DROP_DUPLICATES               of rows alike in all fields, the first is kept
    DROP_ORPHANS                  rows whose key (the fields) finds no partner are left out
    CLICK_IF_CONVERTED            a row with a conversion counts as clicked
    NO_CONVERSION_WITHOUT_CLICK   a conversion without a click counts as none
    DROP_LATER_THAN_EVENT         rows in which the fields hold a time after the row's own are left out
    """

    kind: RepairKind
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """Source, query, fields, split, models. `minimum_count`: rarer values are trained as <unknown>.

    `hash_buckets` > 0: a field with more values than that is hashed into so many. `moment` says in words when the
    prediction is made ("before the call"): what is known only later is then looked for. `repairs` are applied to the
    extracted rows. `next_item` concerns next-item models alone.
    """

    source: ConnectionSpec
    query: QuerySpec
    fields: FieldSchema
    split: SplitSpec = field(default_factory=SplitSpec)
    models: tuple[ModelChoice, ...] = ()
    title: str = ""
    seed: int = 0
    minimum_count: int = 2
    hash_buckets: int = 0
    moment: str = ""
    repairs: tuple[Repair, ...] = ()
    next_item: NextItemSpec = field(default_factory=NextItemSpec)

    def only(self, model: ModelChoice) -> Recipe:
        """Return the same recipe for one model: what a single run keeps."""
        return replace(self, models=(model,))
