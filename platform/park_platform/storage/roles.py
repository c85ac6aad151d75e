"""The database roles: making them, and refusing to run with the wrong one.

One login role a process (storage/connect.py, ROLES). None is superuser; `backup` alone bypasses row security and
replicates. `operate` is a member of the owner without inheriting from it: it acts as owner only inside `as_owner`.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final, LiteralString

from psycopg import sql

from park_platform.storage.connect import ROLES, Connection, database_errors, role_name
from park_wire.errors import ConfigError, Fault, StoreError

REVISION: Final = "v0004"
"""The schema revision that this release works with: the newest under migrations/versions (a test compares)."""

_PLAIN: Final = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
_ATTRIBUTES: Final[dict[str, LiteralString]] = {
    "owner": _PLAIN,
    "ingest": _PLAIN,
    # SET ROLE park_owner is the only way to the owner's rights.
    "operate": f"{_PLAIN} NOINHERIT",
    "api": _PLAIN,
    "report": _PLAIN,
    "audit": _PLAIN,
    "backup": "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE REPLICATION BYPASSRLS",
}


def make_roles(connection: Connection, passwords: Mapping[str, str]) -> None:
    """Make what is missing of the roles and set attributes and the passwords that are given, by role ("ingest").

    A role without a password keeps the one it has. Passwords leave this process only as SCRAM verifiers.
    """
    unknown = sorted(set(passwords) - set(ROLES))
    if unknown:
        raise ValueError(f"passwords name roles that do not exist: {', '.join(unknown)}; the roles are {ROLES}")
    for role in ROLES:
        name = sql.Identifier(role_name(role))
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role_name(role)]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {}").format(name))
        connection.execute(sql.SQL("ALTER ROLE {} {}").format(name, sql.SQL(_ATTRIBUTES[role])))
        if role in passwords:
            verifier = connection.pgconn.encrypt_password(
                passwords[role].encode(), role_name(role).encode(), b"scram-sha-256"
            )
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(verifier.decode("ascii"))))
    connection.execute("GRANT park_owner TO park_operate")
    # A forgotten bound in a query must not hold the database for long.
    connection.execute("ALTER ROLE park_api SET statement_timeout = '15s'")
    connection.execute("ALTER ROLE park_api SET idle_in_transaction_session_timeout = '30s'")


def check_roles(connection: Connection, role: str) -> None:
    """Refuse to work as the wrong database role, as one with too many rights, or on another schema.

    `role` is one of ROLES without the prefix. Raises ConfigError (wrong role) or StoreError (wrong schema).
    """
    with database_errors():
        row = connection.execute(
            "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = session_user"
        ).fetchone()
        assert row is not None  # noqa: S101 - the session's own role exists
        found: str = row[0]
        problems = [
            text
            for wrong, text in (
                (found != role_name(role), f"the process signs in to the database as {found}"),
                (row[1], f"the database role {found} is a superuser"),
                (row[2] and role != "backup", f"the database role {found} bypasses row security"),
            )
            if wrong
        ]
        if problems:
            remedy = f"sign in as {role_name(role)}, as `park db migrate` makes it"
            raise ConfigError([Fault("environment", "PARK_DB_URL", problem, remedy) for problem in problems])
        _check_revision(connection)


def _check_revision(connection: Connection) -> None:
    row = connection.execute("SELECT to_regclass('public.alembic_version') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        raise StoreError(f'database "{connection.info.dbname}" holds no park yet: run `park db migrate`')
    row = connection.execute("SELECT version_num FROM public.alembic_version").fetchone()
    found = row[0] if row else "none"
    if found != REVISION:
        raise StoreError(
            f'database "{connection.info.dbname}" has schema {found}, this release works with {REVISION}: '
            f"{'run `park db migrate`' if str(found) < REVISION else 'install the release that the schema belongs to'}"
        )


@contextmanager
def as_owner(connection: Connection) -> Generator[None]:
    """Act as park_owner inside the block: for partition jobs of `park operate`, and for migrations."""
    connection.execute("SET ROLE park_owner")
    try:
        yield
    finally:
        connection.execute("RESET ROLE")
