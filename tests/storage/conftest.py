"""Both engines for the contract tests."""

import pytest

from support.database import ParkDatabase


@pytest.fixture(scope="module", params=["plain", pytest.param("timescale", marks=pytest.mark.timescale)])
def park(request: pytest.FixtureRequest) -> ParkDatabase:
    """A migrated database on each engine."""
    return request.getfixturevalue("park_database" if request.param == "plain" else "timescale_park_database")
