"""A real PostgreSQL and a real broker for tests: one of each per test session, on free ports, in a folder of its own.

Registered by tests/conftest.py, so a test only names what it needs:

    def test_commit(database: str) -> None:             # a fresh, empty database; dropped after the test
        with psycopg.connect(database) as connection: ...

    def test_plan(databases: Databases) -> None:        # several, or copies of a prepared one
        url = databases.create(template="migrated")

    def test_reload(broker: Broker) -> None:            # users that a test adds stay for the session: name them apart
        broker.accounts.add(gateway_account("g-reload"))
        broker.reload()
        client = broker.url("gw-g-reload")              # mqtt://user:password@127.0.0.1:port

- `postgres`: the cluster, `postgres.url()` is its superuser's address. Durability is on, as in a park.
- `databases`: `create(template=…)` and `drop(url)` in it.
- `database` and `module_database`: the address of an empty database for one test, or for one test module.
- `broker`: has the accounts of all processes (`ingest`, `serve`); other accounts are added as above.

A test that kills or stops a server starts its own: `Postgres(service_folder / "postgres")`, in the test's main thread.
"""

import os
import shutil
import tempfile
from collections.abc import Generator
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from park_platform.embedded.broker import Broker
from park_platform.embedded.broker_accounts import PROCESSES
from park_platform.embedded.postgres import Postgres

_PREFIX: Final = "parkhub-test-"
_PLENTY_BYTES: Final = 4 << 30


class Databases:
    """Databases of one cluster, made and dropped for tests."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._numbers = count(1)

    def create(self, name: str | None = None, *, template: str = "template0") -> str:
        """Make a database, as a copy of `template`, and return its address for the superuser."""
        name = name or f"test_{next(self._numbers)}"
        with psycopg.connect(self._postgres.url(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            )
        return self._postgres.url(database=name)

    def drop(self, url: str) -> None:
        """Drop the database of `url`; connections to it are ended."""
        name = urlsplit(url).path.removeprefix("/")
        with psycopg.connect(self._postgres.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def with_user(url: str, user: str, password: str) -> str:
    """`url` for another user."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}"))


def make_service_folder() -> Path:
    """A new folder that PostgreSQL's user can enter when the tests run as root; pytest's own are closed.

    In memory where there is plenty: the servers do every fsync, and a disk that others use makes the tests slow.
    """
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the name
    place = (
        memory if memory.is_dir() and shutil.disk_usage(memory).free > _PLENTY_BYTES else Path(tempfile.gettempdir())
    )
    for left in place.glob(f"{_PREFIX}*"):
        # A test run that was killed could not remove it.
        if not Path("/proc", left.name.removeprefix(_PREFIX).partition("-")[0]).exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=place))
    if os.geteuid() == 0:
        folder.chmod(0o711)
    return folder


@pytest.fixture
def service_folder() -> Generator[Path]:
    """A folder for the services that one test starts itself."""
    folder = make_service_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Generator[Postgres]:
    """The session's PostgreSQL."""
    folder = make_service_folder()
    server = Postgres(folder / "postgres")
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def databases(postgres: Postgres) -> Databases:
    """Makes databases in the session's PostgreSQL."""
    return Databases(postgres)


@pytest.fixture
def database(databases: Databases) -> Generator[str]:
    """The superuser's address of an empty database for one test."""
    url = databases.create()
    yield url
    databases.drop(url)


@pytest.fixture(scope="module")
def module_database(databases: Databases) -> Generator[str]:
    """The superuser's address of an empty database for one test module."""
    url = databases.create()
    yield url
    databases.drop(url)


@pytest.fixture(scope="session")
def broker() -> Generator[Broker]:
    """The session's broker, with the accounts of all processes."""
    folder = make_service_folder()
    server = Broker(folder / "broker")
    server.accounts.add(*PROCESSES)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
