"""From columns to what models read: encoders are learned from training rows, then applied to any rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from crosslens import DataError, EncodedSchema, Field, FieldKind, FieldRole, FieldSchema
from crosslens.data import EncodedDataset, Float32Array, Float64Array, Int32Array, Int64Array
from crosslens.plain import from_plain, to_plain
from crosslens.relational import ColumnRef

from .columns import Column, column_at, not_numbers, numbers
from .commands import Finding
from .encoded_files import ArrayWriter, open_arrays, replacing
from .encoders import BinEncoder, CategoryEncoder, Encoders, FieldEncoder, NumberEncoder, WeightRule
from .labels import LabelRule, label_fields, label_rule, read_labels, read_weights
from .vocabulary import check_categorical, fit_vocabulary

__all__ = ["Encoders", "encode", "encode_rows", "fit_encoders", "open_encoded", "read_labels"]

CHUNK_ROWS = 1 << 19


def fit_encoders(
    table: pa.Table,
    columns: Sequence[ColumnRef],
    schema: FieldSchema,
    train_rows: Int64Array,
    *,
    minimum_count: int = 2,
) -> Encoders:
    """Learn vocabularies, scales and bins from the training rows of a snapshot; column i of `table` is `columns[i]`.

    A field that is missing in all training rows is dropped, with a finding. DataError when no feature is left, a
    field's kind does not suit its values, or a label cannot be learned from.
    """
    train = _mask(table.num_rows, train_rows)
    labels = _fit_labels(table, columns, schema, train)
    found = [
        _fit_field(column_at(table, columns, each.column).filter(train), each, minimum_count)
        for each in schema.features
    ]
    encoders = [encoder for encoder, _ in found if encoder is not None]
    if not encoders:
        raise DataError("No field is left to learn from.", do="Give at least one field the role feature, user or item.")
    notes = tuple(Finding("note", rule.note, (rule.field,)) for rule in labels if rule.note)
    return Encoders(
        columns=tuple(columns),
        categorical=tuple(each for each in encoders if not isinstance(each, NumberEncoder)),
        numerical=tuple(each for each in encoders if isinstance(each, NumberEncoder)),
        labels=labels,
        weight=_fit_weight(table, columns, schema),
        findings=(*notes, *(finding for _, finding in found if finding is not None)),
    )


def _mask(rows: int, chosen: Int64Array) -> pa.Array:
    mask = np.zeros(rows, dtype=bool)
    mask[chosen] = True
    return pa.array(mask)


def _fit_labels(
    table: pa.Table, columns: Sequence[ColumnRef], schema: FieldSchema, train: pa.Array
) -> tuple[LabelRule, ...]:
    rules = []
    for each in label_fields(schema):
        column = column_at(table, columns, each.column)
        rules.append(rule := label_rule(column, each))
        values = rule.read(column.filter(train))
        if len(np.unique(values)) < 2:
            shown = rule.positive if values.any() else rule.negative
            raise DataError(
                f"The label {each.name} is {shown} in every training row.",
                why="Where nothing differs there is nothing to learn.",
                do="Use more rows, or split in another way.",
            )
    return tuple(rules)


def _fit_weight(table: pa.Table, columns: Sequence[ColumnRef], schema: FieldSchema) -> WeightRule | None:
    found = schema.with_role(FieldRole.WEIGHT)
    if len(found) > 1:
        raise DataError(
            f"{len(found)} fields have the role weight: {', '.join(each.name for each in found)}.",
            do="Keep the role for one of them.",
        )
    if not found:
        return None
    read_weights(column_at(table, columns, found[0].column), found[0].name)
    return WeightRule(found[0].name, found[0].column)


def _fit_field(column: Column, each: Field, minimum_count: int) -> tuple[FieldEncoder | None, Finding | None]:
    if column.null_count == len(column):
        return None, _dropped(each, "it has no value in any training row")
    if each.kind is FieldKind.CATEGORICAL:
        check_categorical(column, each.name)
        vocabulary = fit_vocabulary(column, minimum_count=minimum_count)
        return CategoryEncoder(each.name, each.column, each.role, vocabulary), None
    if each.kind is FieldKind.NUMERICAL:
        return _fit_number(column, each)
    raise DataError(
        f"Models cannot read the field {each.name} as {each.kind} yet.",
        do="Set its role to ignore, or its kind to categorical or numerical.",
        column=each.column,
    )


def _fit_number(column: Column, each: Field) -> tuple[FieldEncoder | None, Finding | None]:
    values = numbers(column)
    present = values[~np.isnan(values)]
    finding = _unreadable(column, each, len(present))
    if not len(present):
        return None, _dropped(each, "it has no finite number in any training row")
    if each.bins > 0:
        whole = bool((present == np.floor(present)).all() and np.abs(present).max() < 2**53)
        return BinEncoder(each.name, each.column, each.role, _edges(present, each.bins, whole=whole), whole), finding
    mean, scale = _moments(present)
    return NumberEncoder(each.name, each.column, each.role, mean, scale), finding


def _moments(values: Float64Array) -> tuple[float, float]:
    """Return mean and standard deviation without overflow; the scale of a constant is 1."""
    size = float(np.abs(values).max()) or 1.0
    scaled = values / size
    mean, deviation = float(scaled.mean()), float(scaled.std())
    constant = deviation <= 1e-12 * max(1.0, abs(mean)) or deviation * size == 0
    return mean * size, 1.0 if constant else deviation * size


def _edges(values: Float64Array, bins: int, *, whole: bool) -> tuple[float, ...]:
    """Return at most bins - 1 different inner quantiles between which no bin is empty."""
    inner = np.unique(np.quantile(values, np.arange(1, bins) / bins, method="higher" if whole else "linear"))
    counts = np.bincount(np.searchsorted(inner, values, side="right"), minlength=len(inner) + 1)
    return tuple(float(edge) for edge in inner[counts[:-1] > 0])


def _unreadable(column: Column, each: Field, present: int) -> Finding | None:
    strange = not_numbers(column)
    if not len(strange):
        return None
    example = str(strange[0].as_py())[:40]
    unread = len(column) - column.null_count - present
    if unread > present:
        raise DataError(
            f"{each.name} is set to numerical, but most of its values are text such as '{example}'.",
            do="Set its kind to categorical.",
            column=each.column,
        )
    return Finding("warn", f"{unread:,} values of {each.name}, such as '{example}', are read as missing.", (each.name,))


def _dropped(each: Field, why: str) -> Finding:
    return Finding("warn", f"{each.name} is left out: {why}.", (each.name,))


def encode(
    table: pa.Table,
    encoders: Encoders,
    folder: Path,
    *,
    labels: bool = True,
    progress: Callable[[float], None] = lambda _: None,
) -> EncodedDataset:
    """Write the rows of `table` as arrays under `folder` and return them memory-mapped, read-only.

    ids.npy, values.npy, label-<name>.npy, weights.npy and schema.json appear together or not at all; a folder that is
    there already is replaced. Without `labels` neither labels nor weights are read: for rows to be scored.
    DataError for labels outside the rule; StorageError when the disk is full.
    """
    used = encoders if labels else replace(encoders, labels=(), weight=None)
    with replacing(folder) as temporary:
        (temporary / "schema.json").write_text(json.dumps(to_plain(used.schema)), encoding="utf-8")
        _write_features(table, used, temporary, progress)
        for rule in used.labels:
            np.save(temporary / f"label-{rule.name}.npy", rule.read(column_at(table, used.columns, rule.column)))
        if used.weight is not None:
            column = column_at(table, used.columns, used.weight.column)
            np.save(temporary / "weights.npy", read_weights(column, used.weight.name))
    return open_encoded(folder)


def open_encoded(folder: Path) -> EncodedDataset:
    """Return what `encode` wrote, memory-mapped and read-only. DataError if it is not there or not whole."""
    arrays = open_arrays(folder)
    try:
        schema = from_plain(EncodedSchema, json.loads((folder / "schema.json").read_text(encoding="utf-8")))
        return EncodedDataset(
            schema=schema,
            ids=arrays["ids"],
            values=arrays["values"],
            labels={name: arrays[f"label-{name}"] for name in schema.labels},
            weights=arrays.get("weights"),
            row_keys=np.arange(len(arrays["ids"]), dtype=np.int64),
        )
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"The encoded rows in {folder} are incomplete.", do="Delete the folder; they are made again when needed."
        ) from error


def encode_rows(table: pa.Table, encoders: Encoders) -> EncodedDataset:
    """Return the features of a few rows in memory, without labels."""
    ids, values = _features(table, encoders)
    return EncodedDataset(schema=encoders.schema, ids=ids, values=values)


def _write_features(table: pa.Table, encoders: Encoders, folder: Path, progress: Callable[[float], None]) -> None:
    rows = table.num_rows
    with (
        ArrayWriter(folder / "ids.npy", (rows, len(encoders.categorical)), np.int32) as ids,
        ArrayWriter(folder / "values.npy", (rows, len(encoders.numerical)), np.float32) as values,
    ):
        for start, part in _chunks(table):
            part_ids, part_values = _features(part, encoders)
            ids.write(part_ids)
            values.write(part_values)
            progress((start + part.num_rows) / rows)


def _chunks(table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    for start in range(0, table.num_rows, CHUNK_ROWS):
        yield start, table.slice(start, CHUNK_ROWS)


def _features(table: pa.Table, encoders: Encoders) -> tuple[Int32Array, Float32Array]:
    ids = np.empty((table.num_rows, len(encoders.categorical)), np.int32)
    values = np.empty((table.num_rows, len(encoders.numerical)), np.float32)
    for place, (encoder, offset) in enumerate(zip(encoders.categorical, encoders.schema.offsets, strict=True)):
        ids[:, place] = encoder.local_ids(column_at(table, encoders.columns, encoder.column)) + np.int32(offset)
    for place, number in enumerate(encoders.numerical):
        values[:, place] = number.values(column_at(table, encoders.columns, number.column))
    return ids, values
