"""Moments in time, read from whatever a source keeps them in: dates, timestamps, ISO text, seconds since 1970."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .columns import Column, is_text, numbers, plain

MomentArray: TypeAlias = "NDArray[np.datetime64]"

_UNITS = ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0))
"""Below a magnitude, the microseconds of one unit: seconds until the year 5138, then milliseconds, microseconds."""
_NANOSECONDS = 1e-3
_ISO = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}([.]\d{1,9})?)?)?(Z|[+-]\d{2}(:?\d{2})?)?$"
_ZONE = r"^\d{4}-\d{2}-\d{2}[ T].*(Z|[+-]\d{2}(:?\d{2})?)$"


def moments(column: Column | pa.Array) -> MomentArray:
    """Return datetime64[us] (N,), in UTC where an offset is given; NaT where there is none or it cannot be read.

    Text is ISO 8601. Numbers are seconds, milliseconds, microseconds or nanoseconds since 1970, by their size.
    """
    column = plain(column)
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _micros(column)
    if is_text(kind):
        return _from_text(column)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _from_numbers(column)
    return np.full(len(column), np.datetime64("NaT"), "datetime64[us]")


def only_days(times: MomentArray) -> bool:
    """Whether every moment that is known is a midnight."""
    known = times[~np.isnat(times)]
    return bool((known == known.astype("datetime64[D]")).all())


def is_after(times: MomentArray, others: MomentArray) -> NDArray[np.bool_]:
    """Return which of `times` (N,) come after those of `others`; where one side knows days only, days are compared."""
    if only_days(times) or only_days(others):
        return np.asarray(times.astype("datetime64[D]") > others.astype("datetime64[D]"))
    return np.asarray(times > others)


def _micros(column: Column) -> MomentArray:
    zone = getattr(column.type, "tz", None)
    whole = column.cast(pa.timestamp("us", tz=zone), safe=False).cast(pa.int64())
    return _as_moments(np.asarray(whole.fill_null(0).to_numpy()), np.asarray(column.is_null().to_numpy()))


def _as_moments(micros: NDArray[np.int64], missing: NDArray[np.bool_]) -> MomentArray:
    found = micros.astype("datetime64[us]")
    found[missing] = np.datetime64("NaT")
    return found


def _from_numbers(column: Column) -> MomentArray:
    values = numbers(column)
    missing = np.isnan(values)
    if missing.all():
        return np.full(len(values), np.datetime64("NaT"), "datetime64[us]")
    largest = float(np.nanmedian(np.abs(values)))
    factor = next((factor for limit, factor in _UNITS if largest < limit), _NANOSECONDS)
    micros = np.where(missing, 0.0, values) * factor
    missing |= np.abs(micros) >= 2.0**62
    return _as_moments(np.where(missing, 0.0, micros).astype(np.int64), missing)


def _from_text(column: Column) -> MomentArray:
    """Parse each distinct text once; texts with an offset and texts without one are read apart."""
    encoded = column.dictionary_encode().unify_dictionaries()
    if not encoded.num_chunks:
        return np.zeros(0, "datetime64[us]")
    texts = pc.utf8_trim_whitespace(encoded.chunk(0).dictionary)
    known = np.full(len(texts) + 1, np.datetime64("NaT"), "datetime64[us]")  # the last one: no text at all
    is_iso = pc.match_substring_regex(texts, _ISO)
    zoned = pc.and_(is_iso, pc.match_substring_regex(texts, _ZONE))
    for rows, zone in ((pc.and_not(is_iso, zoned), None), (zoned, "UTC")):
        places = np.flatnonzero(rows.to_numpy(zero_copy_only=False))
        known[places] = _parsed(texts.take(pa.array(places)), zone)
    places = np.concatenate([chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in encoded.chunks])
    return np.asarray(known[places])


def _parsed(texts: pa.Array, zone: str | None) -> MomentArray:
    try:
        return _micros(pa.chunked_array([texts.cast(pa.timestamp("ns" if _is_fine(texts) else "us", zone))]))
    except pa.ArrowInvalid:  # a thirtieth of February among them: leave out what is no date
        if len(texts) <= 1:
            return np.full(len(texts), np.datetime64("NaT"), "datetime64[us]")
        half = len(texts) // 2
        return np.concatenate([_parsed(texts[:half], zone), _parsed(texts[half:], zone)])


def _is_fine(texts: pa.Array) -> bool:
    """Whether some text has more than six digits of a second."""
    return bool(pc.any(pc.match_substring_regex(texts, r"[.]\d{7}")).as_py())
