"""Both engines for the contract tests, and connections to the park of a test."""

from collections.abc import Generator

import pytest

from park_platform.storage.connect import Connection
from support.database import ParkDatabase


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
