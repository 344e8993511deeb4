"""One small module per database engine: how to connect, guard, reflect, read and interrupt."""

from .base import Session, open_session

__all__ = ["Session", "open_session"]
