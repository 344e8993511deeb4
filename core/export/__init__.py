"""What leaves the app: tables of predictions as files or as a new table of a database, and trained models."""
