"""Shapley interactions of pairs of fields in a sum of trees, exactly and for many rows at once.

The game is that of TreeSHAP (Lundberg et al., 2020, path-dependent): a field outside the coalition S sends a row down
both ways in proportion to the training rows. A leaf with value v and distinct fields D on its path then pays

    v(S) = v * prod over k in S of o_k * prod over k in D \\ S of z_k
    o_k = 1 if the row passes all decisions of field k on the path, else 0;   z_k = cover of those decisions

The Shapley interaction index (Grabisch & Roubens, 1999) weighs coalitions by |S|! (D-|S|-2)! / (D-1)!, the Beta
integral of t^|S| (1-t)^(D-|S|-2). The sum over all coalitions is therefore one integral of a polynomial,

    I_ij = v (o_i - z_i)(o_j - z_j) * integral over t in [0, 1] of prod over k not i, j of ( (1-t) z_k + t o_k )

and Gauss-Legendre quadrature with ceil((D-1)/2) nodes gives it without error. It depends on a row only through the D
bits o_k, so a leaf needs one small table, and a tree is a sparse matrix of rows x bit patterns times that table.
I_ij is the whole pair effect: the two symmetric cells of a SHAP interaction matrix, I_ij / 2 each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from crosslens import Stopped

from .trees import BoolArray, FloatArray, Leaf, Tree

_BLOCK = 8192
_MOST_TABLE_BITS = 13


def mean_pair_effects(
    trees: Sequence[Tree],
    matrix: NDArray[np.floating],
    *,
    progress: Callable[[float], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> FloatArray:
    """Return the mean of |I_ij| over rows, (F, F), symmetric with diagonal 0, in logits; Stopped when asked to stop."""
    rows, fields = matrix.shape
    total = np.zeros((fields, fields))
    starts = range(0, rows, _BLOCK)
    for number, start in enumerate(starts):
        block = np.zeros((fields * fields, min(_BLOCK, rows - start)))
        for index, tree in enumerate(trees):
            if should_stop():
                raise Stopped
            _add_tree(block, tree, matrix[start : start + _BLOCK])
            progress((number + (index + 1) / len(trees)) / len(starts))
        total += np.abs(block).sum(axis=1).reshape(fields, fields)
    return np.asarray((total + total.T) / max(rows, 1))


def _add_tree(block: FloatArray, tree: Tree, matrix: NDArray[np.floating]) -> None:
    """Add the pair effects of one tree to `block`, (F * F, N), in the cells i * F + j with i < j."""
    leaves = [leaf for leaf in tree.leaves if len(leaf.fields) > 1]
    if not leaves or not len(matrix):
        return
    decisions = tree.decisions(matrix)
    fields = matrix.shape[1]
    cells = sorted({cell for leaf in leaves for cell in _cells(leaf, fields)})
    position = {cell: column for column, cell in enumerate(cells)}
    columns, tables, height = [], [], 0
    for leaf in leaves:
        pattern, bits = _patterns(leaf, decisions)
        table = np.zeros((len(bits), len(cells)))
        table[:, [position[cell] for cell in _cells(leaf, fields)]] = _pair_table(leaf, bits)
        columns.append(pattern + height)
        tables.append(table)
        height += len(bits)
    block[cells] += _sum_rows(np.stack(columns, axis=1), np.concatenate(tables)).T


def _sum_rows(columns: NDArray[np.int64], table: FloatArray) -> FloatArray:
    """Return the sum of the table's rows named by `columns` (N, L), as (N, width)."""
    rows, each = columns.shape
    ones = np.ones(columns.size)
    chosen = csr_array((ones, columns.ravel(), np.arange(0, columns.size + 1, each)), shape=(rows, len(table)))
    return np.asarray(chosen @ table)


def _cells(leaf: Leaf, fields: int) -> list[int]:
    return [min(i, j) * fields + max(i, j) for i, j in combinations(leaf.fields, 2)]


def _patterns(leaf: Leaf, decisions: BoolArray) -> tuple[NDArray[np.int64], BoolArray]:
    """Return the pattern number of each row, (N,), and the bits o of each pattern, (U, D)."""
    passed = np.stack([_passes(way, decisions) for way in leaf.ways])
    width = len(leaf.fields)
    if width > _MOST_TABLE_BITS:
        bits, pattern = np.unique(passed.T, axis=0, return_inverse=True)
        return pattern.reshape(-1), bits
    pattern = np.zeros(passed.shape[1], np.int64)
    for k, bit in enumerate(passed):
        pattern |= bit.astype(np.int64) << k
    return pattern, (np.arange(1 << width)[:, None] >> np.arange(width) & 1).astype(bool)


def _passes(way: tuple[tuple[int, bool], ...], decisions: BoolArray) -> BoolArray:
    node, left = way[0]
    passed = np.equal(decisions[node], left)
    for node, left in way[1:]:
        passed &= np.equal(decisions[node], left)
    return np.asarray(passed)


def _pair_table(leaf: Leaf, bits: BoolArray) -> FloatArray:
    """Return I_ij of one leaf for each pattern, (U, pairs), pairs as `combinations` orders them."""
    nodes, weights = np.polynomial.legendre.leggauss(max(1, len(leaf.fields) // 2))
    t, weights = (nodes + 1) / 2, weights / 2
    passed, covers = bits[:, :, None].astype(np.float64), leaf.covers[:, None]  # (U, D, 1), (D, 1)
    factors = (1 - t) * covers + t * passed  # (U, D, T), positive: covers are, and t < 1
    slopes = (passed - covers) / factors
    weighted = slopes * (leaf.value * weights * factors.prod(axis=1))[:, None, :]
    first, second = np.triu_indices(len(leaf.fields), 1)
    return np.asarray((weighted @ slopes.transpose(0, 2, 1))[:, first, second])
