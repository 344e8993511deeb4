"""The knobs of the synthetic shop, and the named settings of them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from crosslens.errors import UserError


@dataclass(frozen=True, slots=True)
class Preset:
    """How the shop behaves.

    ctr, cvr: target rates; kappa: how far what sells is also what is clicked (selection); rho: correlation of the click
    and conversion taste of users and items; gamma: weight of a hidden confounder; delay_hours: scale of a Weibull delay
    of conversions, of which those after the last day are not yet seen (0: minutes, all seen); dirt: share of rows that
    are spoilt; items: how many at 40,000 impressions; popularity: spread of how often items are shown, in logs.
    """

    ctr: float = 0.10
    cvr: float = 0.20
    kappa: float = 0.0
    rho: float = 0.5
    gamma: float = 0.0
    delay_hours: float = 0.0
    dirt: float = 0.0
    items: int = 500
    popularity: float = 0.7


PRESETS = {
    "default": Preset(),
    "p1": Preset(ctr=0.04, cvr=0.05, rho=0.8, kappa=0.4),
    "p2": Preset(rho=0.0, kappa=0.0, items=60, popularity=0.0),
    "p3": Preset(cvr=0.45),
    "dirty": Preset(delay_hours=36.0, dirt=0.02),
}


def preset_named(name: str) -> Preset:
    """Return the preset; UserError lists those there are."""
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name, PRESETS, n=1)
    raise UserError(
        f"There is no sample preset called {name}.",
        why=f"The presets are {', '.join(PRESETS)}.",
        do=f"Did you mean {near[0]}?" if near else "Choose one of them.",
        presets=tuple(PRESETS),
    )
