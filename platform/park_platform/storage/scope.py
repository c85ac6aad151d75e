"""What somebody may see: the whole park, or what belongs to some enterprises.

Queries filter by the scope that they are given; row security reads the same scope from two settings of the transaction,
so that a forgotten filter shows nothing instead of everything.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from park_platform.storage.connect import Connection, Pool, database_errors


@dataclass(frozen=True, slots=True)
class Scope:
    """The points, alarms and events that somebody may see.

    park: everything, also what belongs to no enterprise. enterprises: ids whose possessions are visible otherwise.
    """

    park: bool
    enterprises: frozenset[int] = frozenset()

    @staticmethod
    def of(enterprises: Iterable[int]) -> "Scope":
        """The scope of somebody who sees these enterprises only."""
        return Scope(park=False, enterprises=frozenset(enterprises))

    def sees(self, enterprise: int | None) -> bool:
        """Whether something that belongs to `enterprise` (None: to the park itself) is visible."""
        return self.park or (enterprise is not None and enterprise in self.enterprises)

    def parameters(self) -> dict[str, Any]:
        """`%(park)s` and `%(tenants)s` of a query's filter."""
        return {"park": self.park, "tenants": sorted(self.enterprises)}


WHOLE_PARK: Final = Scope(park=True)
NOTHING: Final = Scope(park=False)
_WAIT_S: Final = 2.0
"""How long a request waits for a connection of the pool."""


@contextmanager
def scoped(connection: Connection, scope: Scope, *, read_only: bool = True) -> Generator[Connection]:
    """A transaction in which row security shows what `scope` sees. Raises the errors of connect.database_errors."""
    with database_errors(), connection.transaction():
        connection.execute(
            """
            SELECT set_config('app.park', %s, true), set_config('app.tenants', %s, true),
                   set_config('transaction_read_only', %s, true)
            """,
            (
                "on" if scope.park else "",
                "{" + ",".join(map(str, sorted(scope.enterprises))) + "}",
                "on" if read_only else "off",
            ),
        )
        yield connection


@contextmanager
def borrowed(pool: Pool) -> Generator[Connection]:
    """A connection of the pool, in autocommit mode. Raises StoreUnavailable when none can be had."""
    with database_errors(), pool.connection(timeout=_WAIT_S) as connection:
        yield connection
