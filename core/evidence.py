"""Are the interactions real? Second differences at the output, and what they are worth on held-out rows."""

from __future__ import annotations

from dataclasses import dataclass

from .quality import Curve


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """One pair of fields.

    effect: root mean square over rows of the second difference of the logit, with an interval;
    gain: mean log loss (nats per row) on held-out rows that is lost when the pair's second difference is taken out of
    the logit, with an interval; p_value one-sided for gain > 0, q_value after Benjamini-Hochberg over all pairs;
    supported: q_value <= 0.05.
    """

    fields: tuple[str, str]
    effect: float
    effect_low: float
    effect_high: float
    gain: float
    gain_low: float
    gain_high: float
    p_value: float
    q_value: float
    supported: bool


@dataclass(frozen=True, slots=True)
class InteractionEvidence:
    """All pairs looked at, strongest first (supported ones before the others)."""

    fields: tuple[str, ...]
    pairs: tuple[PairEvidence, ...]
    rows: int
    background: int
    method: str
    meaning: str


@dataclass(frozen=True, slots=True)
class FieldEffect:
    """One field: effect is the root mean square change of the logit when the field is resampled; gain as for pairs."""

    field: str
    effect: float
    gain: float
    gain_low: float
    gain_high: float
    supported: bool


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Deletion and insertion of fields in the order of their contribution against random order.

    area: mean over rows of the area between both orders, in units of |logit - baseline logit|; 0 is no better than
    random, higher is better. Interval by bootstrap over rows.
    """

    area: float
    low: float
    high: float
    deletion: Curve
    deletion_random: Curve
    insertion: Curve
    insertion_random: Curve
    rows: int
