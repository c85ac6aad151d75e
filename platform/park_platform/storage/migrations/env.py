"""What alembic runs: the revisions on the connection that storage/migrate.py opened as park_owner."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
