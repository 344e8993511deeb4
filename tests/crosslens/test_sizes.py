"""Sizes read the same in every room."""

from __future__ import annotations

import pytest

from crosslens._sizes import format_bytes


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (2e6, "2 MB"),
        (47_845_376, "48 MB"),
        (3_883_000_000, "3.9 GB"),
        (4.1e10, "41.0 GB"),
    ],
)
def test_sizes_are_said_in_decimal_units(size: float, text: str) -> None:
    assert format_bytes(size) == text
