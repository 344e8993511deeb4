"""The revisions, oldest first; add the new one to `db.store.schema.REVISIONS` as well."""
