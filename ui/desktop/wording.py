"""How values read: numbers by the user's locale, durations, phases, and the words for roles and kinds."""

from __future__ import annotations

import math
from datetime import timedelta

from PySide6.QtCore import QCoreApplication, QLocale

from core.commands import Phase, Progress
from core.recipe import SplitMethod
from crosslens.relational import JoinKind, JoinSpec, TableInfo, TableRef
from crosslens.schema import FieldKind, FieldRole


def _tr(text: str) -> str:
    return QCoreApplication.translate("Wording", text)


def whole(value: int | float) -> str:
    """Return a count with the locale's thousands separators."""
    return QLocale().toString(round(value))


def about(value: int) -> str:
    """Return a large count in two or three figures, as an estimate is known: 12.4 M."""
    for size, unit in ((1e9, _tr("{count} bn")), (1e6, _tr("{count} M"))):
        if value >= size:
            return unit.format(count=number(value / size, 1))
    figures = max(len(str(value)) - 3, 0)
    return whole(round(value, -figures))


def bytes_words(count: int) -> str:
    """Return a size in bytes as people say it."""
    return QLocale().formattedDataSize(count, 1, QLocale.DataSizeFormat.DataSizeTraditionalFormat)


def number(value: float, decimals: int) -> str:
    """Return a number with a fixed count of decimals."""
    return QLocale().toString(float(value), "f", decimals)


def percent(share: float, decimals: int = 0) -> str:
    """Return a share as a percentage; a tiny share never reads as nothing, nor an almost full one as all."""
    smallest = 10.0**-decimals
    value = 100.0 * share
    if 0.0 < value < smallest / 2:
        return f"< {number(smallest, decimals)} %"
    if 100.0 - smallest / 2 < value < 100.0:
        return f"> {number(100.0 - smallest, decimals)} %"
    return f"{number(value, decimals)} %"


def duration(seconds: float) -> str:
    """Return a duration as m:ss or h:mm:ss."""
    text = str(timedelta(seconds=max(0, math.ceil(seconds))))
    return text[2:].removeprefix("0") if text.startswith("0:") else text


def table_name(ref: TableRef) -> str:
    """Return the name of a table, with its schema where it has one."""
    return f"{ref.schema}.{ref.name}" if ref.schema else ref.name


def row_count(table: TableInfo) -> str:
    """Return how many rows a table has; estimates say so, unknown counts are empty."""
    if table.rows is None:
        return ""
    return _tr("≈ {count}").format(count=about(table.rows)) if table.rows_are_estimated else whole(table.rows)


def keys_of(table: TableInfo) -> str:
    """Return one phrase about a table's keys."""
    if table.is_view:
        return _tr("view")
    parts = [_tr("key {columns}").format(columns=", ".join(table.primary_key)) if table.primary_key else _tr("no key")]
    targets = dict.fromkeys(table_name(key.target) for key in table.foreign_keys)
    if targets:
        parts.append(_tr("→ {tables}").format(tables=", ".join(targets)))
    return "  ·  ".join(parts)


def join_words(join: JoinSpec) -> str:
    """Return what taking a join means, for its check box."""
    if join.kind is JoinKind.EXISTS:
        return _tr("{table} – yes or no").format(table=table_name(join.table))
    name = table_name(join.table)
    return name if join.name == name else _tr("{table} as {name}").format(table=name, name=join.name)


def role_words(role: FieldRole) -> str:
    """Return the word for a role."""
    return {
        FieldRole.FEATURE: _tr("Feature"),
        FieldRole.CLICK: _tr("Click label"),
        FieldRole.CONVERSION: _tr("Conversion label"),
        FieldRole.USER: _tr("User"),
        FieldRole.ITEM: _tr("Item"),
        FieldRole.WEIGHT: _tr("Weight"),
        FieldRole.IGNORE: _tr("Ignored"),
    }[role]


def role_help(role: FieldRole) -> str:
    """Return one sentence about a role."""
    return {
        FieldRole.FEATURE: _tr("Models may learn from it."),
        FieldRole.CLICK: _tr("What is predicted: did it happen, yes or no."),
        FieldRole.CONVERSION: _tr("What may follow a click; models of one label do not look at it."),
        FieldRole.USER: _tr("Who it was: a feature, and what a split by user keeps together."),
        FieldRole.ITEM: _tr("What was shown: a feature."),
        FieldRole.WEIGHT: _tr("How much a row counts."),
        FieldRole.IGNORE: _tr("No model sees it."),
    }[role]


def kind_words(kind: FieldKind) -> str:
    """Return the word for a kind."""
    return {
        FieldKind.CATEGORICAL: _tr("Categories"),
        FieldKind.NUMERICAL: _tr("Number"),
        FieldKind.MULTI_VALUED: _tr("Several values"),
        FieldKind.TEXT: _tr("Text"),
        FieldKind.TIMESTAMP: _tr("Time"),
    }[kind]


def split_words(method: SplitMethod) -> str:
    """Return the phrase for a way to part the rows."""
    return {
        SplitMethod.TIME: _tr("By time – test on the latest rows"),
        SplitMethod.USER: _tr("By user – test on other users"),
        SplitMethod.RANDOM: _tr("At random"),
    }[method]


def phase_words(phase: Phase) -> str:
    """Return what a job is doing."""
    return {
        Phase.CONNECTING: _tr("Connecting"),
        Phase.READING: _tr("Reading rows"),
        Phase.ENCODING: _tr("Encoding"),
        Phase.TRAINING: _tr("Training"),
        Phase.EVALUATING: _tr("Measuring quality"),
        Phase.EXPLAINING: _tr("Explaining"),
        Phase.WRITING: _tr("Writing"),
    }[phase]


def progress_words(progress: Progress) -> str:
    """Return what, how far, how fast and how long in one line."""
    parts = [progress.message or phase_words(progress.phase)]
    if progress.model and progress.model not in parts[0]:
        parts.insert(0, progress.model)
    parts.extend(_how_far(progress))
    if progress.seconds_left is not None and math.isfinite(progress.seconds_left):
        parts.append(_tr("{time} left").format(time=duration(progress.seconds_left)))
    return "  ·  ".join(parts)


def _how_far(progress: Progress) -> list[str]:
    fit, speed = progress.fit, progress.rows_per_second
    parts = []
    if fit is not None and fit.epochs and not progress.message:
        parts.append(_tr("round {done} of {all}").format(done=whole(fit.epoch), all=whole(fit.epochs)))
    elif fit is None and progress.rows is not None:
        parts.append(_tr("{count} rows").format(count=whole(progress.rows)))
    speed = speed or (fit.rows_per_second if fit is not None else None)
    return [*parts, _tr("{count} rows/s").format(count=whole(speed))] if speed else parts
