"""What encoding has learned, field by field: ids and values of raw values, raw values of ids, and all of it as JSON."""

from __future__ import annotations

import bisect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from crosslens import (
    MISSING_ID,
    RESERVED_IDS,
    UNKNOWN_ID,
    DataError,
    EncodedField,
    EncodedSchema,
    FieldKind,
    FieldRole,
)
from crosslens.data import EncodedDataset, Float32Array, Float64Array, Int32Array
from crosslens.plain import from_plain, to_plain
from crosslens.relational import ColumnRef
from crosslens.schema import TimePart

from .columns import Column, numbers
from .commands import Finding
from .hashed import HashEncoder
from .inputs import Inputs
from .labels import LabelRule
from .multi_values import FlagEncoder, value_counts
from .time_parts import PartEncoder, age_in_days
from .vocabulary import MISSING_TEXT, UNKNOWN_TEXT, Vocabulary

FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class CategoryEncoder:
    """A categorical field: value <-> local id through a vocabulary."""

    name: str
    column: ColumnRef
    role: FieldRole
    vocabulary: Vocabulary

    @property
    def encoded(self) -> EncodedField:
        """Return the field as models see it."""
        return EncodedField(self.name, FieldKind.CATEGORICAL, self.vocabulary.cardinality, self.role)

    def reader(self) -> Callable[[Inputs], Int32Array]:
        """Return a function that reads local ids, int32 (N,), of block after block."""
        read = self.vocabulary.reader()
        return lambda inputs: read(inputs.column(self.column))

    def local_ids(self, column: Column) -> Int32Array:
        """Return local ids, int32 (N,)."""
        return self.vocabulary.local_ids(column)

    def text(self, local_id: int) -> str:
        """Return how a local id is shown."""
        return self.vocabulary.text(local_id)

    def local_id(self, text: str | None) -> int:
        """Return the local id of a value given as text."""
        return self.vocabulary.local_id(text)


@dataclass(frozen=True, slots=True)
class BinEncoder:
    """A numerical field cut at `edges` (ascending): bin i holds edges[i-1] <= value < edges[i]; local id i + 2.

    `whole`: all training values were whole numbers, so labels can name them ("18 – 24").
    """

    name: str
    column: ColumnRef
    role: FieldRole
    edges: tuple[float, ...]
    whole: bool = False

    @property
    def encoded(self) -> EncodedField:
        """Return the field as models see it."""
        return EncodedField(self.name, FieldKind.CATEGORICAL, len(self.edges) + 1 + RESERVED_IDS, self.role)

    def reader(self) -> Callable[[Inputs], Int32Array]:
        """Return a function that reads local ids, int32 (N,), of block after block."""
        return lambda inputs: self.local_ids(inputs.column(self.column))

    def local_ids(self, column: Column) -> Int32Array:
        """Return local ids, int32 (N,)."""
        values = numbers(column)
        ids = np.searchsorted(np.array(self.edges), values, side="right").astype(np.int32) + np.int32(RESERVED_IDS)
        ids[np.isnan(values)] = MISSING_ID
        return ids

    def text(self, local_id: int) -> str:
        """Return how a local id is shown: "< 12.5", "12.5 – 20", ">= 20"."""
        if local_id in (MISSING_ID, UNKNOWN_ID):
            return MISSING_TEXT if local_id == MISSING_ID else UNKNOWN_TEXT
        if not 0 <= local_id < self.encoded.cardinality:
            raise IndexError(f"local id {local_id} is not below {self.encoded.cardinality}")
        return bin_text(self.edges, local_id - RESERVED_IDS, whole=self.whole)

    def local_id(self, text: str | None) -> int:
        """Return the local id of a number given as text, or of a bin given by its label. DataError for other text."""
        for reserved in (MISSING_ID, UNKNOWN_ID):
            if text == self.text(reserved):
                return reserved
        bins = range(len(self.edges) + 1)
        labels = [bin_text(self.edges, place, whole=self.whole) for place in bins]
        if text in labels:
            return labels.index(text) + RESERVED_IDS
        value = parse_number(text, self.name)
        return MISSING_ID if np.isnan(value) else bisect.bisect_right(self.edges, value) + RESERVED_IDS


class Measure(StrEnum):
    """What number a field takes of its column: the value itself, days before the row's time, or how many values."""

    VALUE = "value"
    AGE = "age"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class NumberEncoder:
    """A numerical field: (value - mean) / scale as float32, NaN where missing or beyond float32.

    `time` is the row's own time for AGE; `delimiter` parts the values that COUNT counts.
    """

    name: str
    column: ColumnRef
    role: FieldRole
    mean: float = 0.0
    scale: float = 1.0
    measure: Measure = Measure.VALUE
    time: ColumnRef | None = None
    delimiter: str = ""

    @property
    def encoded(self) -> EncodedField:
        """Return the field as models see it."""
        return EncodedField(self.name, FieldKind.NUMERICAL, 0, self.role)

    def read(self, inputs: Inputs) -> Float32Array:
        """Return standardised values of some rows, float32 (N,)."""
        return self.standardise(measured(self.measure, inputs, self.column, self.time, self.delimiter))

    def values(self, column: Column) -> Float32Array:
        """Return standardised values of a column of numbers, float32 (N,)."""
        return self.standardise(numbers(column))

    def standardise(self, values: Float64Array) -> Float32Array:
        """Return (value - mean) / scale; what float32 cannot hold counts as missing."""
        with np.errstate(over="ignore"):
            result: Float32Array = ((values - self.mean) / self.scale).astype(np.float32)
        result[np.isinf(result)] = np.nan
        return result

    def value(self, text: str | None) -> float:
        """Return the standardised value of a number given as text. DataError for other text."""
        return float(self.standardise(np.array([parse_number(text, self.name)]))[0])

    def text(self, value: float) -> str:
        """Return a standardised value in the column's own unit."""
        return MISSING_TEXT if np.isnan(value) else f"{value * self.scale + self.mean:.6g}"


def measured(
    measure: Measure, inputs: Inputs, column: ColumnRef, time: ColumnRef | None, delimiter: str
) -> Float64Array:
    """Return what a measure takes of a column, float64 (N,), NaN where there is nothing."""
    if measure is Measure.COUNT:
        return value_counts(inputs.lists(column, delimiter))
    if measure is Measure.AGE and time is not None:
        return age_in_days(inputs.moments(column), inputs.moments(time))
    return numbers(inputs.column(column))


IdEncoder: TypeAlias = CategoryEncoder | BinEncoder | HashEncoder | PartEncoder | FlagEncoder
FieldEncoder: TypeAlias = IdEncoder | NumberEncoder


@dataclass(frozen=True, slots=True)
class WeightRule:
    """The column that says how much a row counts."""

    name: str
    column: ColumnRef


@dataclass(frozen=True, slots=True, eq=False)
class Encoders:
    """Everything needed to encode rows of one query (`columns`), and to read ids and values back.

    `findings` tell what was noticed while learning: dropped fields, guessed labels, unreadable numbers.
    """

    columns: tuple[ColumnRef, ...]
    categorical: tuple[IdEncoder, ...]
    numerical: tuple[NumberEncoder, ...]
    labels: tuple[LabelRule, ...]
    weight: WeightRule | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def fields(self) -> tuple[FieldEncoder, ...]:
        """Return all encoders in the order of the encoded schema, categorical first."""
        return (*self.categorical, *self.numerical)

    @property
    def sources(self) -> tuple[ColumnRef, ...]:
        """Return the columns features are read from, each once."""
        times = (encoder.time for encoder in self.numerical if encoder.time is not None)
        return tuple(dict.fromkeys((*(encoder.column for encoder in self.fields), *times)))

    @property
    def schema(self) -> EncodedSchema:
        """Return the schema models see."""
        return EncodedSchema(
            fields=tuple(encoder.encoded for encoder in self.fields), labels=tuple(rule.name for rule in self.labels)
        )

    def field(self, name: str) -> FieldEncoder:
        """Return the encoder of a field; KeyError if there is none of that name."""
        for encoder in self.fields:
            if encoder.name == name:
                return encoder
        raise KeyError(name)

    def decode(self, name: str, value: float) -> str:
        """Return how a local id (categorical) or a standardised value (numerical) of a field is shown."""
        encoder = self.field(name)
        return encoder.text(value) if isinstance(encoder, NumberEncoder) else encoder.text(int(value))

    def choices(self, name: str, most: int = 50) -> tuple[str, ...]:
        """Return the most frequent values of a categorical field (or its bins); empty for a numerical one."""
        encoder = self.field(name)
        if isinstance(encoder, NumberEncoder):
            return ()
        if isinstance(encoder, HashEncoder):
            return encoder.choices(most)
        last = min(encoder.encoded.cardinality, RESERVED_IDS + most)
        return tuple(encoder.text(local_id) for local_id in range(RESERVED_IDS, last))

    def encode_values(self, texts: Mapping[str, str | None]) -> dict[str, float]:
        """Return the local id or standardised value of each named field; "" and None are missing.

        DataError for a field there is not, and for text that is not a number where one is needed.
        """
        found: dict[str, float] = {}
        for name, text in texts.items():
            encoder = self._known(name)
            found[name] = encoder.value(text) if isinstance(encoder, NumberEncoder) else encoder.local_id(text)
        return found

    def with_values(self, row: EncodedDataset, texts: Mapping[str, str | None]) -> EncodedDataset:
        """Return a copy of `row` with the named fields set to other raw values: for "what if"."""
        ids, values = np.array(row.ids), np.array(row.values)
        names, offsets = self.schema.names, self.schema.offsets
        for name, value in self.encode_values(texts).items():
            place = names.index(name)
            if place < len(self.categorical):
                ids[:, place] = offsets[place] + int(value)
            else:
                values[:, place - len(self.categorical)] = value
        return row.with_features(ids, values)

    def _known(self, name: str) -> FieldEncoder:
        try:
            return self.field(name)
        except KeyError as error:
            raise DataError(
                f"The model knows no field {name}.", do=f"Its fields are: {', '.join(self.schema.names)}."
            ) from error

    def to_json(self) -> str:
        """Return everything as JSON text."""
        return json.dumps(_to_plain(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Encoders:
        """Return what `to_json` wrote. DataError if the text is something else or of a newer format."""
        try:
            plain = json.loads(text)
            if plain["format"] != FORMAT:
                raise DataError(
                    f"The encoders have format {plain['format']}; this Crosslens reads format {FORMAT}.",
                    do="Use the Crosslens they were made with, or train again.",
                )
            return _from_plain(plain)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError("The encoders of this run cannot be read.", do="Train the run again.") from error


def made_values(encoders: Encoders, data: EncodedDataset, name: str) -> pa.ChunkedArray | None:
    """Return what a field was made into for each row (N,), as text or number, NULL where missing.

    None for a field whose column holds its values as they are.
    """
    encoder, place = encoders.field(name), data.schema.names.index(name)
    if isinstance(encoder, NumberEncoder):
        if encoder.measure is Measure.VALUE:
            return None
        values = data.values[:, place - len(encoders.categorical)].astype(np.float64) * encoder.scale + encoder.mean
        return pa.chunked_array([pa.array(np.round(values, 6), from_pandas=True)])
    if not isinstance(encoder, PartEncoder | FlagEncoder):
        return None
    ids = data.ids[:, place] - np.int32(data.schema.offsets[place])
    texts = [None, *(encoder.text(local_id) for local_id in range(1, encoder.encoded.cardinality))]
    return pa.chunked_array([pa.array(texts, pa.string()).take(pa.array(ids))])


def bin_text(edges: Sequence[float], place: int, *, whole: bool = False) -> str:
    """Return the label of bin `place` between ascending `edges`."""
    texts = _edge_texts(edges, whole=whole)
    if not texts:
        return "any number"
    if place == 0:
        return f"< {texts[0]}"
    if place == len(edges):
        return f"≥ {texts[-1]}"
    if not whole:
        return f"{texts[place - 1]} – {texts[place]}"
    last = int(edges[place]) - 1
    return texts[place - 1] if last == edges[place - 1] else f"{texts[place - 1]} – {last}"


def _edge_texts(edges: Sequence[float], *, whole: bool) -> list[str]:
    """Return edges with as few digits as tell them all apart."""
    if whole:
        return [str(int(edge)) for edge in edges]
    for digits in range(3, 17):
        texts = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(texts)) == len(edges) and digits >= 3:
            return texts
    return [repr(edge) for edge in edges]


def parse_number(text: str | None, name: str) -> float:
    """Return a finite number, or NaN for None, "" and <missing>. DataError for other text."""
    if text is None or text.strip() in ("", MISSING_TEXT):
        return float("nan")
    try:
        value = float(text)
    except ValueError:  # said below, together with what is not finite
        value = float("inf")
    if not np.isfinite(value):
        raise DataError(f"{name} is a number, and '{text}' is not one.", do="Write a number such as 12.5.")
    return value


_KINDS: dict[str, type[BinEncoder | NumberEncoder | HashEncoder | FlagEncoder]] = {
    "bins": BinEncoder,
    "number": NumberEncoder,
    "hash": HashEncoder,
    "flag": FlagEncoder,
}


def _to_plain(encoders: Encoders) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "columns": to_plain(encoders.columns),
        "fields": [_field_to_plain(encoder) for encoder in encoders.fields],
        "labels": [to_plain(rule) for rule in encoders.labels],
        "weight": None if encoders.weight is None else to_plain(encoders.weight),
        "findings": [to_plain(finding) for finding in encoders.findings],
    }


def _field_to_plain(encoder: FieldEncoder) -> dict[str, Any]:
    if isinstance(encoder, CategoryEncoder | PartEncoder):
        about = {"name": encoder.name, "column": to_plain(encoder.column), "role": encoder.role.value}
        kind = {"part": encoder.part.value} if isinstance(encoder, PartEncoder) else {}
        name = "part" if kind else "vocabulary"
        return {"encoder": name, **about, **kind, "vocabulary": encoder.vocabulary.to_plain()}
    name = next(name for name, kind in _KINDS.items() if isinstance(encoder, kind))
    return {"encoder": name, **to_plain(encoder)}


def _from_plain(plain: dict[str, Any]) -> Encoders:
    fields = [_field_from_plain(dict(entry)) for entry in plain["fields"]]
    return Encoders(
        columns=tuple(from_plain(ColumnRef, entry) for entry in plain["columns"]),
        categorical=tuple(field for field in fields if not isinstance(field, NumberEncoder)),
        numerical=tuple(field for field in fields if isinstance(field, NumberEncoder)),
        labels=tuple(from_plain(LabelRule, entry) for entry in plain["labels"]),
        weight=None if plain["weight"] is None else from_plain(WeightRule, plain["weight"]),
        findings=tuple(from_plain(Finding, entry) for entry in plain["findings"]),
    )


def _field_from_plain(plain: dict[str, Any]) -> FieldEncoder:
    kind = plain.pop("encoder")
    if kind in _KINDS:
        return from_plain(_KINDS[kind], plain)
    name, column, role = plain["name"], from_plain(ColumnRef, plain["column"]), FieldRole(plain["role"])
    vocabulary = Vocabulary.from_plain(plain["vocabulary"])
    if kind == "part":
        return PartEncoder(name, column, role, TimePart(plain["part"]), vocabulary)
    if kind == "vocabulary":
        return CategoryEncoder(name, column, role, vocabulary)
    raise ValueError(f"there is no encoder {kind!r}")
