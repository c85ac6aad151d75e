"""Connections: how every process reaches the database, and how database trouble reads to the rest of Parkhub."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, TypeAlias

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from park_wire.errors import StoreError, StoreFull, StoreTooSlow, StoreUnavailable

Connection: TypeAlias = psycopg.Connection[TupleRow]
Pool: TypeAlias = ConnectionPool[Connection]

ROLES: Final = ("owner", "ingest", "operate", "api", "report", "audit", "backup")


def role_name(role: str) -> str:
    """The database role of a process: `park_ingest` for `ingest`."""
    return f"park_{role}"


def connect(url: str, application: str, *, timeout_s: int = 5) -> Connection:
    """A connection in autocommit mode: transactions are written out as `with connection.transaction()`.

    `url` is what PARK_DB_URL holds. Raises StoreUnavailable when the database can't be reached.
    """
    with database_errors():
        return psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=timeout_s,
            application_name=application,
            # A half-open connection is noticed in about 10 s; times are spoken in UTC.
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            options="-c timezone=UTC",
        )


def pool(url: str, application: str, *, most: int = 8) -> Pool:
    """A pool of such connections for the API's threads; it opens them when they are first needed."""
    return ConnectionPool(
        url,
        min_size=0,
        max_size=most,
        open=True,
        timeout=5,
        # Its back-off grows up to this; a long one would outlast the outage.
        reconnect_timeout=2.0,
        check=ConnectionPool.check_connection,
        kwargs={"autocommit": True, "application_name": application, "options": "-c timezone=UTC"},
    )


@contextmanager
def database_errors() -> Generator[None]:
    """Turn the driver's errors into StoreUnavailable, StoreTooSlow, StoreFull and StoreError."""
    try:
        yield
    except (errors.DiskFull, errors.OutOfMemory) as error:
        raise StoreFull(f"the database has no room: {error}; free space on its disk") from error
    except errors.QueryCanceled as error:
        raise StoreTooSlow(f"the database stopped a question: {str(error).strip()}; ask for less at once") from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        reason = str(error).strip() or type(error).__name__
        raise StoreUnavailable(
            f"the database can't be reached: {reason}; it is tried again until it is back"
        ) from error
    except errors.UndefinedTable as error:
        problem = str(error).partition("\n")[0]
        raise StoreError(f"the database holds no park of this release: {problem}; run `park db migrate`") from error
    except psycopg.Error as error:
        raise StoreError(f"the database refused: {str(error).strip()}") from error
