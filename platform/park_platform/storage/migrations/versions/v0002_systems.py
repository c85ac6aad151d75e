"""Systems: which are enabled, the points they derive, their rules, and the registers that people keep."""

from park_platform.storage.migrations.run_sql import run_sql

revision = "v0002"
down_revision = "v0001"


def upgrade() -> None:
    run_sql("v0002_systems.sql")
