"""Making the database: roles, the database itself, the schema and the first partitions.

Both steps need an administrator's login (a superuser: `backup` gets BYPASSRLS), may be repeated, and wait for another
process that does the same. Everything in the schema belongs to park_owner.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import quote, urlencode

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from park_platform.storage.connect import ROLES, Connection, connect, database_errors, role_name
from park_platform.storage.partitions import make_first_partitions
from park_platform.storage.roles import as_owner, make_roles
from park_wire.errors import StoreError

EngineChoice: TypeAlias = Literal["auto", "plain", "timescale"]

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
# One number for everybody who prepares or migrates: "park" in ASCII.
_LOCK: Final = 0x7061726B


def database_url(url: str, *, database: str | None = None, role: str | None = None, password: str | None = None) -> str:
    """`url` with another database, or another role ("ingest") and its password, as `postgresql://…`."""
    parts: dict[str, str] = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    if database is not None:
        parts["dbname"] = database
    if role is not None:
        parts["user"] = role_name(role)
    if password is not None:
        parts["password"] = password
    user, secret = quote(parts.pop("user", ""), safe=""), quote(parts.pop("password", ""), safe="")
    host, port = quote(parts.pop("host", ""), safe="/:[]"), parts.pop("port", "5432")
    name = quote(parts.pop("dbname", ""), safe="")
    options = f"?{urlencode(parts)}" if parts else ""
    return f"postgresql://{user}:{secret}@{host}:{port}/{name}{options}"


def make_park(admin_url: str, passwords: Mapping[str, str], engine: EngineChoice = "auto") -> str:
    """Both steps for the database that `admin_url` names ("park" when it names none); returns its name.

    The database need not exist; it is made from the server's database "postgres". Raises as `prepare` and `migrate`.
    """
    with database_errors():
        name = str(conninfo_to_dict(admin_url).get("dbname") or "park")
    prepare(database_url(admin_url, database="postgres"), name, passwords)
    migrate(database_url(admin_url, database=name), engine)
    return name


def prepare(admin_url: str, database: str = "park", passwords: Mapping[str, str] | None = None) -> None:
    """Make roles and an empty database, and close both to everybody else.

    `admin_url` reaches any database of the server as a superuser. `passwords` go by role ("ingest").
    """
    with connect(admin_url, "park db prepare") as connection, database_errors(), _alone(connection):
        make_roles(connection, passwords or {})
        name = sql.Identifier(database)
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER park_owner TEMPLATE template0 ENCODING 'UTF8'").format(name)
            )
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
        roles = sql.SQL(", ").join(sql.Identifier(role_name(role)) for role in ROLES)
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, roles))
    with connect(database_url(admin_url, database=database), "park db prepare") as connection, database_errors():
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        connection.execute("GRANT USAGE, CREATE ON SCHEMA public TO park_owner")
        # A role's own search path would decide what an unqualified name means.
        connection.execute(sql.SQL("ALTER DATABASE {} SET search_path = public").format(name))


def migrate(admin_url: str, engine: EngineChoice = "auto") -> None:
    """Bring the schema of a prepared database to this release's revision and make the first partitions.

    `admin_url` reaches the park's own database as a superuser. `auto` takes TimescaleDB where the server has loaded it.
    Raises StoreError when the database already lives on the other engine.
    """
    with connect(admin_url, "park db migrate") as connection, database_errors(), _alone(connection):
        chosen = _choose(connection, engine)
        if chosen == "timescale":
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        _upgrade(admin_url, chosen)
        with as_owner(connection):
            make_first_partitions(connection)


@contextmanager
def _alone(connection: Connection) -> Generator[None]:
    """Hold the lock of migrations; it also goes when the connection does."""
    connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        yield
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _choose(connection: Connection, asked: EngineChoice) -> Literal["plain", "timescale"]:
    lives_on: Literal["plain", "timescale"] | None = None
    exists = connection.execute("SELECT to_regclass('public.installation') IS NOT NULL").fetchone()
    if exists and exists[0]:
        row = connection.execute("SELECT engine FROM public.installation").fetchone()
        lives_on = row[0] if row else None
    if lives_on is not None:
        if asked not in {"auto", lives_on}:
            raise StoreError(
                f'database "{connection.info.dbname}" lives on the engine {lives_on}, asked for was {asked}: '
                f"leave --engine out, or restore a dump into a database that was made with {asked}"
            )
        return lives_on
    loaded = connection.execute("SELECT current_setting('shared_preload_libraries') ~ '\\mtimescaledb\\M'").fetchone()
    has_it = bool(loaded and loaded[0])
    if asked == "timescale" and not has_it:
        raise StoreError(
            f"the PostgreSQL server at {connection.info.host}:{connection.info.port} has not loaded TimescaleDB: "
            "install it and set shared_preload_libraries = 'timescaledb', or take --engine plain"
        )
    if asked == "auto":
        return "timescale" if has_it else "plain"
    return asked


def _upgrade(admin_url: str, engine: str) -> None:
    """Run alembic's upgrade as park_owner on a connection of its own."""

    def as_park_owner() -> psycopg.Connection:
        # Not autocommit: SQLAlchemy drives the transactions of this one.
        connection = psycopg.connect(admin_url, application_name="park db migrate", options="-c timezone=UTC")
        connection.execute("SET ROLE park_owner")
        connection.commit()
        return connection

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["park_engine"] = engine
    database = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=as_park_owner, poolclass=sqlalchemy.pool.NullPool
    )
    with database.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
