"""One small module per database engine: how to connect, guard, reflect, read and interrupt."""

from .base import RowReader, Session, open_session

__all__ = ["RowReader", "Session", "open_session"]
