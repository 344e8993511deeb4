"""Trees as arrays, and the paths from root to leaf: what the explanations walk along.

Read through `Booster.dump_model`, LightGBM's documented form. Rules of a node, as LightGBM decides them:

    categorical   left if the id is in the node's set of ids; an unseen id goes right
    numerical     left if value <= threshold; NaN goes the default way, or counts as 0 where training saw no NaN
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A decision. `ids` is the sorted set that goes left for a categorical field, None for a numerical one."""

    field: int
    threshold: float
    ids: NDArray[np.int64] | None
    nan_is_missing: bool
    default_left: bool

    def goes_left(self, column: NDArray[np.floating]) -> BoolArray:
        """Return which rows go left, (N,); `column` holds the field's local ids or values."""
        if self.ids is not None:
            return np.isin(column.astype(np.int64), self.ids)
        values = column.astype(np.float64)
        missing = np.isnan(values)
        left = np.where(missing, 0.0, values) <= self.threshold
        return np.where(missing, self.default_left, left) if self.nan_is_missing else left


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A leaf and its path, gathered by field.

    fields   (D,) distinct fields on the path
    covers   (D,) share of training rows that would pass all decisions of the field, had its value been unknown
    ways     per field, the (node, goes left) that a row must match
    """

    value: float
    rows: int
    fields: tuple[int, ...]
    covers: FloatArray
    ways: tuple[tuple[tuple[int, bool], ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Decisions and leaves; leaf i is the one LightGBM numbers i."""

    nodes: tuple[Node, ...]
    leaves: tuple[Leaf, ...]

    @property
    def mean(self) -> float:
        """Return the mean output over the training rows."""
        rows = sum(leaf.rows for leaf in self.leaves)
        return sum(leaf.value * leaf.rows for leaf in self.leaves) / rows if rows else self.leaves[0].value

    def decisions(self, matrix: NDArray[np.floating]) -> BoolArray:
        """Return which rows go left at every node, (nodes, N)."""
        if not self.nodes:
            return np.zeros((0, len(matrix)), bool)
        return np.stack([node.goes_left(matrix[:, node.field]) for node in self.nodes])


def read_trees(booster: lgb.Booster) -> tuple[Tree, ...]:
    """Return the trees of a model."""
    return tuple(_tree(described["tree_structure"]) for described in booster.dump_model()["tree_info"])


def _tree(root: Mapping[str, Any]) -> Tree:
    nodes: dict[int, Node] = {}
    leaves: dict[int, Leaf] = {}
    for node, path in _walk(root, ()):
        if "split_index" in node:
            nodes[node["split_index"]] = _node(node)
        else:
            leaves[node.get("leaf_index", 0)] = _leaf(node, path)
    return Tree(tuple(nodes[i] for i in sorted(nodes)), tuple(leaves[i] for i in sorted(leaves)))


_Step = tuple[int, int, bool, float]
"""Node, field, goes left, share of the node's training rows that go that way."""


def _walk(node: Mapping[str, Any], path: tuple[_Step, ...]) -> Iterator[tuple[Mapping[str, Any], tuple[_Step, ...]]]:
    stack = [(node, path)]
    while stack:
        node, path = stack.pop()
        yield node, path
        if "split_index" not in node:
            continue
        for side in ("left_child", "right_child"):
            share = _rows(node[side]) / _rows(node)
            step = (node["split_index"], node["split_feature"], side == "left_child", share)
            stack.append((node[side], (*path, step)))


def _rows(node: Mapping[str, Any]) -> int:
    return int(node["internal_count"] if "split_index" in node else node.get("leaf_count", 0))


def _node(node: Mapping[str, Any]) -> Node:
    categorical = node["decision_type"] == "=="
    return Node(
        field=node["split_feature"],
        threshold=0.0 if categorical else float(node["threshold"]),
        ids=np.array(sorted(map(int, str(node["threshold"]).split("||"))), np.int64) if categorical else None,
        nan_is_missing=node["missing_type"] == "NaN",
        default_left=bool(node["default_left"]),
    )


def _leaf(node: Mapping[str, Any], path: tuple[_Step, ...]) -> Leaf:
    ways: dict[int, list[tuple[int, bool]]] = {}
    covers: dict[int, float] = {}
    for split, field, left, share in path:
        ways.setdefault(field, []).append((split, left))
        covers[field] = covers.get(field, 1.0) * share
    return Leaf(
        value=float(node["leaf_value"]),
        rows=_rows(node),
        fields=tuple(ways),
        covers=np.array(list(covers.values()), np.float64),
        ways=tuple(tuple(way) for way in ways.values()),
    )
