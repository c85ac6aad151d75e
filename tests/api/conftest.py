"""One server a test module."""

from collections.abc import Generator

import pytest

from park_platform.embedded.broker import Broker
from support.database import ParkDatabase
from support.ledger_api import clear_devices
from support.serving import Served, enable_ledger, serve_park


@pytest.fixture(scope="module")
def served(park_database: ParkDatabase, broker: Broker) -> Generator[Served]:
    """A running `park serve` over a park with two enterprises."""
    yield from serve_park(park_database, broker)


@pytest.fixture(scope="module")
def ledger(served: Served) -> Served:
    """A server whose park uses the system with registers."""
    enable_ledger(served)
    return served


@pytest.fixture
def empty(ledger: Served) -> Generator[Served]:
    """The same without a row of the register of devices."""
    yield ledger
    clear_devices(ledger)
