"""The park's first schema: tables, the engine's tables, the doors for readings, rights."""

import sqlalchemy
from alembic import context, op

from park_platform.storage.migrations.run_sql import run_sql

revision = "v0001"
down_revision = None


def upgrade() -> None:
    engine = context.config.attributes["park_engine"]
    run_sql("v0001_park.sql")
    run_sql(f"v0001_{engine}.sql")
    run_sql("v0001_doors.sql")
    run_sql("v0001_rights.sql")
    run_sql("v0001_tenants.sql")
    # The only value that the migration chooses; park_key and names come with `park apply`.
    op.get_bind().execute(sqlalchemy.text("INSERT INTO installation (engine) VALUES (:engine)"), {"engine": engine})
