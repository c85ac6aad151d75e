"""What the roles may and may not do. The grants themselves stand in v0001_rights.sql."""

import psycopg
import pytest

from support.database import ParkDatabase

_APPEND_ONLY = {"journal", "audit", "event", "reading_conflict", "quarantine"}


def _grants(park: ParkDatabase) -> set[tuple[str, str, str]]:
    """(role, table, privilege) of everything but the owner's own."""
    with park.connection() as connection:
        return set(
            connection.execute(
                """
                SELECT COALESCE(r.rolname, 'PUBLIC'), c.relname, a.privilege_type
                FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
                WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
                  AND a.grantee <> c.relowner
                """
            ).fetchall()
        )


def test_every_table_is_somebodys(park_database: ParkDatabase) -> None:
    with park_database.connection() as connection:
        tables = {
            name
            for (name,) in connection.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                "AND relkind IN ('r', 'p', 'v') AND NOT relispartition"
            )
        }
    used = {table for role, table, _ in _grants(park_database) if role != "park_backup"}
    assert tables - used == set(), "add them to a rights.sql"


def test_nothing_is_for_everybody_and_partitions_are_for_nobody(park_database: ParkDatabase) -> None:
    grants = _grants(park_database)
    assert {table for role, table, _ in grants if role == "PUBLIC"} == set()
    partitions = {(role, table) for role, table, _ in grants if table.startswith(("reading_2", "rollup_1m_"))}
    assert {role for role, _ in partitions} <= {"park_backup"}


def test_api_reads_series_only_through_the_doors(park_database: ParkDatabase) -> None:
    tables = {table for role, table, _ in _grants(park_database) if role == "park_api"}
    assert tables & {"reading", "rollup_1m", "latest_pack", "rule_state", "birth", "dirty"} == set()
    with park_database.connection("api") as connection:
        for door in ("readings_of", "rollups_of"):
            assert connection.execute(f"SELECT * FROM {door}('{{1}}', '-infinity', 'infinity')").fetchall() == []
        assert connection.execute("SELECT * FROM packs_of('{1}')").fetchall() == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM make_partition('reading', now())")


def test_a_door_can_not_be_led_to_another_table(park_database: ParkDatabase) -> None:
    with park_database.connection("ingest") as connection:
        rows = connection.execute("SELECT proname, proconfig FROM pg_proc WHERE prosecdef").fetchall()
    assert {name for name, _ in rows} >= {"readings_of", "rollups_of", "packs_of", "make_partition", "audit_chain"}
    assert [name for name, config in rows if not any(part.startswith("search_path=") for part in config or ())] == []


def test_nobody_changes_what_is_append_only(park_database: ParkDatabase) -> None:
    grants = _grants(park_database)
    found = {g for g in grants if g[1] in _APPEND_ONLY | {"reading"} and g[2] in {"UPDATE", "DELETE", "TRUNCATE"}}
    assert found == set()


def test_the_field_side_sees_no_people(park_database: ParkDatabase) -> None:
    people = {"person", "access_grant", "signin_link", "session"}
    roles = {role for role, table, _ in _grants(park_database) if table in people}
    assert roles == {"park_api", "park_backup"}


def test_audit_only_writes_the_trail(park_database: ParkDatabase) -> None:
    rights = {g[1:] for g in _grants(park_database) if g[0] == "park_audit"}
    assert rights == {("audit", "INSERT"), ("alembic_version", "SELECT"), ("installation", "SELECT")}
    with park_database.connection("audit") as connection:
        connection.execute("INSERT INTO audit (actor, action, object) VALUES ('a', 'tried', 'x')")
        for refused in ("SELECT * FROM audit", "UPDATE audit SET actor = 'b'", "DELETE FROM audit", "TRUNCATE audit"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(refused)


def test_report_reads_and_backup_reads_all(park_database: ParkDatabase) -> None:
    grants = _grants(park_database)
    assert {privilege for role, _, privilege in grants if role in {"park_report", "park_backup"}} == {"SELECT"}
    tables = {table for role, table, _ in grants if role != "park_backup"}
    assert tables - {table for role, table, _ in grants if role == "park_backup"} == set()


def test_no_role_may_make_tables(park_database: ParkDatabase) -> None:
    for role in ("ingest", "operate", "api", "report", "audit", "backup"):
        with park_database.connection(role) as connection:
            for statement in ("CREATE TABLE mine (x int)", "CREATE TEMP TABLE mine (x int)"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
