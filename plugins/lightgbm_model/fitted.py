"""Trained trees: predictions, Shapley values, and their files."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import lightgbm as lgb
import numpy as np

from crosslens import (
    Contributions,
    EncodedDataset,
    EncodedSchema,
    ExplainContext,
    Explanation,
    ExplanationKind,
    FieldImportance,
    InteractionTerm,
    InteractionTerms,
    PairInteractions,
    Predictions,
    StorageError,
)
from crosslens.plain import from_plain, to_plain

from .interactions import mean_pair_effects
from .matrix import feature_matrix
from .quiet import send_messages_to_log
from .trees import Tree, read_trees

_TREES = "model.txt"
_FACTS = "model.json"


@dataclass(frozen=True, eq=False)
class LightGBMModel:
    """A trained LightGBM model. `rows` are the training rows it rests on."""

    schema: EncodedSchema
    booster: lgb.Booster
    rows: int

    @classmethod
    def from_trees(cls, schema: EncodedSchema, booster: lgb.Booster, trees: int, *, rows: int) -> LightGBMModel:
        """Keep the first `trees` trees of `booster`."""
        return cls(schema, lgb.Booster(model_str=booster.model_to_string(num_iteration=trees)), rows)

    @classmethod
    def load(cls, folder: Path) -> LightGBMModel:
        """Read what `save` wrote; StorageError if it is not there or not readable."""
        send_messages_to_log()
        try:
            facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
            booster = lgb.Booster(model_str=(folder / _TREES).read_text(encoding="utf-8"))
            return cls(from_plain(EncodedSchema, facts["schema"]), booster, facts["rows"])
        except (OSError, ValueError, KeyError, lgb.basic.LightGBMError) as error:
            raise StorageError(
                "The saved LightGBM model cannot be read.", why=str(error), do="Train it again.", folder=str(folder)
            ) from error

    def save(self, folder: Path) -> None:
        """Write the trees as LightGBM text, the schema as JSON."""
        (folder / _TREES).write_text(self.booster.model_to_string(), encoding="utf-8")
        facts = {"schema": to_plain(self.schema), "rows": self.rows}
        (folder / _FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")

    def predict(self, data: EncodedDataset) -> Predictions:
        """Return logits; ids that training never saw go the way of "none of the split's values"."""
        return Predictions({"click": self._logits(feature_matrix(data))})

    def explain(
        self, data: EncodedDataset, kinds: Collection[ExplanationKind], context: ExplainContext
    ) -> tuple[Explanation, ...]:
        """Return TreeSHAP contributions, gain, path terms and Shapley interactions, in the order asked for."""
        makers: dict[ExplanationKind, Callable[[EncodedDataset, ExplainContext], Explanation]] = {
            ExplanationKind.CONTRIBUTIONS: self._contributions,
            ExplanationKind.FIELD_IMPORTANCE: self._importance,
            ExplanationKind.INTERACTION_TERMS: self._terms,
            ExplanationKind.PAIR_INTERACTIONS: self._pairs,
        }
        return tuple(makers[kind](data, context) for kind in kinds)

    @cached_property
    def trees(self) -> tuple[Tree, ...]:
        """Return the trees as arrays."""
        return read_trees(self.booster)

    def _logits(self, matrix: np.ndarray) -> np.ndarray:
        if not len(matrix):  # LightGBM refuses an empty matrix
            return np.zeros(0)
        return np.asarray(self.booster.predict(matrix, raw_score=True), np.float64)

    def _contributions(self, data: EncodedDataset, context: ExplainContext) -> Contributions:
        matrix, fields = feature_matrix(data), len(self.schema.fields)
        shares = np.zeros((0, fields + 1))
        if len(matrix):
            shares = np.asarray(self.booster.predict(matrix, pred_contrib=True, num_threads=context.threads))
        return Contributions(
            fields=self.schema.names,
            values=shares[:, :-1],
            baseline=shares[:, -1],
            logits=self._logits(matrix),
            method="TreeSHAP (path-dependent Shapley values)",
        )

    def _importance(self, data: EncodedDataset, context: ExplainContext) -> FieldImportance:
        return FieldImportance(
            fields=self.schema.names,
            values=np.asarray(self.booster.feature_importance("gain"), np.float64),
            method="total gain",
            meaning="How much splits on the field lowered the training loss. Many values make for a higher gain.",
            rows=self.rows,
        )

    def _terms(self, data: EncodedDataset, context: ExplainContext) -> InteractionTerms:
        return published_terms(path_terms(self.trees, self.leaves(data), self.schema.names), len(data))

    def leaves(self, data: EncodedDataset) -> np.ndarray:
        """Return the leaf each row reaches in each tree, (N, trees)."""
        if not len(data):
            return np.zeros((0, len(self.trees)), np.int64)
        leaves = np.asarray(self.booster.predict(feature_matrix(data), pred_leaf=True), np.int64)
        return leaves.reshape(len(data), -1)

    def _pairs(self, data: EncodedDataset, context: ExplainContext) -> PairInteractions:
        effects = mean_pair_effects(
            self.trees, feature_matrix(data), progress=context.progress, should_stop=context.should_stop
        )
        return PairInteractions(
            fields=self.schema.names,
            values=effects,
            method="Shapley interactions (path-dependent, exact)",
            meaning="Mean size of the part of the logit that only the two fields together explain.",
            rows=len(data),
        )


def published_terms(terms: tuple[InteractionTerm, ...], rows: int) -> InteractionTerms:
    """Return terms found on `rows` rows with what they mean."""
    return InteractionTerms(
        terms=terms,
        method="fields on decision paths",
        meaning="How many trees, per row, decide by exactly these fields; weight: mean size of what such a tree "
        "adds, in logits. Being on one path does not prove an interaction.",
        rows=rows,
    )


def path_terms(trees: tuple[Tree, ...], leaves: np.ndarray, names: tuple[str, ...]) -> tuple[InteractionTerm, ...]:
    """Return the sets of two or more fields on paths that rows take, most frequent first. `leaves` is (N, trees)."""
    visits: Counter[tuple[int, ...]] = Counter()
    sizes: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for tree, reached in zip(trees, leaves.T, strict=True):
        mean = tree.mean
        for leaf, rows in zip(tree.leaves, np.bincount(reached, minlength=len(tree.leaves)).tolist(), strict=True):
            fields = tuple(sorted(leaf.fields))
            visits[fields] += rows
            sizes[fields] += rows * abs(leaf.value - mean)
    found = [
        InteractionTerm(tuple(names[i] for i in fields), count / len(leaves), sizes[fields] / count)
        for fields, count in visits.items()
        if count and len(fields) > 1
    ]
    return tuple(sorted(found, key=lambda term: (-term.frequency, -term.weight, term.fields)))
