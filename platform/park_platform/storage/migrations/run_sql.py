"""Running a revision's SQL file as it stands, through the driver: no parameters, no bind markers."""

from pathlib import Path
from typing import Final, LiteralString, cast

import psycopg
from alembic import op

_VERSIONS: Final = Path(__file__).parent / "versions"


def run_sql(name: str) -> None:
    """Execute every statement of versions/`name` in the revision's transaction."""
    driver = op.get_bind().connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - storage/migrate.py made it
    # The file is part of the release, so its text is as literal as one in code.
    driver.execute(cast(LiteralString, (_VERSIONS / name).read_text(encoding="utf-8")))
