"""From a funnel to pictures: stages, delays, selection, and the quality of every output side by side."""

from __future__ import annotations

from collections.abc import Mapping

from .display import Align, BarList, Cell, Table, TableColumn
from .formats import (
    NOTHING,
    format_count,
    format_interval,
    format_metric,
    format_percent,
    format_seconds,
    format_signed,
)
from .funnel import FunnelReport, Rate, Selection
from .metrics import FEW_LABELS
from .outputs import CONVERSION, OUTPUTS, output_title
from .quality import Quality

_DAY = 86_400


def stage_bars(report: FunnelReport) -> BarList:
    """Return how many rows reach each stage."""
    return BarList(
        title="The funnel",
        labels=tuple(stage.name for stage in report.stages),
        values=tuple(float(stage.count) for stage in report.stages),
        unit="rows",
        note="All rows the models were trained and tested on.",
    )


def stages_table(report: FunnelReport) -> Table:
    """Return counts and rates of the stages, on the stage before and on the first, with Wilson intervals."""
    return Table(
        title="Stages",
        columns=(
            TableColumn("Stage"),
            TableColumn("Rows", Align.RIGHT),
            TableColumn("Of the stage before", Align.RIGHT),
            TableColumn("Of the first stage", Align.RIGHT),
        ),
        rows=tuple(
            (stage.name, stage.count, _rate(stage.of_previous), _rate(stage.of_first)) for stage in report.stages
        ),
        greyed=tuple(stage.count < FEW_LABELS for stage in report.stages),
        note=f"In brackets: 95 % intervals (Wilson). Grey: fewer than {FEW_LABELS} rows.",
    )


def delays_table(report: FunnelReport) -> Table | None:
    """Return how long the stages take; None where no times are known."""
    if not report.delays:
        return None
    return Table(
        title="How long it takes",
        columns=(
            TableColumn("From"),
            TableColumn("To"),
            TableColumn("Median", Align.RIGHT),
            TableColumn("Nine in ten within", Align.RIGHT),
            TableColumn("Rows", Align.RIGHT),
        ),
        rows=tuple(
            (each.start, each.end, _duration(each.median), _duration(each.p90), each.rows) for each in report.delays
        ),
        note=_late_words(report),
    )


def _late_words(report: FunnelReport) -> str:
    words = "Measured on rows that reached both stages by the time the data was read."
    if report.late is None:
        return words
    return f"{words} Test conversions that were probably still to come: {format_percent(report.late)} of them, or more."


def selection_table(selection: Selection) -> Table:
    """Return how clicked test rows differ from all test rows, as the model predicts them."""
    observed = selection.observed
    rows: tuple[tuple[Cell, ...], ...] = (
        ("Rows", format_count(selection.rows), format_count(selection.clicked)),
        ("Mean pCTR", format_percent(selection.pctr_all, 2), format_percent(selection.pctr_clicked, 2)),
        ("Mean pCVR", format_percent(selection.pcvr_all, 2), format_percent(selection.pcvr_clicked, 2)),
        ("Observed conversion rate", NOTHING, _rate(observed)),
        ("Effective rows, weighed by 1 / pCTR", NOTHING, format_count(round(selection.effective))),
    )
    return Table(
        title="Who is left to learn conversions from",
        columns=(
            TableColumn(""),
            TableColumn("All test rows", Align.RIGHT),
            TableColumn("Clicked test rows", Align.RIGHT),
        ),
        rows=rows,
        note="Conversions are seen of clicked rows only. The further both columns are apart, the less pCVR of rows "
        "that are rarely clicked rests on data. "
        f"Mean pCVR of clicked rows is {_distance(selection)} the observed rate.",
    )


def _distance(selection: Selection) -> str:
    observed, predicted = selection.observed, selection.pcvr_clicked
    if observed.low <= predicted <= observed.high:
        return "within the interval of"
    return f"{format_signed(100 * (predicted - observed.value), 1)} percentage points from"


def outputs_table(qualities: Mapping[str, Mapping[str, Quality]]) -> Table:
    """Return one row for each output of each model (model -> output -> quality); grey below 50 positives.

    A single model is not named in every row.
    """
    found = [(model, output, quality) for model, outputs in qualities.items() for output, quality in outputs.items()]
    columns = (
        TableColumn("Model"),
        TableColumn("Output"),
        TableColumn("Positives", Align.RIGHT),
        TableColumn("AUC", Align.RIGHT),
        TableColumn("Log loss", Align.RIGHT),
        TableColumn("Predicted / observed", Align.RIGHT),
    )
    rows = tuple(_output_row(*each) for each in found)
    first = 1 if len(qualities) == 1 else 0
    return Table(
        title="What is predicted, each on rows of its own",
        columns=columns[first:],
        rows=tuple(row[first:] for row in rows),
        greyed=tuple(quality.positives < FEW_LABELS for _, _, quality in found),
        note=f"In brackets: 95 % intervals. Grey: fewer than {FEW_LABELS} positives, too few to decide anything fine. "
        "Outputs are never pooled: a figure over all of them would mean nothing.",
    )


def _output_row(model: str, output: str, quality: Quality) -> tuple[Cell, ...]:
    metrics = {metric.name: metric for metric in quality.metrics}
    figures = (("auc", 3), ("log_loss", 4), ("calibration_ratio", 2))
    return (
        model,
        output_title(output),
        f"{format_count(quality.positives)} of {format_count(quality.rows)} {_kind_of_rows(output)}",
        *(format_metric(metrics[name], decimals) if name in metrics else None for name, decimals in figures),
    )


def _kind_of_rows(output: str) -> str:
    return "clicked rows" if output == CONVERSION else "rows"


def output_words(output: str) -> str:
    """Return what an output says and where it is measured, as a sentence."""
    if output not in OUTPUTS:
        return ""
    text = OUTPUTS[output]
    return f"{text.title}: {text.meaning}, measured on {text.rows}."


def _rate(rate: Rate | None) -> str | None:
    if rate is None:
        return None
    low, high = 100 * rate.low, 100 * rate.high
    return f"{format_percent(rate.value, 2)} {format_interval(low, high, 2)}"


def _duration(seconds: float) -> str:
    return f"{seconds / _DAY:.1f} days" if seconds >= 2 * _DAY else format_seconds(seconds)
