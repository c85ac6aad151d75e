"""The late pass: which hours of which streams got readings that no rule has judged."""

from park_platform.storage.migrations.run_sql import run_sql

revision = "v0003"
down_revision = "v0002"


def upgrade() -> None:
    run_sql("v0003_late.sql")
