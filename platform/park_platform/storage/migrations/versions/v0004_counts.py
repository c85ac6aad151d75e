"""A door to how many readings there are, for completeness."""

from park_platform.storage.migrations.run_sql import run_sql

revision = "v0004"
down_revision = "v0003"


def upgrade() -> None:
    run_sql("v0004_counts.sql")
