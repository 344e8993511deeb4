"""Run by Alembic for every upgrade, on the connection and inside the transaction of `db.store.schema`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
