"""One server a test module."""

from collections.abc import Generator

import pytest

from park_platform.embedded.broker import Broker
from support.database import ParkDatabase
from support.serving import Served, serve_park


@pytest.fixture(scope="module")
def served(park_database: ParkDatabase, broker: Broker) -> Generator[Served]:
    """A running `park serve` over a park with two enterprises."""
    yield from serve_park(park_database, broker)
