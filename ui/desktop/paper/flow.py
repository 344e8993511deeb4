"""Pieces into pages: what belongs together stays together, and nothing is lost. No Qt here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Draw(Protocol):
    """Paints a piece with its upper left corner at (x, y)."""

    def __call__(self, painter: Any, x: float, y: float) -> None:
        """Paint."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that is never cut: a line of text, a row of a table, a figure. Lengths in units of the page.

    `space` is left free above it, except at the top of a page. `keep` ties it to the next piece. `head` is repeated
    above it when it comes first on a page (the heads of a table that goes on).
    """

    height: float
    draw: Draw
    space: float = 0.0
    keep: bool = False
    head: Piece | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A piece at its distance from the top of the page."""

    piece: Piece
    top: float


def paginate(pieces: Sequence[Piece], height: float) -> tuple[tuple[Placed, ...], ...]:
    """Return the pages, at least one. A group of tied pieces taller than a page is cut between its pieces."""
    pages = _Pages(height)
    for group in _groups(pieces):
        if not pages.fits(group) and not pages.is_empty():
            pages.turn()
        for piece in group:
            if not pages.fits((piece,)) and not pages.is_empty():
                pages.turn()
            pages.put(piece)
    return tuple(tuple(page) for page in pages.pages)


def _groups(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, ...]]:
    group: list[Piece] = []
    for piece in pieces:
        group.append(piece)
        if not piece.keep:
            yield tuple(group)
            group = []
    if group:
        yield tuple(group)


class _Pages:
    """The pages so far and how far the last one is filled."""

    def __init__(self, height: float) -> None:
        self._height = height
        self._filled = 0.0
        self.pages: list[list[Placed]] = [[]]

    def is_empty(self) -> bool:
        return not self.pages[-1]

    def fits(self, group: Sequence[Piece]) -> bool:
        first = 0.0 if self.is_empty() else group[0].space
        needed = first + sum(piece.height for piece in group) + sum(piece.space for piece in group[1:])
        return self._filled + needed <= self._height

    def turn(self) -> None:
        self.pages.append([])
        self._filled = 0.0

    def put(self, piece: Piece) -> None:
        if self.is_empty() and piece.head is not None:
            self._place(piece.head)
        self._place(piece)

    def _place(self, piece: Piece) -> None:
        top = self._filled + (0.0 if self.is_empty() else piece.space)
        self.pages[-1].append(Placed(piece, top))
        self._filled = top + piece.height
