"""Rows that a server sends as lines of CSV, turned into Arrow columns in C++.

An unquoted empty entry is NULL, a quoted one an empty text. Lists come as JSON arrays of texts.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json

from ..columns import Kind, WiderKinds

EXACT_INTEGERS = float(2**53)
"""From here on float64 does not hold every integer."""
_FIRST_LINE = b"\n"  # skipped: otherwise a text that begins with a byte order mark would lose it


class CsvRows:
    """Parses chunks of lines. `exact` marks columns of decimals, in which a long integer must not be rounded.

    `nulls` are further unquoted entries that mean NULL.
    """

    def __init__(self, kinds: Sequence[Kind], exact: Sequence[bool], *, nulls: Sequence[str] = ()) -> None:
        self._kinds = tuple(kinds)
        self._exact = tuple(exact)
        self._names = [f"c{number}" for number in range(len(kinds))]
        self._nulls = ["", *nulls]

    def arrays(self, lines: Sequence[bytes]) -> list[pa.Array]:
        """Return one array per column of exactly the kinds; WiderKinds names the columns in which a value does not fit.

        Every line ends with a line break. Bytes that are not UTF-8 become replacement marks.
        """
        data = _FIRST_LINE + b"".join(lines)
        try:
            table = self._parsed(data, self._kinds)
        except pa.ArrowInvalid:
            return self._one_by_one(data)
        arrays = [self._finished(table.column(number), number) for number in range(len(self._kinds))]
        return [array for array in arrays if array is not None] if None not in arrays else self._one_by_one(data)

    def _parsed(self, data: bytes, kinds: Sequence[Kind]) -> pa.Table:
        return pa_csv.read_csv(
            pa.BufferReader(data),
            read_options=pa_csv.ReadOptions(
                use_threads=False, block_size=len(data) + 1, skip_rows=1, column_names=self._names
            ),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(
                column_types={name: _csv_type(kind) for name, kind in zip(self._names, kinds, strict=True)},
                null_values=self._nulls,
                true_values=["t", "1", "true"],
                false_values=["f", "0", "false"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def _finished(self, column: pa.ChunkedArray, number: int) -> pa.Array | None:
        """Return a parsed column as an array of its kind; None when a value does not fit."""
        kind = self._kinds[number]
        array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if kind is Kind.LIST:
            return _lists(array)
        if kind is Kind.FLOAT and self._exact[number] and _holds_long_integers(array):
            return None
        return array

    def _one_by_one(self, data: bytes) -> list[pa.Array]:
        """Find out which columns do not fit, the bytes mended first where they are not UTF-8."""
        text = data.decode("utf-8", "replace").encode()
        table = self._parsed(text, [Kind.TEXT] * len(self._kinds))
        arrays = [self._converted(table.column(number).combine_chunks(), number) for number in range(len(self._kinds))]
        if None in arrays:
            raise WiderKinds(
                tuple(_wider(kind) if array is None else kind for kind, array in zip(self._kinds, arrays, strict=True))
            )
        return [array for array in arrays if array is not None]

    def _converted(self, texts: pa.Array, number: int) -> pa.Array | None:
        kind = self._kinds[number]
        if kind in (Kind.TEXT, Kind.MIXED):
            return texts
        if kind is Kind.LIST:
            return _lists(texts)
        # The same parser once more, for this column alone; its texts need no quotes, for only plain ones fit anyway.
        alone = CsvRows([kind], [self._exact[number]], nulls=self._nulls[1:])
        lines = pc.binary_join_element_wise(pc.fill_null(texts, ""), "", "\n")
        if pc.any(pc.match_substring_regex(texts, '["\n\r,]')).as_py():
            return None
        try:
            column = alone._parsed(_FIRST_LINE + b"".join(lines.cast(pa.binary()).to_pylist()), [kind])
        except pa.ArrowInvalid:
            return None
        return alone._finished(column.column(0), 0)


def parsed_ahead(parser: CsvRows, chunks: Iterable[Sequence[bytes]]) -> Generator[list[pa.Array], None, None]:
    """Yield the arrays of each chunk of lines; one chunk is parsed while the next one is read."""
    with ThreadPoolExecutor(1, "csv") as beside:
        waiting: Future[list[pa.Array]] | None = None
        for lines in chunks:
            following = beside.submit(parser.arrays, lines)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def _csv_type(kind: Kind) -> pa.DataType:
    return pa.string() if kind is Kind.LIST else kind.arrow


def _wider(kind: Kind) -> Kind:
    return Kind.INTEGER if kind is Kind.BOOLEAN else Kind.MIXED


def _holds_long_integers(array: pa.Array) -> bool:
    whole = pc.equal(pc.round(array), array)
    return bool(pc.any(pc.and_(whole, pc.greater_equal(pc.abs(array), EXACT_INTEGERS))).as_py())


def _lists(texts: pa.Array) -> pa.Array | None:
    """Return JSON arrays of texts as lists; None when one of them is something else."""
    if not len(texts):
        return pa.array([], Kind.LIST.arrow)
    lines = pc.binary_join_element_wise('{"v":', pc.fill_null(texts, "null"), "}\n", "")
    data = "".join(lines.to_pylist()).encode()
    schema = pa.schema([("v", Kind.LIST.arrow)])
    try:
        table = pa_json.read_json(
            pa.BufferReader(data),
            read_options=pa_json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
        )
    except pa.ArrowInvalid:
        return None
    lists = table.column("v").combine_chunks()
    return lists if len(lists) == len(texts) else None
