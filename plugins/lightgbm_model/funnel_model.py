"""The trained trees of a funnel: pCTR of clicks, pCVR of conversions, and pCTCVR, their product.

What two sums of trees a and b say of a field becomes its share in the product by integrated gradients (Sundararajan,
Taly & Yan, ICML 2017): with a = a0 + sum_f alpha_f and b = b0 + sum_f beta_f by TreeSHAP,

    share_f = alpha_f A + beta_f B       A, B: means of the product logit's slopes on the way from (a0, b0) to (a, b)

so the shares sum to the change of the product's logit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from crosslens import (
    Contributions,
    CrosslensError,
    EncodedDataset,
    EncodedSchema,
    ExplainContext,
    Explanation,
    ExplanationKind,
    FieldImportance,
    InteractionTerms,
    Predictions,
    StorageError,
)
from crosslens.data import Float64Array
from crosslens.plain import from_plain, to_plain

from ..funnel import BOTH, CLICK, CONVERSION, product_logit, product_slopes
from .fitted import LightGBMModel, path_terms, published_terms

_POINTS = 64
_SCHEMA = "schema.json"

_Maker = Callable[[EncodedDataset, Collection[ExplanationKind], ExplainContext], tuple[Explanation, ...]]


@dataclass(frozen=True, eq=False)
class FunnelTrees:
    """Trees of clicks, learned on all rows, and of conversions, learned on clicked rows."""

    schema: EncodedSchema
    clicks: LightGBMModel
    conversions: LightGBMModel

    @classmethod
    def load(cls, folder: Path) -> FunnelTrees:
        """Read what `save` wrote; StorageError if it is not there or not readable."""
        clicks, conversions = (LightGBMModel.load(folder / name) for name in (CLICK, CONVERSION))
        try:
            schema = from_plain(EncodedSchema, json.loads((folder / _SCHEMA).read_text(encoding="utf-8")))
        except (OSError, ValueError, CrosslensError) as error:
            raise StorageError(
                "The saved LightGBM model cannot be read.", why=str(error), do="Train it again.", folder=str(folder)
            ) from error
        return cls(schema, clicks, conversions)

    def save(self, folder: Path) -> None:
        """Write both models, each into a folder of its own, as LightGBM text."""
        for name, model in ((CLICK, self.clicks), (CONVERSION, self.conversions)):
            (folder / name).mkdir()
            model.save(folder / name)
        (folder / _SCHEMA).write_text(json.dumps(to_plain(self.schema), ensure_ascii=False, indent=1), encoding="utf-8")

    def predict(self, data: EncodedDataset) -> Predictions:
        """Return the logits of all three outputs."""
        a, b = self.clicks.predict(data).logit(), self.conversions.predict(data).logit()
        return Predictions({CLICK: a, CONVERSION: b, BOTH: product_logit(a, b)})

    def explain(
        self, data: EncodedDataset, kinds: Collection[ExplanationKind], context: ExplainContext
    ) -> tuple[Explanation, ...]:
        """Return the asked kinds for the asked output, or for all of them; pairs not for the product."""
        makers = {CLICK: self._of(CLICK, self.clicks), CONVERSION: self._of(CONVERSION, self.conversions)}
        makers[BOTH] = self._of_product
        wanted = (context.output,) if context.output else tuple(makers)
        return tuple(found for output in wanted for found in makers[output](data, kinds, context))

    def _of(self, output: str, model: LightGBMModel) -> _Maker:
        return lambda data, kinds, context: tuple(
            replace(found, task=output) for found in model.explain(data, kinds, context)
        )

    def _of_product(
        self, data: EncodedDataset, kinds: Collection[ExplanationKind], context: ExplainContext
    ) -> tuple[Explanation, ...]:
        makers: dict[ExplanationKind, Callable[[EncodedDataset, ExplainContext], Explanation]] = {
            ExplanationKind.CONTRIBUTIONS: self._contributions,
            ExplanationKind.FIELD_IMPORTANCE: self._importance,
            ExplanationKind.INTERACTION_TERMS: self._terms,
        }
        return tuple(makers[kind](data, context) for kind in kinds if kind in makers)

    def _contributions(self, data: EncodedDataset, context: ExplainContext) -> Contributions:
        clicks, conversions = (self._shares(model, data, context) for model in (self.clicks, self.conversions))
        return product_contributions(clicks, conversions)

    def _shares(self, model: LightGBMModel, data: EncodedDataset, context: ExplainContext) -> Contributions:
        (shares,) = model.explain(data, (ExplanationKind.CONTRIBUTIONS,), context)
        assert isinstance(shares, Contributions), "LightGBM answers what it is asked"
        return shares

    def _importance(self, data: EncodedDataset, context: ExplainContext) -> FieldImportance:
        gains = [np.asarray(each.booster.feature_importance("gain")) for each in (self.clicks, self.conversions)]
        return FieldImportance(
            fields=self.schema.names,
            values=np.asarray(gains[0] + gains[1], np.float64),
            method="total gain, of the trees of clicks and of those of conversions",
            meaning="How much splits on the field lowered both training losses. Clicks have more rows, hence more "
            "weight in it.",
            rows=self.clicks.rows,
            task=BOTH,
        )

    def _terms(self, data: EncodedDataset, context: ExplainContext) -> InteractionTerms:
        trees = (*self.clicks.trees, *self.conversions.trees)
        leaves = np.concatenate((self.clicks.leaves(data), self.conversions.leaves(data)), axis=1)
        return replace(published_terms(path_terms(trees, leaves, self.schema.names), len(data)), task=BOTH)


def product_contributions(clicks: Contributions, conversions: Contributions) -> Contributions:
    """Return the shares of the fields in the logit of the product; what the integral misses is spread by size."""
    start = product_logit(clicks.baseline, conversions.baseline)
    logits = product_logit(clicks.logits, conversions.logits)
    of_clicks, of_conversions = _mean_slopes(clicks, conversions)
    values = clicks.values * of_clicks[:, None] + conversions.values * of_conversions[:, None]
    gaps = logits - start - values.sum(axis=1)
    size = np.abs(values) + np.finfo(np.float64).tiny
    return Contributions(
        fields=clicks.fields,
        values=values + gaps[:, None] * size / size.sum(axis=1, keepdims=True) if values.shape[1] else values,
        baseline=start,
        logits=logits,
        method="TreeSHAP of clicks and of conversions, carried into the logit of their product by integrated "
        f"gradients; a remainder of at most {np.abs(gaps).max(initial=0.0):.1g} logits per row was spread by size",
        task=BOTH,
    )


def _mean_slopes(clicks: Contributions, conversions: Contributions) -> tuple[Float64Array, Float64Array]:
    """Return the mean slopes (N,) by Gauss-Legendre points on the straight way to each row."""
    nodes, weights = np.polynomial.legendre.leggauss(_POINTS)
    places = (nodes + 1) / 2
    a = clicks.baseline[:, None] + places * (clicks.logits - clicks.baseline)[:, None]
    b = conversions.baseline[:, None] + places * (conversions.logits - conversions.baseline)[:, None]
    slopes = product_slopes(a, b)
    return slopes[0] @ (weights / 2), slopes[1] @ (weights / 2)
