"""Database and broker are away at the start and later: the process stays, says what is missing, and recovers."""

import time
from collections.abc import Generator
from pathlib import Path

import pytest

from park_platform.embedded.broker import Broker
from park_platform.embedded.broker_accounts import PROCESSES
from park_platform.embedded.postgres import Postgres
from park_platform.storage.migrate import migrate, prepare
from support.database import ParkDatabase, role_passwords
from support.serving import Served, seed_park, serving, wait_until


@pytest.fixture
def own_postgres(service_folder: Path) -> Generator[Postgres]:
    """A PostgreSQL of this test's own, stopped."""
    server = Postgres(service_folder / "postgres")
    server.start()
    prepare(server.url(), "park", role_passwords(server))
    migrate(server.url(database="park"), "plain")
    server.stop()
    yield server
    server.stop()


@pytest.fixture
def own_broker(service_folder: Path) -> Generator[Broker]:
    """A broker of this test's own, stopped."""
    server = Broker(service_folder / "broker")
    server.accounts.add(*PROCESSES)
    server.start()
    server.stop()
    yield server
    server.stop()


def health(served: Served) -> tuple[int, list[str]]:
    answer = served.get("/health", timeout=5)
    return answer.status_code, answer.json()["missing"]


def test_both_come_and_go(own_postgres: Postgres, own_broker: Broker) -> None:
    park = ParkDatabase(own_postgres.url(database="park"), role_passwords(own_postgres))
    with serving(park, own_broker.url("serve"), {}) as served:
        assert health(served) == (503, ["database", "broker"])
        began = time.monotonic()
        answer = served.post("/api/v1/session", json={"token": "x"}, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (503, "database-unavailable")
        assert answer.headers["retry-after"] == "5"
        assert time.monotonic() - began < 7

        own_broker.start()
        wait_until(lambda: health(served) == (503, ["database"]), "broker")
        own_postgres.start()
        wait_until(lambda: health(served) == (200, []), "health")
        with park.connection() as connection:
            seed_park(connection)
        client = served.client("operator")
        assert len(client.get("/api/v1/points").json()["items"]) == 3

        own_postgres.stop()
        wait_until(lambda: health(served) == (503, ["database"]), "the loss of the database")
        assert client.get("/api/v1/points", timeout=10).status_code == 503
        own_postgres.start()
        began = time.monotonic()
        wait_until(lambda: health(served) == (200, []), "health")
        wait_until(lambda: client.get("/api/v1/points", timeout=10).status_code == 200, "points")
        assert time.monotonic() - began < 6, "without anybody's help"

        own_broker.stop()
        wait_until(lambda: health(served) == (503, ["broker"]), "the loss of the broker")
        own_broker.start()
        wait_until(lambda: health(served) == (200, []), "health")
