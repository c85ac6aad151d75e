"""A migrated park database for tests: the schema is made once per session, each test module gets its own copy.

    def test_commit(park_database: ParkDatabase) -> None:
        with connect(park_database.url("ingest"), "test") as connection: ...

- `park_database`: a fresh migrated database (engine plain) per test module; `fresh_park_database`: one per test.
- `url(role)`: signs in as that process does ("ingest", "operate", "api", ...); `url()` as the superuser, to arrange and
  to look, never to run the code under test.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import pytest

from park_platform.embedded.postgres import Postgres
from park_platform.storage.connect import ROLES, Connection, connect, role_name
from park_platform.storage.migrate import database_url, migrate, prepare
from support.services import Databases

_TEMPLATE = "park_template"
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class ParkDatabase:
    """The addresses of one migrated database."""

    admin_url: str
    passwords: Mapping[str, str]

    def url(self, role: str | None = None) -> str:
        """The address for a role without its prefix; None: for the superuser."""
        if role is None:
            return self.admin_url
        return database_url(self.admin_url, role=role, password=self.passwords[role])

    @contextmanager
    def connection(self, role: str | None = None) -> Generator[Connection]:
        """An autocommit connection of that role, closed at the end of the block."""
        with connect(self.url(role), f"test {role or 'admin'}") as connection:
            yield connection


def role_passwords(postgres: Postgres) -> dict[str, str]:
    """The passwords of the park's roles in the session's cluster."""
    return {role: postgres.password(role_name(role)) for role in ROLES}


def copy_park(postgres: Postgres, databases: Databases, template: str) -> ParkDatabase:
    """A copy of a migrated database, closed as `prepare` closes one: a template does not hand down its rights."""
    name = f"park_{next(_numbers)}"
    url = databases.create(name, template=template)
    prepare(postgres.url(), name)
    return ParkDatabase(url, role_passwords(postgres))


@pytest.fixture(scope="session")
def park_template(postgres: Postgres) -> str:
    """The name of a migrated database that nobody may write to."""
    prepare(postgres.url(), _TEMPLATE, role_passwords(postgres))
    migrate(postgres.url(database=_TEMPLATE), "plain")
    return _TEMPLATE


@pytest.fixture(scope="module")
def park_database(postgres: Postgres, databases: Databases, park_template: str) -> Generator[ParkDatabase]:
    """A migrated database for one test module."""
    park = copy_park(postgres, databases, park_template)
    yield park
    databases.drop(park.admin_url)


@pytest.fixture
def fresh_park_database(postgres: Postgres, databases: Databases, park_template: str) -> Generator[ParkDatabase]:
    """A migrated database for one test."""
    park = copy_park(postgres, databases, park_template)
    yield park
    databases.drop(park.admin_url)
