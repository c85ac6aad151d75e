"""The tables of the outbox and the SQL that reads and writes them; what the rows mean stands in outbox.py.

A row's place in its lane (`position`) is given once and never changes. Its seq is `position - first + 1`, where `first`
belongs to the lane: so a new epoch renumbers a lane of any length by moving one number.
"""

import sqlite3
from dataclasses import dataclass, replace
from typing import Any, Final

from park_gateway.outbox_file import OutboxFile
from park_wire.batch import GENESIS, Lane, Loss, Sealed

LIVE_AGE_US: Final = 60_000_000
"""While the oldest unacknowledged live batch is at least this old, what is sealed goes to the backfill lane."""

SCHEMA: Final = """
CREATE TABLE epoch (
  id INTEGER PRIMARY KEY, epoch BLOB NOT NULL UNIQUE, made_at INTEGER NOT NULL,
  live_next INTEGER, backfill_next INTEGER
);
CREATE TABLE lane (
  lane TEXT PRIMARY KEY, first INTEGER NOT NULL, oldest INTEGER NOT NULL, next INTEGER NOT NULL,
  before BLOB NOT NULL, until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE batch (
  lane TEXT NOT NULL, position INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, sha256 BLOB NOT NULL,
  n INTEGER NOT NULL, from_ts INTEGER NOT NULL, to_ts INTEGER NOT NULL, reason TEXT, sealed_at INTEGER NOT NULL,
  config_version BLOB, until INTEGER, z INTEGER, content INTEGER,
  PRIMARY KEY (lane, position)
) WITHOUT ROWID;
CREATE TABLE content (id INTEGER PRIMARY KEY, columns BLOB NOT NULL, events BLOB NOT NULL);
CREATE TABLE birth (config_version BLOB PRIMARY KEY, payload BLOB NOT NULL);
INSERT INTO lane VALUES ('live', 1, 1, 1, zeroblob(32), 0);
INSERT INTO lane VALUES ('backfill', 1, 1, 1, zeroblob(32), 0)
"""


@dataclass(frozen=True, slots=True)
class EpochRow:
    """An epoch of this outbox; the next seqs are set when it has ended."""

    id: int
    epoch: bytes
    made_at: int
    live_next: int | None
    backfill_next: int | None


@dataclass(frozen=True, slots=True)
class LaneState:
    """A lane as it stands on disk. `first` is the position that has seq 1 in the current epoch.

    before: sha256 of the batch before `oldest`, zero when `oldest` has seq 1. until: what the last live batch
    promised, µs UTC. oldest_at: when the oldest was sealed. readings: how many wait.
    sealed, delivered: how many were sealed and acknowledged since this process started.
    """

    first: int
    oldest: int
    next: int
    before: bytes
    until: int
    oldest_at: int | None = None
    readings: int = 0
    sealed: int = 0
    delivered: int = 0

    @property
    def batches(self) -> int:
        """How many wait."""
        return self.next - self.oldest

    @property
    def next_seq(self) -> int:
        """The seq of the next batch."""
        return self.next - self.first + 1

    @property
    def oldest_seq(self) -> int:
        """The seq of the oldest unacknowledged batch; `next_seq` when there is none."""
        return self.oldest - self.first + 1

    def age_us(self, now: int) -> int:
        """How long the oldest has waited, 0 when there is none; a negative age counts as LIVE_AGE_US."""
        if self.oldest_at is None:
            return 0
        age = now - self.oldest_at
        return age if age >= 0 else LIVE_AGE_US

    def after(self, row: "NewRow") -> "LaneState":
        """The lane with one more row at its end."""
        n = row.loss.n if row.sealed else 0
        return replace(
            self,
            next=self.next + 1,
            until=max(self.until, row.sealed.until) if row.sealed and row.lane is Lane.LIVE else self.until,
            oldest_at=row.sealed_at if self.oldest_at is None else self.oldest_at,
            readings=self.readings + n,
            sealed=self.sealed + n,
        )

    def restarted(self) -> "LaneState":
        """The lane in a new epoch: what it holds counts from 1 again."""
        return replace(self, first=self.oldest, before=GENESIS)


@dataclass(frozen=True, slots=True)
class NewRow:
    """A sealed batch, or without `sealed` a tombstone, on its way to disk; `loss` says what it holds or held."""

    lane: Lane
    sha256: bytes
    sealed_at: int
    loss: Loss
    sealed: Sealed | None = None

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return 256 + (len(self.sealed.columns) + len(self.sealed.events) if self.sealed else 0)


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A batch or tombstone as it is kept; `epoch` and `seq` are its first identity."""

    position: int
    epoch: int
    seq: int
    sha256: bytes
    loss: Loss
    sealed: Sealed | None


def load_epochs(file: OutboxFile) -> list[EpochRow]:
    """All epochs, oldest first; the last is the current one."""
    return [
        EpochRow(*row)
        for row in file.read("SELECT id, epoch, made_at, live_next, backfill_next FROM epoch ORDER BY id")
    ]


def insert_epoch(connection: sqlite3.Connection, epoch: bytes, made_at: int) -> None:
    """Add an epoch, which is the current one from now on."""
    connection.execute("INSERT INTO epoch (epoch, made_at) VALUES (?, ?)", (epoch, made_at))


def end_epoch(connection: sqlite3.Connection, epoch_id: int, live_next: int, backfill_next: int) -> None:
    """Write the final next seqs of an epoch."""
    connection.execute(
        "UPDATE epoch SET live_next = ?, backfill_next = ? WHERE id = ?", (live_next, backfill_next, epoch_id)
    )


def load_lane(file: OutboxFile, lane: Lane) -> LaneState:
    """A lane as it is on disk."""
    row = file.read('SELECT first, oldest, "next", before, until FROM lane WHERE lane = ?', (lane,))[0]
    readings = int(file.read("SELECT coalesce(sum(n), 0) FROM batch WHERE lane = ? AND reason IS NULL", (lane,))[0][0])
    state = LaneState(*row)
    return replace(state, readings=readings, oldest_at=sealed_at(file, lane, state.oldest))


def store_lane(connection: sqlite3.Connection, lane: Lane, state: LaneState) -> None:
    """Write where a lane stands."""
    connection.execute(
        'UPDATE lane SET first = ?, oldest = ?, "next" = ?, before = ?, until = ? WHERE lane = ?',
        (state.first, state.oldest, state.next, state.before, state.until, lane),
    )


def insert_row(connection: sqlite3.Connection, row: NewRow, epoch_id: int, state: LaneState) -> None:
    """Add a row at the end of a lane that stands at `state`."""
    content = None
    sealed = row.sealed
    if sealed is not None:
        added = connection.execute(
            "INSERT INTO content (columns, events) VALUES (?, ?)", (sealed.columns, sealed.events)
        )
        content = added.lastrowid
    connection.execute(
        "INSERT INTO batch (lane, position, epoch, seq, sha256, n, from_ts, to_ts, reason, sealed_at, config_version,"
        " until, z, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row.lane,
            state.next,
            epoch_id,
            state.next_seq,
            row.sha256,
            row.loss.n,
            row.loss.from_ts,
            row.loss.to_ts,
            None if sealed else row.loss.reason,
            row.sealed_at,
            sealed.config_version if sealed else None,
            sealed.until if sealed else None,
            int(sealed.z) if sealed else None,
            content,
        ),
    )


def read_rows(file: OutboxFile, lane: Lane, position: int, limit: int) -> list[StoredRow]:
    """Up to `limit` rows of a lane from a position on."""
    rows = file.read(
        "SELECT position, epoch, seq, sha256, n, from_ts, to_ts, reason, config_version, until, sealed_at, z, columns,"
        " events FROM batch LEFT JOIN content ON content.id = batch.content"
        " WHERE lane = ? AND position >= ? ORDER BY position LIMIT ?",
        (lane, position, limit),
    )
    return [_stored(*row) for row in rows]


def _stored(  # noqa: PLR0913, PLR0917
    position: int,
    epoch: int,
    seq: int,
    sha256: bytes,
    n: int,
    from_ts: int,
    to_ts: int,
    reason: str | None,
    config_version: bytes,
    until: int,
    sealed_at: int,
    z: int,
    columns: bytes,
    events: bytes,
) -> StoredRow:
    sealed = None if reason else Sealed(config_version, until, sealed_at, bool(z), sha256, columns, events)
    return StoredRow(position, epoch, seq, sha256, Loss(n, from_ts, to_ts, reason or ""), sealed)


def sha256_at(file: OutboxFile, lane: Lane, position: int) -> bytes:
    """The sha256 of a row that is there."""
    return bytes(file.read("SELECT sha256 FROM batch WHERE lane = ? AND position = ?", (lane, position))[0][0])


def sealed_at(file: OutboxFile, lane: Lane, position: int) -> int | None:
    """When the row at a position was sealed, µs UTC; None when there is no row."""
    rows = file.read("SELECT sealed_at FROM batch WHERE lane = ? AND position = ?", (lane, position))
    return int(rows[0][0]) if rows else None


def count_readings(file: OutboxFile, lane: Lane, first: int, last: int) -> int:
    """How many readings and events the rows from `first` to `last` hold."""
    span = "SELECT coalesce(sum(n), 0) FROM batch WHERE lane = ? AND position BETWEEN ? AND ? AND reason IS NULL"
    return int(file.read(span, (lane, first, last))[0][0])


def delete_rows(connection: sqlite3.Connection, lane: Lane, first: int, last: int) -> None:
    """Delete the rows from `first` to `last`."""
    span: tuple[Any, ...] = (lane, first, last)
    connection.execute(
        "DELETE FROM content WHERE id IN (SELECT content FROM batch WHERE lane = ? AND position BETWEEN ? AND ?)", span
    )
    connection.execute("DELETE FROM batch WHERE lane = ? AND position BETWEEN ? AND ?", span)


def replace_births(connection: sqlite3.Connection, config_version: bytes, payload: bytes) -> None:
    """Keep this birth and those that a batch still names."""
    connection.execute(
        "DELETE FROM birth WHERE config_version NOT IN"
        " (SELECT config_version FROM batch WHERE config_version IS NOT NULL)"
    )
    connection.execute("INSERT OR REPLACE INTO birth VALUES (?, ?)", (config_version, payload))


def birth_versions(file: OutboxFile) -> tuple[bytes, ...]:
    """The config_version of every birth that is kept."""
    return tuple(bytes(version) for (version,) in file.read("SELECT config_version FROM birth"))


def load_birth(file: OutboxFile, config_version: bytes) -> bytes | None:
    """The payload of a birth; None when it is not kept."""
    rows = file.read("SELECT payload FROM birth WHERE config_version = ?", (config_version,))
    return bytes(rows[0][0]) if rows else None
