"""Alembic's way in: it runs on the connection that `database.upgrade` hands it."""

from alembic import context

from experiments.storage.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
