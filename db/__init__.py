"""Relational data in, run history out; the only room that knows SQLAlchemy and database drivers."""
