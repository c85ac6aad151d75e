"""Row 7, first half: readings into the database, each (point, time) once (chain 4.4)."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg import errors

from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.copy_binary import Column, copy_in, encode_readings
from park_platform.storage.engines.engine import DAY_US
from park_platform.storage.engines.store import Store, open_store
from park_sdk.frame import Bools, Frame, Int64s, Rows
from park_wire.errors import StoreError
from park_wire.quality import LATE

_TRIES: Final = 3


class Fate(IntEnum):
    """What became of a reading.

    DUPLICATE: the same point, time, value and quality is there already. CONFLICT: the same point and time is there with
    another value or quality; the first stays, this one is in reading_conflict. QUARANTINED: its time is impossible.
    """

    STORED = 0
    DUPLICATE = 1
    CONFLICT = 2
    QUARANTINED = 3


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of each row of a frame: fate u8[n], a Fate."""

    fate: NDArray[np.uint8]

    def count(self, fate: Fate) -> int:
        """How many rows had this fate."""
        return int(np.count_nonzero(self.fate == fate))

    @property
    def stored(self) -> Bools:
        """bool[n]: which rows are new in `reading`."""
        return self.fate == Fate.STORED


def copy_readings(connection: Connection, frame: Frame, *, now: int) -> Copied:
    """Store a frame inside the caller's transaction; `now` in µs decides which times are possible.

    The frame may be in any order and hold a (point, time) more than once: the first one counts. NaN equals NaN, and the
    late bit, which the centre adds, is no difference. Raises StoreError and its kinds.
    """
    fate = np.zeros(len(frame), np.uint8)
    if not len(frame):
        return Copied(fate)
    with database_errors():
        store = open_store(connection)
        _quarantine(connection, store, frame, fate, now)
        rows = _ordered(frame, np.flatnonzero(fate == Fate.STORED))
        rows, again, first = _split_repeats(frame, rows)
        # What the database keeps for a row's point and time, once that is known.
        kept = Frame(frame.point, frame.time, frame.value.copy(), frame.quality.copy()) if len(again) else frame
        for _ in range(_TRIES):
            if not len(rows) or _copy(connection, store, frame.take(rows)):
                _judge(connection, frame, fate, again, kept.take(first))
                return Copied(fate)
            taken, there = _find_known(connection, frame, rows)
            _judge(connection, frame, fate, rows[taken], there)
            if len(again):
                kept.value[rows[taken]], kept.quality[rows[taken]] = there.value, there.quality
            rows = np.delete(rows, taken)
    raise StoreError(
        f"reading: {len(rows)} rows were refused as known {_TRIES} times, which only somebody else's commits for the "
        "same points can do; see that no two parks write to this database"
    )


def _quarantine(connection: Connection, store: Store, frame: Frame, fate: NDArray[np.uint8], now: int) -> None:
    early = frame.time < store.oldest_kept(now)
    ahead = frame.time > store.newest_kept(now)
    for wrong, reason in (
        (early, f"older than the {store.raw_days} days that are kept"),
        (ahead, "more than 5 min in the future"),
    ):
        rows = np.flatnonzero(wrong)
        if len(rows):
            fate[rows] = Fate.QUARANTINED
            connection.execute(
                """
                INSERT INTO quarantine (point_id, time_us, value, quality, reason)
                SELECT p, t, v, q, %s
                FROM unnest(%s::int[], %s::bigint[], %s::float8[], %s::smallint[]) AS x(p, t, v, q)
                """,
                (reason, *(column.tolist() for column in _columns(frame, rows))),
            )


def _columns(frame: Frame, rows: Rows) -> tuple[Column, Column, Column, Column]:
    return frame.point[rows], frame.time[rows], frame.value[rows], frame.quality[rows]


def _ordered(frame: Frame, rows: Rows) -> Rows:
    """The rows by point and time, equal ones as they came: the order in which the index grows fastest."""
    point, time = frame.point[rows], frame.time[rows]
    later = (point[1:] > point[:-1]) | ((point[1:] == point[:-1]) & (time[1:] >= time[:-1]))
    return rows if later.all() else rows[np.lexsort((time, point))]


def _split_repeats(frame: Frame, rows: Rows) -> tuple[Rows, Rows, Rows]:
    """Of ordered rows: the first of each (point, time); the others; and for each of the others its first."""
    point, time = frame.point[rows], frame.time[rows]
    new = np.append(True, (point[1:] != point[:-1]) | (time[1:] != time[:-1]))
    if new.all():
        return rows, rows[:0], rows[:0]
    firsts = rows[new]
    return firsts, rows[~new], firsts[np.cumsum(new) - 1][~new]


def _judge(connection: Connection, frame: Frame, fate: NDArray[np.uint8], rows: Rows, kept: Frame) -> None:
    """Say of rows whose (point, time) is taken by `kept` whether they are duplicates, and write down the conflicts."""
    if not len(rows):
        return
    value = frame.value[rows]
    same = (value == kept.value) | (np.isnan(value) & np.isnan(kept.value))
    same &= ((frame.quality[rows] ^ kept.quality) & ~LATE) == 0
    fate[rows] = np.where(same, Fate.DUPLICATE, Fate.CONFLICT)
    other = rows[~same]
    if len(other):
        connection.execute(
            """
            INSERT INTO reading_conflict (point_id, ts, value, quality, kept)
            SELECT p, at_us(t), v, q, k
            FROM unnest(%s::int[], %s::bigint[], %s::float8[], %s::smallint[], %s::float8[]) AS x(p, t, v, q, k)
            """,
            (*(column.tolist() for column in _columns(frame, other)), kept.value[~same].tolist()),
        )


def _copy(connection: Connection, store: Store, frame: Frame) -> bool:
    """COPY in a savepoint, with the partition that it may lack. False when a (point, time) is known."""
    for last in (False, True):
        try:
            with connection.transaction():
                copy_in(connection, "reading (ts, value, point_id, quality)", encode_readings(frame))
        except errors.UniqueViolation:
            return False
        except errors.CheckViolation:
            # No partition of that day: a gateway that was away for days, or `park operate` was.
            if last:
                raise
            store.engine.partitions_for(connection, "reading", _days(frame.time))
        else:
            return True
    return False


def _days(time: Int64s) -> list[int]:
    return (np.unique(time // DAY_US) * DAY_US).tolist()


def _find_known(connection: Connection, frame: Frame, rows: Rows) -> tuple[Rows, Frame]:
    """Which of `rows`, by their place in it, have a point and time that the database holds, and what it holds."""
    time = frame.time[rows]
    # Arrays and a nested loop over the primary key, and no temporary table: its catalogue rows would be left behind by
    # every repeated push, and the planner, which knows nothing of its size, might scan whole days.
    known = connection.execute(
        """
        SELECT asked.n::int - 1, kept.value, kept.quality
        FROM unnest(%(points)s::int[], %(times)s::bigint[]) WITH ORDINALITY AS asked(point_id, us, n)
        CROSS JOIN LATERAL (
          SELECT r.value, r.quality FROM reading r
          WHERE r.point_id = asked.point_id AND r.ts = at_us(asked.us)
            AND r.ts BETWEEN at_us(%(first)s) AND at_us(%(last)s) OFFSET 0
        ) AS kept ORDER BY asked.n
        """,
        {
            "points": frame.point[rows].tolist(),
            "times": time.tolist(),
            "first": int(time.min()),
            "last": int(time.max()),
        },
    ).fetchall()
    taken = np.array([n for n, _, _ in known], np.intp)
    value = np.array([value for _, value, _ in known], np.float64)
    quality = np.array([quality for _, _, quality in known], np.int16)
    return taken, Frame(frame.point[rows[taken]], time[taken], value, quality)
