"""${message}."""

from park_platform.storage.migrations.run_sql import run_sql

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    run_sql("${up_revision}_${message.lower().replace(" ", "_")}.sql")
