"""How `project.db` came to its present shape, one revision per file; a revision that was released never changes."""
