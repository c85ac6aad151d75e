"""Both engines for the contract tests, and connections to the park of a test."""

from collections.abc import Generator

import pytest

from park_platform.storage.connect import Connection
from support.database import ParkDatabase
from support.ledger_store import Registers


@pytest.fixture(scope="module", params=["plain", pytest.param("timescale", marks=pytest.mark.timescale)])
def park(request: pytest.FixtureRequest) -> ParkDatabase:
    """A migrated database on each engine."""
    return request.getfixturevalue("park_database" if request.param == "plain" else "timescale_park_database")


@pytest.fixture
def admin(park: ParkDatabase) -> Generator[Connection]:
    """As superuser."""
    with park.connection() as connection:
        yield connection


@pytest.fixture
def ingest(park: ParkDatabase) -> Generator[Connection]:
    """As an intake worker."""
    with park.connection("ingest") as connection:
        yield connection


@pytest.fixture
def operate(park: ParkDatabase) -> Generator[Connection]:
    """As `park operate`."""
    with park.connection("operate") as connection:
        yield connection


@pytest.fixture(scope="module")
def owners(park_database: ParkDatabase) -> dict[str, int]:
    """Two enterprises."""
    with park_database.connection() as admin:
        for key in ("alpha", "beta"):
            admin.execute("INSERT INTO enterprise (key, name_zh, name_en) VALUES (%s, %s, %s)", (key, key, key))
        admin.execute(
            "INSERT INTO person (name, display_zh, display_en, role, enterprise_id) "
            "SELECT 'of-' || key, key, key, 'enterprise', id FROM enterprise"
        )
        return dict(admin.execute("SELECT key, id FROM enterprise").fetchall())


@pytest.fixture
def registers(park_database: ParkDatabase, owners: dict[str, int]) -> Generator[Registers]:
    """Empty registers."""
    with park_database.connection() as admin:
        admin.execute("ALTER TABLE register_version DISABLE TRIGGER register_append_only")
        admin.execute("TRUNCATE register_version, register_row")
        admin.execute("ALTER TABLE register_version ENABLE TRIGGER register_append_only")
    with park_database.connection("api") as connection:
        yield Registers(park_database, connection, owners)
