"""Sizes as people read them, the same wherever one is said; the rooms that say them do not know each other."""

from __future__ import annotations


def format_bytes(size: float) -> str:
    """Return a size in bytes for reading, in decimal units: "48 MB"."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:,.0f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} GB"
