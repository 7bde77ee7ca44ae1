"""Alembic's entry: the connection is handed in by hub.ledger.migrate."""

from alembic import context

from hub.ledger.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=False)
context.run_migrations()
