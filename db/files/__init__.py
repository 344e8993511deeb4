"""Files as tables: which files there are, how their text is written, and what types their columns have."""
