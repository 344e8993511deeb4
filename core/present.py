"""From values to pictures: pure functions that return display data for the window, the report and the terminal."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crosslens.explanations import Contributions, FieldImportance, InteractionTerms, PairInteractions
from crosslens.models import FitProgress
from crosslens.runs import Metric, RunRecord

from .display import (
    Align,
    BarList,
    Cell,
    GraphEdge,
    HeatMap,
    InteractionGraph,
    LineChart,
    Series,
    Table,
    TableColumn,
    Waterfall,
)
from .evidence import Faithfulness, FieldEffect, InteractionEvidence, PairEvidence
from .formats import (
    counted,
    format_cell,
    format_count,
    format_interval,
    format_metric,
    format_number,
    format_q,
    format_signed,
)
from .quality import Curve, PairedComparison, Quality

__all__ = [
    "METRICS",
    "MetricText",
    "comparison_table",
    "comparison_words",
    "evidence_table",
    "faithfulness_chart",
    "faithfulness_words",
    "field_bars",
    "format_cell",
    "gains_chart",
    "importance_bars",
    "interaction_graph",
    "interaction_heat_map",
    "metrics_table",
    "metrics_title",
    "pair_heat_map",
    "precision_recall_chart",
    "reliability_chart",
    "roc_chart",
    "runs_table",
    "terms_table",
    "training_chart",
    "verdict",
    "waterfall",
]

HARDLY = 0.02
"""A pair that moves the logit by less than this (root mean square) is hardly used by the model."""
_GRAPH_EDGES = 8
_HEAT_MAP_FIELDS = 24


@dataclass(frozen=True, slots=True)
class MetricText:
    """How a metric is shown. `better` is "high", "low", or "one" for a ratio that should be 1."""

    title: str
    better: str
    help: str
    decimals: int = 3


METRICS: Mapping[str, MetricText] = {
    "auc": MetricText(
        "AUC", "high", "Chance that a random positive row gets a higher prediction than a random negative one."
    ),
    "log_loss": MetricText("Log loss", "low", "Mean surprise per row, in nats.", 4),
    "normalised_entropy": MetricText(
        "Normalised entropy", "low", "Log loss divided by that of always predicting the base rate; below 1 is skill."
    ),
    "pr_auc": MetricText("PR-AUC", "high", "Average precision: the share of positives among the top predictions."),
    "calibration_error": MetricText(
        "Calibration error", "low", "Mean gap between predicted and observed rate, over bins of equal size.", 4
    ),
    "calibration_ratio": MetricText("Predicted / observed", "one", "Mean prediction divided by the observed rate."),
}


def metrics_title(name: str) -> str:
    """Return how a metric is called; an unknown one by its own name."""
    return METRICS[name].title if name in METRICS else name.replace("_", " ")


def interaction_heat_map(evidence: InteractionEvidence) -> HeatMap:
    """Return the effect of every pair, fields with the strongest pairs first; what is not supported is greyed."""
    fields = _by_strength(evidence)[:_HEAT_MAP_FIELDS]
    found = {frozenset(pair.fields): pair for pair in evidence.pairs}
    cells = [[found.get(frozenset((row, column))) if row != column else None for column in fields] for row in fields]
    left_out = len(evidence.fields) - len(fields)
    note = f"{counted(evidence.rows, 'held-out row')}. Grey: not supported by them."
    return HeatMap(
        title="Interactions, measured at the output",
        rows=fields,
        columns=fields,
        values=tuple(tuple(pair.effect if pair else None for pair in row) for row in cells),
        unit="logit",
        greyed=tuple(tuple(pair is not None and not pair.supported for pair in row) for row in cells),
        note=f"{note} {counted(left_out, 'weaker field')} not shown." if left_out > 0 else note,
    )


def _by_strength(evidence: InteractionEvidence) -> tuple[str, ...]:
    """Return the fields by the effect of their strongest pair, supported pairs before others."""
    order = list(dict.fromkeys(itertools.chain.from_iterable(pair.fields for pair in evidence.pairs)))
    return (*order, *(field for field in evidence.fields if field not in set(order)))


def interaction_graph(
    evidence: InteractionEvidence, effects: Sequence[FieldEffect] = (), *, limit: int = _GRAPH_EDGES
) -> InteractionGraph:
    """Return the strongest pairs as edges between fields, nodes sized by the effect of the field."""
    pairs = [pair for pair in evidence.pairs[:limit] if pair.effect >= HARDLY]
    strongest = max((pair.effect for pair in pairs), default=1.0)
    names = tuple(dict.fromkeys(itertools.chain.from_iterable(pair.fields for pair in pairs)))
    sizes = {effect.field: effect.effect for effect in effects}
    largest = max((sizes.get(name, 0.0) for name in names), default=0.0) or 1.0
    return InteractionGraph(
        title="Fields that interact",
        nodes=tuple((name, sizes.get(name, 0.0) / largest if sizes else 1.0) for name in names),
        edges=tuple(
            GraphEdge(
                *pair.fields,
                strength=pair.effect / strongest,
                label=format_number(pair.effect, 2),
                greyed=not pair.supported,
            )
            for pair in pairs
        ),
        note=f"The strongest {counted(len(pairs), 'pair')}; thicker lines move the prediction more, grey ones are not "
        "supported by held-out rows.",
    )


def pair_heat_map(pairs: PairInteractions) -> HeatMap:
    """Return a matrix as the model itself computes it, strongest fields first; the note says what it means."""
    values = np.asarray(pairs.values, np.float64)
    order = np.argsort(-values.max(axis=0, initial=0.0), kind="stable")[:_HEAT_MAP_FIELDS]
    names = tuple(pairs.fields[place] for place in order)
    rows = [[None if i == j else float(values[i, j]) for j in order] for i in order]
    return HeatMap(
        title="Interactions, as the model computes them",
        rows=names,
        columns=names,
        values=tuple(tuple(row) for row in rows),
        note=_method(pairs.method, pairs.meaning, pairs.rows),
    )


def _method(method: str, meaning: str, rows: int) -> str:
    parts = (method.rstrip("."), meaning.rstrip("."), counted(rows, "row"))
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts if part)


def evidence_table(evidence: InteractionEvidence, *, limit: int | None = None) -> Table:
    """Return pairs by rank with effect, gain and a verdict in words."""
    pairs = evidence.pairs[:limit]
    rest = len(evidence.pairs) - len(pairs)
    return Table(
        title="Interactions, strongest first",
        columns=(
            TableColumn("#", Align.RIGHT),
            TableColumn("Fields"),
            TableColumn(
                "Effect", Align.RIGHT, 3, help="How far the pair moves the logit beyond both fields alone (RMS)."
            ),
            TableColumn("95 % interval", Align.RIGHT),
            TableColumn(
                "Gain", Align.RIGHT, 5, help="Log loss on held-out rows that is lost without the interaction, in nats."
            ),
            TableColumn("95 % interval of gain", Align.RIGHT),
            TableColumn("q", Align.RIGHT, help="False discovery rate at which the gain counts as real."),
            TableColumn("Verdict"),
        ),
        rows=tuple(_evidence_row(rank, pair) for rank, pair in enumerate(pairs, start=1)),
        greyed=tuple(not pair.supported for pair in pairs),
        note=f"{evidence.method} {counted(rest, 'weaker pair')} left out." if rest else evidence.method,
    )


def _evidence_row(rank: int, pair: PairEvidence) -> tuple[Cell, ...]:
    return (
        rank,
        " × ".join(pair.fields),
        pair.effect,
        format_interval(pair.effect_low, pair.effect_high, 3),
        pair.gain,
        format_interval(pair.gain_low, pair.gain_high, 5),
        format_q(pair.q_value),
        verdict(pair),
    )


def verdict(pair: PairEvidence) -> str:
    """Return what the evidence says of a pair, in two or three words."""
    if pair.supported:
        return "supported"
    return "hardly used" if pair.effect < HARDLY else "not supported"


def terms_table(terms: InteractionTerms, *, limit: int | None = 20) -> Table:
    """Return the terms a model publishes, most frequent first."""
    shown = terms.terms[:limit]
    return Table(
        title="Terms the model combines, as it publishes them",
        columns=(
            TableColumn("#", Align.RIGHT),
            TableColumn("Fields"),
            TableColumn("Order", Align.RIGHT, help="How many fields take part."),
            TableColumn("Frequency", Align.RIGHT, 3, help="Mean occurrences per row."),
            TableColumn("Weight", Align.RIGHT, 3, help="Mean size of the weights where it occurs."),
        ),
        rows=tuple(
            (rank, " × ".join(term.fields), term.order, term.frequency, term.weight)
            for rank, term in enumerate(shown, start=1)
        ),
        note=_method(terms.method, terms.meaning, terms.rows),
    )


def field_bars(effects: Sequence[FieldEffect], *, limit: int = 20) -> BarList:
    """Return how far each field moves the prediction, strongest first; grey where held-out rows do not need it."""
    shown = sorted(effects, key=lambda effect: (-effect.effect, effect.field))[:limit]
    return BarList(
        title="What drives the prediction",
        labels=tuple(effect.field for effect in shown),
        values=tuple(effect.effect for effect in shown),
        unit="logit",
        greyed=tuple(not effect.supported for effect in shown),
        note="Root mean square change of the logit when the field's value is taken from another row. "
        "Grey: held-out rows are predicted as well without it.",
    )


def importance_bars(importance: FieldImportance, *, limit: int = 20) -> BarList:
    """Return the importance a model publishes, strongest first; the note says what it means."""
    order = np.argsort(-np.asarray(importance.values), kind="stable")[:limit]
    return BarList(
        title="Field importance, as the model publishes it",
        labels=tuple(importance.fields[place] for place in order),
        values=tuple(float(importance.values[place]) for place in order),
        note=_method(importance.method, importance.meaning, importance.rows),
    )


def waterfall(
    contributions: Contributions, row: int, texts: Mapping[str, str | None] | None = None, *, most: int = 10
) -> Waterfall:
    """Return how the fields of a row lead from the baseline to its logit, largest first, small ones in one step.

    `texts` are the values of the fields as read; None is missing.
    """
    values = np.asarray(contributions.values[row], np.float64)
    order = np.argsort(-np.abs(values), kind="stable")
    shown = order if len(order) <= most else order[: most - 1]
    steps = [(_step_label(contributions.fields[place], texts), float(values[place])) for place in shown]
    folded = len(order) - len(shown)
    if folded:
        steps.append((f"{folded} other fields", float(values[order[len(shown) :]].sum())))
    return Waterfall(
        title="Why this prediction",
        baseline=float(contributions.baseline[row]),
        steps=tuple(steps),
        total=float(contributions.logits[row]),
        note=contributions.method,
    )


def _step_label(field: str, texts: Mapping[str, str | None] | None) -> str:
    if texts is None or field not in texts:
        return field
    text = texts[field]
    return f"{field} = {'missing' if text is None else text}"


def roc_chart(qualities: Mapping[str, Quality]) -> LineChart:
    """Return the ROC curve of each named quality; the diagonal is chance."""
    return LineChart(
        title="ROC",
        x_label="False positive rate",
        y_label="True positive rate",
        series=(*_curves(qualities, "roc", "auc"), _diagonal("chance")),
    )


def precision_recall_chart(qualities: Mapping[str, Quality]) -> LineChart:
    """Return the precision-recall curve of each named quality; the flat line is the base rate."""
    rates = {round(quality.positives / quality.rows, 12) for quality in qualities.values() if quality.rows}
    base = [Series("base rate", (0.0, 1.0), (rate, rate), reference=True) for rate in sorted(rates)[:1]]
    return LineChart(
        title="Precision and recall",
        x_label="Recall",
        y_label="Precision",
        series=(*_curves(qualities, "precision_recall", "pr_auc"), *base),
    )


def gains_chart(qualities: Mapping[str, Quality]) -> LineChart:
    """Return the share of positives found in the share of rows with the highest predictions."""
    return LineChart(
        title="Gains",
        x_label="Share of rows, highest predictions first",
        y_label="Share of positives found",
        series=(*_curves(qualities, "gains"), _diagonal("chance")),
    )


def reliability_chart(qualities: Mapping[str, Quality]) -> LineChart:
    """Return observed against predicted rate in bins of equal mass, with Wilson intervals."""
    bins = {name: sorted(quality.reliability, key=lambda entry: entry.predicted) for name, quality in qualities.items()}
    series = [
        Series(
            name=name,
            x=tuple(entry.predicted for entry in entries),
            y=tuple(entry.observed for entry in entries),
            low=tuple(entry.low for entry in entries),
            high=tuple(entry.high for entry in entries),
            points=True,
        )
        for name, entries in bins.items()
        if entries
    ]
    most = max((max(entry.predicted, entry.high) for entries in bins.values() for entry in entries), default=1.0)
    return LineChart(
        title="Reliability",
        x_label="Predicted rate",
        y_label="Observed rate",
        series=(*series, Series("perfect", (0.0, most), (0.0, most), reference=True)),
        note="Bins of equal size; bands are 95 % intervals of the observed rate.",
    )


def _curves(qualities: Mapping[str, Quality], curve: str, metric: str = "") -> list[Series]:
    found: list[Series] = []
    for name, quality in qualities.items():
        points: Curve = getattr(quality, curve)
        if points.x:
            known = next((entry for entry in quality.metrics if entry.name == metric), None)
            label = f"{name} ({format_number(known.value, 3)})" if known else name
            found.append(Series(label, points.x, points.y))
    return found


def _diagonal(name: str) -> Series:
    return Series(name, (0.0, 1.0), (0.0, 1.0), reference=True)


def training_chart(history: Sequence[FitProgress], metric: str = "loss") -> LineChart:
    """Return training loss and a validation metric by epoch; the dashed line marks the best epoch.

    For another metric than "loss" the training loss is left out, because its scale is another.
    """
    epochs = [entry for entry in history if metric in entry.metrics]
    training = [entry for entry in epochs if entry.loss is not None] if metric == "loss" else []
    lines = [Series("training", *_points([(entry.epoch, entry.loss or 0.0) for entry in training]))] if training else []
    validation = [(entry.epoch, entry.metrics[metric]) for entry in epochs]
    lines += [Series("validation", *_points(validation))] if validation else []
    best = next((entry.best_epoch for entry in reversed(epochs) if entry.best_epoch is not None), None)
    heights = [value for line in lines for value in line.y]
    if best is not None and heights:
        lines.append(Series("best epoch", (float(best),) * 2, (min(heights), max(heights)), reference=True))
    title = metrics_title("log_loss") if metric == "loss" else metrics_title(metric)
    return LineChart(title="Training", x_label="Epoch", y_label=title, series=tuple(lines))


def _points(points: Sequence[tuple[int, float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(float(x) for x, _ in points), tuple(float(y) for _, y in points)


def faithfulness_chart(faithfulness: Faithfulness) -> LineChart:
    """Return how far the prediction moves as fields are replaced, by contribution and at random."""
    return LineChart(
        title="Do the contributions name what matters?",
        x_label="Share of fields replaced (deletion) or kept (insertion)",
        y_label="Distance from the prediction",
        series=(
            Series("deletion by contribution", faithfulness.deletion.x, faithfulness.deletion.y),
            Series("insertion by contribution", faithfulness.insertion.x, faithfulness.insertion.y),
            Series(
                "deletion at random", faithfulness.deletion_random.x, faithfulness.deletion_random.y, reference=True
            ),
            Series(
                "insertion at random", faithfulness.insertion_random.x, faithfulness.insertion_random.y, reference=True
            ),
        ),
        note=faithfulness_words(faithfulness),
    )


def faithfulness_words(faithfulness: Faithfulness) -> str:
    """Return the figure and what it says in a sentence."""
    figure = f"{format_number(faithfulness.area, 3)} {format_interval(faithfulness.low, faithfulness.high, 3)}"
    if faithfulness.low > 0:
        said = "the largest contributions move the prediction more than random fields do"
    elif faithfulness.high < 0:
        said = "the largest contributions move the prediction less than random fields do: do not rely on them"
    else:
        said = "no better than random order on these rows: do not rely on the contributions"
    return f"Faithfulness {figure} on {counted(faithfulness.rows, 'row')}: {said}."


def runs_table(records: Sequence[RunRecord]) -> Table:
    """Return runs with their main figures."""
    return Table(
        title="Runs",
        columns=(
            TableColumn("Run"),
            TableColumn("Model"),
            TableColumn("AUC", Align.RIGHT, help=METRICS["auc"].help),
            TableColumn("Log loss", Align.RIGHT, help=METRICS["log_loss"].help),
            TableColumn("Predicted / observed", Align.RIGHT, help=METRICS["calibration_ratio"].help),
            TableColumn("Test rows", Align.RIGHT),
            TableColumn("Seconds", Align.RIGHT, 1),
            TableColumn("Status"),
        ),
        rows=tuple(_run_row(record) for record in records),
    )


def _run_row(record: RunRecord) -> tuple[Cell, ...]:
    first = next(iter(record.metrics.values()), None)
    return (
        record.id,
        record.title or record.model,
        *(_metric_text(record.metrics, name) for name in ("auc", "log_loss", "calibration_ratio")),
        None if first is None else first.rows,
        record.seconds,
        record.status.value,
    )


def _metric_text(metrics: Mapping[str, Metric], name: str) -> str | None:
    return format_metric(metrics[name], METRICS[name].decimals) if name in metrics else None


def metrics_table(qualities: Mapping[str, Quality]) -> Table:
    """Return every metric, one column a model, each with its interval; "better" says which way is good."""
    measured = {model: {metric.name: metric for metric in quality.metrics} for model, quality in qualities.items()}
    names = [name for name in METRICS if any(name in metrics for metrics in measured.values())]
    rows: list[tuple[Cell, ...]] = [
        (METRICS[name].title, *(_metric_text(metrics, name) for metrics in measured.values()), _BETTER[name])
        for name in names
    ]
    rows.append(("Rows", *(format_count(quality.rows) for quality in qualities.values()), ""))
    rows.append(("Positives", *(format_count(quality.positives) for quality in qualities.values()), ""))
    return Table(
        title="Quality on rows no model has seen",
        columns=(
            TableColumn("Metric"),
            *(TableColumn(model, Align.RIGHT) for model in measured),
            TableColumn("Better"),
        ),
        rows=tuple(rows),
        note="In brackets: 95 % intervals.",
    )


_BETTER = {name: {"high": "higher", "low": "lower", "one": "near 1"}[text.better] for name, text in METRICS.items()}


def comparison_table(comparisons: Sequence[tuple[str, str, PairedComparison]]) -> Table:
    """Return paired comparisons (first model, second model, result) with their verdict in words."""
    return Table(
        title="Models compared on the same rows",
        columns=(
            TableColumn("Models"),
            TableColumn("Metric"),
            TableColumn("Difference", Align.RIGHT),
            TableColumn("95 % interval", Align.RIGHT),
            TableColumn("p", Align.RIGHT),
            TableColumn("Verdict"),
        ),
        rows=tuple(
            (
                f"{first} − {second}",
                metrics_title(result.metric),
                format_signed(result.difference, 4),
                format_interval(result.low, result.high, 4),
                format_q(result.p_value),
                _winner(first, second, result),
            )
            for first, second, result in comparisons
        ),
        greyed=tuple(not result.different for _, _, result in comparisons),
    )


def comparison_words(first: str, second: str, comparison: PairedComparison) -> str:
    """Return a comparison in words: "no real difference: −0.002 [−0.006, 0.003]" or who is better by how much."""
    figure = f"{format_signed(comparison.difference, 3)} {format_interval(comparison.low, comparison.high, 3)}"
    return f"{_winner(first, second, comparison)}: {figure}"


def _winner(first: str, second: str, comparison: PairedComparison) -> str:
    if not comparison.different:
        return "no real difference"
    falls = comparison.metric in METRICS and METRICS[comparison.metric].better == "low"
    return f"{first if (comparison.difference > 0) != falls else second} is better"
