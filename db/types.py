"""What a column holds: from SQLite's loose words for types to logical types."""

from __future__ import annotations

from crosslens.relational import ColumnType

_EXACT = {
    "DATE": ColumnType.DATE,
    "TIME": ColumnType.TEXT,
    "JSON": ColumnType.TEXT,
    "UUID": ColumnType.TEXT,
    "ENUM": ColumnType.TEXT,
    "STRING": ColumnType.TEXT,
    "MONEY": ColumnType.DECIMAL,
    "NUMBER": ColumnType.DECIMAL,
}
# In the order of SQLite's own affinity rules, after the words SQLite itself does not know.
_PARTS = (
    ("BOOL", ColumnType.BOOLEAN),
    ("DATETIME", ColumnType.TIMESTAMP),
    ("TIMESTAMP", ColumnType.TIMESTAMP),
    ("INT", ColumnType.INTEGER),
    ("SERIAL", ColumnType.INTEGER),
    ("CHAR", ColumnType.TEXT),
    ("CLOB", ColumnType.TEXT),
    ("TEXT", ColumnType.TEXT),
    ("BLOB", ColumnType.BINARY),
    ("BINARY", ColumnType.BINARY),
    ("REAL", ColumnType.FLOAT),
    ("FLOA", ColumnType.FLOAT),
    ("DOUB", ColumnType.FLOAT),
    ("DEC", ColumnType.DECIMAL),
    ("NUMERIC", ColumnType.DECIMAL),
)


def sqlite_type(declared: str) -> ColumnType:
    """Return the logical type of a declared SQLite type, which may be any text or none at all."""
    word = declared.upper().partition("(")[0].strip()
    if word in _EXACT:
        return _EXACT[word]
    return next((kind for part, kind in _PARTS if part in word), ColumnType.OTHER)
