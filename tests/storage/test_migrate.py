import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.conninfo import make_conninfo

import park_platform.storage.migrate as migrate_module
from park_platform import park_faults
from park_platform.embedded.postgres import Postgres
from park_platform.storage.alarm_rows import State
from park_platform.storage.connect import ROLES, connect, role_name
from park_platform.storage.engines.engine import DAY_US
from park_platform.storage.engines.store import open_store
from park_platform.storage.migrate import database_url, migrate, prepare
from park_platform.storage.people import Role
from park_platform.storage.roles import REVISION, as_owner, check_roles
from park_sdk.rules import Priority, RuleKind
from park_wire.errors import ConfigError, StoreError, StoreUnavailable
from support.database import ParkDatabase, role_passwords
from support.services import Databases


@pytest.fixture
def empty(postgres: Postgres, databases: Databases) -> Generator[str]:
    """A prepared database without a schema."""
    prepare(postgres.url(), "park_empty", role_passwords(postgres))
    url = postgres.url(database="park_empty")
    yield url
    databases.drop(url)


def test_the_revision_in_the_code_is_the_newest_script() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate_module._MIGRATIONS))  # pyright: ignore[reportPrivateUsage]
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_words_that_the_schema_spells_too(park_database: ParkDatabase) -> None:
    with park_database.connection() as connection:
        rows = connection.execute("SELECT key FROM rule WHERE kind = 'SYSTEM'").fetchall()
        assert {key for (key,) in rows} == park_faults._RESERVED  # pyright: ignore[reportPrivateUsage]
        for table, column, words in (
            ("rule", "priority", set(Priority)),
            ("person", "role", set(Role)),
            ("alarm", "state", set(get_args(State))),
            ("rule", "kind", {kind.name for kind in RuleKind} | {"SYSTEM"}),
        ):
            [(check,)] = connection.execute(
                """
                SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c
                JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum]
                WHERE c.contype = 'c' AND c.conrelid = %s::regclass AND a.attname = %s
                """,
                (table, column),
            ).fetchall()
            assert set(re.findall(r"'(\w+)'", check)) == words, f"{table}.{column}"


def test_twice_and_by_two_at_once(empty: str) -> None:
    with ThreadPoolExecutor(3) as threads:
        for future in [threads.submit(migrate, empty, "plain") for _ in range(3)]:
            future.result(timeout=60)
    migrate(empty)
    with connect(empty, "test") as connection:
        assert connection.execute("SELECT engine, raw_days FROM installation").fetchall() == [("plain", 90)]
        owners = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchall()
        assert owners == [("park_owner",)]


def test_the_first_partitions(park_database: ParkDatabase) -> None:
    with park_database.connection("operate") as connection:
        row = connection.execute("SELECT us_of(now())").fetchone()
        assert row is not None
        today = row[0] // DAY_US
        days = open_store(connection).engine.partitions(connection, "reading")
        assert [day.start // DAY_US - today for day in days] == list(range(-2, 8))
        assert all(day.end - day.start == DAY_US for day in days)
        months = open_store(connection).engine.partitions(connection, "rollup_1m")
        assert months[0].start <= (today - 2) * DAY_US
        assert months[-1].end > (today + 7) * DAY_US


def test_prepare_again_changes_a_password_and_nothing_else(postgres: Postgres, empty: str) -> None:
    passwords = role_passwords(postgres)
    prepare(postgres.url(), "park_empty", passwords | {"report": "another"})
    connect(database_url(empty, role="report", password="another"), "test").close()
    with pytest.raises(StoreUnavailable, match="password"):
        connect(database_url(empty, role="report", password=passwords["report"]), "test")
    prepare(postgres.url(), "park_empty", passwords)
    connect(database_url(empty, role="report", password=passwords["report"]), "test").close()
    with pytest.raises(ValueError, match="raport"):
        prepare(postgres.url(), "park_empty", {"raport": "x"})


def test_passwords_never_reach_the_server_in_clear(postgres: Postgres, empty: str) -> None:
    with connect(empty, "test") as connection:
        rows = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname LIKE 'park\\_%'").fetchall()
    assert len(rows) == len(ROLES)
    assert all(verifier.startswith("SCRAM-SHA-256$") for (verifier,) in rows)


def test_a_password_with_every_character(postgres: Postgres, empty: str) -> None:
    password = "a'b\\c d\"e%s中 @/:"
    prepare(postgres.url(), "park_empty", {"audit": password})
    connect(database_url(empty, role="audit", password=password), "test").close()
    prepare(postgres.url(), "park_empty", role_passwords(postgres))


def test_strangers_can_not_enter(postgres: Postgres, park_database: ParkDatabase) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
        try:
            url = make_conninfo(park_database.url(), user="stranger", password="stranger")
            with pytest.raises(StoreUnavailable, match="permission denied for database"):
                connect(url, "test")
        finally:
            connection.execute("DROP ROLE stranger")


def test_an_engine_is_for_life(park_database: ParkDatabase) -> None:
    with pytest.raises(StoreError, match="lives on the engine plain, asked for was timescale"):
        migrate(park_database.url(), "timescale")


def test_timescale_that_is_not_loaded(empty: str) -> None:
    with pytest.raises(StoreError, match="has not loaded TimescaleDB"):
        migrate(empty, "timescale")


@pytest.mark.parametrize("role", ROLES)
def test_every_process_may_start(park_database: ParkDatabase, role: str) -> None:
    with park_database.connection(role) as connection:
        check_roles(connection, role)


def test_a_process_refuses_a_superuser(park_database: ParkDatabase) -> None:
    with park_database.connection() as connection, pytest.raises(ConfigError) as caught:
        check_roles(connection, "ingest")
    assert [fault.problem for fault in caught.value.faults] == [
        "the process signs in to the database as park",
        "the database role park is a superuser",
        "the database role park bypasses row security",
    ]
    assert caught.value.faults[0].remedy.startswith("sign in as park_ingest")


def test_a_process_refuses_the_role_of_another(park_database: ParkDatabase) -> None:
    with park_database.connection("backup") as connection, pytest.raises(ConfigError) as caught:
        check_roles(connection, "api")
    assert [fault.problem for fault in caught.value.faults] == [
        "the process signs in to the database as park_backup",
        "the database role park_backup bypasses row security",
    ]


def test_a_process_refuses_another_schema(fresh_park_database: ParkDatabase, empty: str) -> None:
    with fresh_park_database.connection() as admin, fresh_park_database.connection("ingest") as connection:
        for found, remedy in (("v0000", "run `park db migrate`"), ("v9999", "install the release")):
            admin.execute("UPDATE alembic_version SET version_num = %s", (found,))
            with pytest.raises(StoreError, match=f"has schema {found}, this release works with {REVISION}: {remedy}"):
                check_roles(connection, "ingest")
    with (
        connect(database_url(empty, role="ingest", password=fresh_park_database.passwords["ingest"]), "test") as none,
        pytest.raises(StoreError, match="holds no park yet: run `park db migrate`"),
    ):
        check_roles(none, "ingest")


def test_operate_is_owner_only_inside_as_owner(park_database: ParkDatabase) -> None:
    with park_database.connection("operate") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE mine (x int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT FROM session")
        with as_owner(connection):
            connection.execute("CREATE TABLE mine (x int)")
            connection.execute("DROP TABLE mine")
        row = connection.execute("SELECT current_user").fetchone()
        assert row == (role_name("operate"),)
