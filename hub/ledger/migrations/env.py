"""Alembic's entry: the connection is handed in by hub.ledger.migrate.

All steps are one transaction. SQLite would begin it at the first row that is written and leave the tables before that
behind a failure; so it is begun here.
"""

from alembic import context

from hub.ledger.tables import metadata

connection = context.config.attributes["connection"]
if connection.dialect.name == "sqlite" and not connection.connection.dbapi_connection.in_transaction:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=False)
context.run_migrations()
