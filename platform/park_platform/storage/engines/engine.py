"""What the rest of storage asks of an engine. The tables themselves are made by the first migration."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, Protocol, TypeAlias

from park_platform.storage.connect import Connection

DAY_US: Final = 86_400_000_000

SeriesTable: TypeAlias = Literal["reading", "rollup_1m"]


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition or chunk: its table, its times in µs as [start, end), its size with indexes."""

    name: str
    start: int
    end: int
    size_bytes: int
    rows: int
    """About how many rows, as the server's statistics say."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What `drop_before` did: the partitions that are gone, and those left because somebody still reads the first."""

    gone: tuple[str, ...]
    busy: tuple[str, ...]


class Engine(Protocol):
    """Readings and rollups in time order. Connections are in autocommit mode.

    `make_partitions` and `drop_before` run outside a transaction as park_owner (roles.as_owner); they never make a COPY
    wait, and give up a lock after a second rather than let others queue behind them.
    """

    name: ClassVar[str]

    def make_partitions(self, connection: Connection, table: SeriesTable, start: int, end: int) -> int:
        """Make what is missing for rows of [start, end), µs; returns how many were made."""
        ...

    def partitions_for(self, connection: Connection, table: SeriesTable, times: Iterable[int]) -> None:
        """Make what rows of these times (µs) need, in the caller's transaction and with its role's own rights."""
        ...

    def drop_before(self, connection: Connection, table: SeriesTable, before: int) -> Dropped:
        """Drop the partitions that end at or before `before`, µs, the oldest first; ends at one that is being read."""
        ...

    def partitions(self, connection: Connection, table: SeriesTable) -> list[Partition]:
        """Every partition, the oldest first."""
        ...
