"""How values read: numbers by the user's locale, durations, phases, and the words for roles and kinds."""

from __future__ import annotations

import math
from datetime import timedelta

from PySide6.QtCore import QCoreApplication, QLocale

from core.commands import Phase, Progress
from core.recipe import Repair, RepairKind, SplitMethod
from crosslens.relational import JoinFacts, JoinKind, JoinSpec, SampleMethod, TableInfo, TableRef
from crosslens.schema import Field, FieldKind, FieldRole, TimePart


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
    """Return the name of a joined table, with the join's own where that differs."""
    name = table_name(join.table)
    return name if join.name in (name, join.table.name) else _tr("{table} as {name}").format(table=name, name=join.name)


def join_kind_words(kind: JoinKind) -> str:
    """Return what a join of this kind takes of the other table."""
    return {
        JoinKind.LOOKUP: _tr("its columns"),
        JoinKind.EXISTS: _tr("yes or no"),
        JoinKind.COUNT: _tr("how many"),
        JoinKind.LATEST: _tr("the latest row"),
        JoinKind.VALUES: _tr("all values"),
    }[kind]


def join_kind_help(kind: JoinKind) -> str:
    """Return one sentence about a kind of join."""
    return {
        JoinKind.LOOKUP: _tr("The columns of the one row that belongs to each row."),
        JoinKind.EXISTS: _tr("Whether there is any row that belongs to it: a label, such as a click."),
        JoinKind.COUNT: _tr("How many rows belong to it."),
        JoinKind.LATEST: _tr("The columns of the latest of the rows that belong to it."),
        JoinKind.VALUES: _tr("All different values of the rows that belong to it, as fields with several values."),
    }[kind]


def join_facts_words(fact: JoinFacts | None) -> str:
    """Return what was measured about a join: how many rows find a partner, and how many partners one may have."""
    if fact is None:
        return ""
    if fact.problem:
        return _tr("not measured")
    words = _tr("{share} match").format(share=percent(fact.match_rate, 0 if fact.match_rate == 1.0 else 1))
    if fact.max_partners <= 1:
        return words
    return _tr("{match}  ·  up to {count} per row").format(match=words, count=whole(fact.max_partners))


def repair_words(repair: Repair) -> str:
    """Return what a repair does, for its button."""
    names = ", ".join(f"“{name}”" for name in repair.fields)
    return {
        RepairKind.IGNORE_FIELD: _tr("Ignore {fields}"),
        RepairKind.DROP_MISSING: _tr("Leave out rows without {fields}"),
        RepairKind.DROP_DUPLICATES: _tr("Keep one of each"),
        RepairKind.DROP_ORPHANS: _tr("Leave out rows without a partner"),
        RepairKind.CLICK_IF_CONVERTED: _tr("Count them as clicked"),
        RepairKind.NO_CONVERSION_WITHOUT_CLICK: _tr("Count them as not converted"),
        RepairKind.DROP_LATER_THAN_EVENT: _tr("Leave out these rows"),
    }[repair.kind].format(fields=names)


def repaired_words(repair: Repair) -> str:
    """Return what a repair has done, for the list of those chosen."""
    names = ", ".join(f"“{name}”" for name in repair.fields)
    return {
        RepairKind.IGNORE_FIELD: _tr("{fields} ignored"),
        RepairKind.DROP_MISSING: _tr("rows without {fields} left out"),
        RepairKind.DROP_DUPLICATES: _tr("copies left out"),
        RepairKind.DROP_ORPHANS: _tr("rows without a partner by {fields} left out"),
        RepairKind.CLICK_IF_CONVERTED: _tr("converted counts as clicked"),
        RepairKind.NO_CONVERSION_WITHOUT_CLICK: _tr("no conversion without a click"),
        RepairKind.DROP_LATER_THAN_EVENT: _tr("rows with a later {fields} left out"),
    }[repair.kind].format(fields=names)


def part_words(part: TimePart) -> str:
    """Return the word for a part of a moment."""
    return {
        TimePart.HOUR: _tr("hour"),
        TimePart.WEEKDAY: _tr("weekday"),
        TimePart.DAY: _tr("day of the month"),
        TimePart.MONTH: _tr("month"),
        TimePart.YEAR: _tr("year"),
        TimePart.AGE: _tr("days before the row’s own time"),
    }[part]


def field_words(field: Field) -> str:
    """Return how a field is read, with what its kind leaves to choose."""
    words = kind_words(field.kind)
    if field.kind is FieldKind.NUMERICAL and field.bins:
        return _tr("{kind} in {count} bins").format(kind=words, count=field.bins)
    if field.kind is FieldKind.MULTI_VALUED and field.delimiter:
        return _tr("{kind} by “{delimiter}”").format(kind=words, delimiter=field.delimiter)
    if field.kind is FieldKind.TIMESTAMP and field.parts:
        return _tr("{kind}: {parts}").format(kind=words, parts=", ".join(part_words(part) for part in field.parts))
    return words


def sample_words(method: SampleMethod) -> str:
    """Return the phrase for a way to take fewer rows."""
    return {
        SampleMethod.RANDOM: _tr("some, at random"),
        SampleMethod.USERS: _tr("all of some users"),
        SampleMethod.LATEST: _tr("the latest"),
    }[method]


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
