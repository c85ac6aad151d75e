"""What the late pass needs of the database: hours with late readings, what was read in them, what the journal has.

`note_late` runs in the commit that stores late readings. An hour is due once nothing late has come to its stream for
`QUIET_US`, so that a hole is judged when it has closed, or after `PATIENCE_US` if something always comes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from park_platform.storage.columns import read_columns
from park_platform.storage.connect import Connection
from park_platform.storage.journal import Chain, Entry, append
from park_sdk.frame import NEVER, Bools, Frame, Int32s, Int64s
from park_wire.quality import LATE

HOUR_US: Final = 3_600_000_000
QUIET_US: Final = 30_000_000
PATIENCE_US: Final = 3_600_000_000
NEW: Final = 0
"""In the place of an alarm: it has none yet."""


def note_late(connection: Connection, stream: int, frame: Frame) -> None:
    """Within a commit: note the hours of the late readings among those that were stored."""
    time = np.sort(frame.time[(frame.quality & LATE) != 0])
    if not len(time):
        return
    hour = time // HOUR_US
    first = np.flatnonzero(np.append(True, hour[1:] != hour[:-1]))
    last = np.append(first[1:], len(time)) - 1
    connection.execute(
        """
        INSERT INTO late_hour AS l (stream_id, hour, from_ts, to_ts)
        SELECT %s, at_us(h), at_us(f), at_us(t) FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS x(h, f, t)
        ON CONFLICT (stream_id, hour) DO UPDATE SET from_ts = LEAST(l.from_ts, EXCLUDED.from_ts),
          to_ts = GREATEST(l.to_ts, EXCLUDED.to_ts), noted_at = clock_timestamp()
        """,
        (stream, (hour[first] * HOUR_US).tolist(), time[first].tolist(), time[last].tolist()),
    )


@dataclass(frozen=True, slots=True)
class LateHour:
    """Late readings of a stream from `start` to `end`, both included, within one hour; all times µs UTC.

    until: event time of the stream. noted_at: when the last of them came, by the database's clock. is_park: it is the
    park's own stream, which has no stream derivations.
    """

    stream: int
    hour: int
    start: int
    end: int
    until: int
    noted_at: int
    is_park: bool


def next_late_hour(connection: Connection, now: int) -> LateHour | None:
    """The oldest hour that is due; `now` is the database's clock in µs UTC."""
    row = connection.execute(
        """
        SELECT l.stream_id, us_of(l.hour), us_of(l.from_ts), us_of(l.to_ts), COALESCE(us_of(s.event_until), %(never)s),
               us_of(l.noted_at), s.kind = 'park'
        FROM late_hour l JOIN stream s ON s.id = l.stream_id
        WHERE l.since <= at_us(%(patience)s)
           OR (s.event_until > l.to_ts
               AND (SELECT max(x.noted_at) FROM late_hour x WHERE x.stream_id = l.stream_id) <= at_us(%(quiet)s))
        ORDER BY l.hour, l.stream_id LIMIT 1
        """,
        {"never": NEVER, "quiet": now - QUIET_US, "patience": now - PATIENCE_US},
    ).fetchone()
    return None if row is None else LateHour(*row)


def forget_late_hour(connection: Connection, hour: LateHour) -> None:
    """It was judged; if more has come to it meanwhile it stays, and has its patience before it."""
    forgotten = connection.execute(
        "DELETE FROM late_hour WHERE stream_id = %s AND hour = at_us(%s) AND noted_at = at_us(%s)",
        (hour.stream, hour.hour, hour.noted_at),
    )
    if not forgotten.rowcount:
        connection.execute(
            "UPDATE late_hour SET since = clock_timestamp() WHERE stream_id = %s AND hour = at_us(%s)",
            (hour.stream, hour.hour),
        )


def readings_between(connection: Connection, points: Int32s, start: int, end: int) -> Frame:
    """Every reading of these points in [start, end) (µs), late or not, sorted by (point, time)."""
    columns = read_columns(
        connection,
        """
        SELECT point_id, ts, value, quality FROM reading
        WHERE point_id = ANY(%(points)s) AND ts >= at_us(%(start)s) AND ts < at_us(%(end)s)
        """,
        {"points": points.tolist(), "start": start, "end": end},
        {"point_id": "i4", "ts": "time", "value": "f8", "quality": "i2"},
    )
    order = np.lexsort((columns["ts"], columns["point_id"]))
    return Frame(columns["point_id"][order], columns["ts"][order], columns["value"][order], columns["quality"][order])


@dataclass(frozen=True, slots=True)
class Standing:
    """Where rules stood by the journal: active bool[r], since i64[r] (µs, or NEVER), alarm i64[r] (0: none)."""

    active: Bools
    since: Int64s
    alarm: Int64s


def standing(connection: Connection, rules: Int32s, points: Int32s, before: int) -> Standing:
    """Where these rules (each on its point) stood just before `before`, late lines included."""
    found = Standing(np.zeros(len(rules), np.bool_), np.full(len(rules), NEVER), np.zeros(len(rules), np.int64))
    for number, at, alarm in connection.execute(
        """
        SELECT n::int - 1, us_of(l.at), l.alarm_id
        FROM unnest(%s::int[], %s::int[]) WITH ORDINALITY AS w(rule_id, point_id, n)
        CROSS JOIN LATERAL (
          SELECT j.kind, j.at, j.alarm_id FROM journal j
          WHERE j.rule_id = w.rule_id AND j.point_id = w.point_id AND j.subject = ''
            AND j.kind IN ('raised', 'cleared') AND j.at < at_us(%s)
          ORDER BY j.at DESC, j.kind LIMIT 1
        ) AS l WHERE l.kind = 'raised'
        """,
        (rules.tolist(), points.tolist(), before),
    ):
        found.active[number], found.since[number], found.alarm[number] = True, at, alarm
    return found


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the journal that says when a condition began or ended."""

    rule: int
    point: int
    kind: Literal["raised", "cleared"]
    at: int
    alarm: int


def lines_between(connection: Connection, points: Int32s, start: int, end: int) -> list[Line]:
    """The lines of these points in [start, end] (µs), late ones included, in order of time."""
    rows = connection.execute(
        """
        SELECT rule_id, point_id, kind, us_of(at), alarm_id FROM journal
        WHERE rule_id IN (SELECT rule_id FROM rule_point WHERE point_id = ANY(%(points)s))
          AND point_id = ANY(%(points)s) AND kind IN ('raised', 'cleared')
          AND at >= at_us(%(start)s) AND at <= at_us(%(end)s) ORDER BY at, seq
        """,
        {"points": points.tolist(), "start": start, "end": end},
    )
    return [Line(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Missed:
    """A transition that only late readings tell of.

    alarm: what it belongs to; NEW: to the late one that is raised in the same list. is_known: the journal has it
    already, as the end of an occurrence that was told of in time; here it ends a late alarm.
    """

    at: int
    kind: Literal["raised", "cleared"]
    rule: int
    point: int
    priority: str
    value: float | None
    limit: float | None
    alarm: int = NEW
    is_known: bool = False


def save_missed(connection: Connection, stream: int, missed: Sequence[Missed], recorded_at: int) -> None:
    """Write late transitions to the stream's journal, each episode as an alarm that is closed already.

    Runs in a transaction; takes the stream's row. They move no state: what is open and who was asked to act stays.
    """
    row = connection.execute(
        "SELECT journal_seq, journal_head FROM stream WHERE id = %s FOR NO KEY UPDATE", (stream,)
    ).fetchone()
    if row is None or not missed:
        return
    alarms: dict[tuple[int, int], int] = {}
    entries: list[Entry] = []
    for each in missed:
        key = each.rule, each.point
        if each.kind == "raised":
            alarms[key] = alarm = _new_alarm(connection, stream, each, recorded_at)
        else:
            alarm = alarms[key] if each.alarm == NEW else each.alarm
            # One that was raised in time keeps its own end.
            connection.execute("UPDATE alarm SET cleared_at = at_us(%s) WHERE id = %s AND late", (each.at, alarm))
        if not each.is_known:
            entries.append(
                Entry(each.at, each.kind, each.rule, alarm, each.point, value=each.value, limit=each.limit, late=True)
            )
    end = append(connection, stream, Chain(*row), entries, recorded_at)
    connection.execute(
        "UPDATE stream SET journal_seq = %s, journal_head = %s WHERE id = %s", (end.seq, end.head, stream)
    )


def _new_alarm(connection: Connection, stream: int, missed: Missed, recorded_at: int) -> int:
    row = connection.execute(
        """
        INSERT INTO alarm (stream_id, rule_id, point_id, priority, state, raised_at, raised_value, limit_value,
                           closed_at, recorded_at, late)
        VALUES (%s, %s, %s, %s, 'normal', at_us(%s), %s, %s, at_us(%s), at_us(%s), true) RETURNING id
        """,
        (
            *(stream, missed.rule, missed.point, missed.priority, missed.at, missed.value, missed.limit),
            *(recorded_at, recorded_at),
        ),
    ).fetchone()
    assert row is not None  # noqa: S101 - an INSERT … RETURNING always has a row
    return row[0]
