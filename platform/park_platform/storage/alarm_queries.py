"""Alarms and their journal as people see them, and the tail of the journal that feeds their screens.

Names of people and their notes are the park's own affair: a narrower scope sees that and when, not who and why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.journal import JOURNAL_CHANNEL
from park_platform.storage.points import Named
from park_platform.storage.scope import Scope
from park_wire.quantities import Text

_MOST_LINES: Final = 1_000


@dataclass(frozen=True, slots=True)
class RuleOfAlarm:
    """Why there is an alarm and what to do: texts in both languages, `respond_s` in seconds."""

    key: str
    kind: str
    name: Text
    cause: Mapping[str, str]
    consequence: Mapping[str, str]
    action: Mapping[str, str]
    respond_s: int | None


@dataclass(frozen=True, slots=True)
class PointOfAlarm:
    """The point that an alarm is about."""

    id: int
    key: str
    quantity: str
    unit: str


@dataclass(frozen=True, slots=True)
class AlarmView:
    """An alarm. `subject` names what a rule about the platform itself is about. Times in µs UTC.

    late: only late readings tell of it; it is history and was never open.
    """

    id: int
    stream: str
    state: str
    priority: str
    subject: str
    raised_at: int
    raised_value: float | None
    limit: float | None
    times_raised: int
    acked_at: int | None
    acked_by: str | None
    cleared_at: int | None
    closed_at: int | None
    recorded_at: int
    late: bool
    rule: RuleOfAlarm
    point: PointOfAlarm | None
    asset: Named | None
    enterprise: Named | None


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One line of an alarm's journal. Times in µs UTC."""

    seq: int
    at: int
    kind: str
    value: float | None
    limit: float | None
    late: bool
    actor: str | None
    note: str | None
    recorded_at: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class AlarmFilter:
    """Which alarms are asked for. `is_open`: not closed yet; `since` in µs UTC: raised at or after it."""

    states: Sequence[str] | None = None
    priorities: Sequence[str] | None = None
    is_open: bool | None = None
    since: int | None = None
    point: int | None = None

    def parameters(self) -> dict[str, Any]:
        """The parameters of `_MATCH`."""
        return {
            "states": None if self.states is None else list(self.states),
            "priorities": None if self.priorities is None else list(self.priorities),
            "is_open": self.is_open,
            "since": self.since,
            "point": self.point,
        }


_SELECT: Final = """
    SELECT x.id, s.name, x.state, x.priority, x.subject, us_of(x.raised_at), x.raised_value, x.limit_value,
           x.times_raised, us_of(x.acked_at), CASE WHEN %(park)s THEN x.acked_by END, us_of(x.cleared_at),
           us_of(x.closed_at), us_of(x.recorded_at), x.late,
           r.key, r.kind, r.name_zh, r.name_en, r.cause, r.consequence, r.action, r.respond_s,
           p.id, COALESCE(g.key, s.name) || '/' || p.device || '/' || p.name, p.quantity, p.unit,
           a.key, a.name_zh, a.name_en, e.key, e.name_zh, e.name_en
    FROM alarm x JOIN stream s ON s.id = x.stream_id JOIN rule r ON r.id = x.rule_id
    LEFT JOIN gateway g ON g.stream_id = s.id LEFT JOIN point p ON p.id = x.point_id
    LEFT JOIN asset a ON a.id = p.asset_id LEFT JOIN enterprise e ON e.id = a.enterprise_id
    WHERE (%(park)s OR a.enterprise_id = ANY(%(tenants)s))
"""
_MATCH: Final = """
      AND (%(states)s::text[] IS NULL OR x.state = ANY(%(states)s))
      AND (%(priorities)s::text[] IS NULL OR x.priority = ANY(%(priorities)s))
      AND (%(is_open)s::boolean IS NULL OR (x.closed_at IS NULL) = %(is_open)s)
      AND (%(since)s::bigint IS NULL OR x.raised_at >= at_us(%(since)s))
      AND (%(point)s::int IS NULL OR x.point_id = %(point)s)
      AND (%(at)s::bigint IS NULL OR (x.raised_at, x.id) < (at_us(%(at)s), %(id)s))
    ORDER BY x.raised_at DESC, x.id DESC LIMIT %(limit)s
"""


def alarms(
    connection: Connection, scope: Scope, asked: AlarmFilter, *, before: tuple[int, int] | None, limit: int
) -> list[AlarmView]:
    """Visible alarms that match, newest first, those before (raised_at in µs, id). Runs inside `scoped`."""
    at, id_ = before or (None, None)
    rows = connection.execute(
        _SELECT + _MATCH, {**scope.parameters(), **asked.parameters(), "at": at, "id": id_, "limit": limit}
    ).fetchall()
    return [_alarm(row) for row in rows]


def alarm(connection: Connection, scope: Scope, id_: int) -> AlarmView | None:
    """A visible alarm, or None. Runs inside `scoped`."""
    row = connection.execute(_SELECT + "AND x.id = %(id)s", {**scope.parameters(), "id": id_}).fetchone()
    return None if row is None else _alarm(row)


def alarm_journal(connection: Connection, scope: Scope, id_: int) -> list[JournalRow]:
    """Every line about a visible alarm, oldest first. Runs inside `scoped`."""
    rows = connection.execute(
        """
        SELECT j.seq, us_of(j.at), j.kind, j.value, j.limit_value, j.late, CASE WHEN %(park)s THEN j.actor END,
               CASE WHEN %(park)s THEN j.note END, us_of(j.recorded_at), j.hash
        FROM journal j LEFT JOIN point p ON p.id = j.point_id LEFT JOIN asset a ON a.id = p.asset_id
        WHERE j.alarm_id = %(id)s AND (%(park)s OR a.enterprise_id = ANY(%(tenants)s))
        ORDER BY j.seq LIMIT %(limit)s
        """,
        {**scope.parameters(), "id": id_, "limit": _MOST_LINES},
    ).fetchall()
    return [JournalRow(*row) for row in rows]


def _alarm(row: tuple[Any, ...]) -> AlarmView:
    key, kind, zh, en, cause, consequence, action, respond_s = row[15:23]
    point, asset, owner = row[23:27], row[27:30], row[30:33]
    return AlarmView(
        *row[:15],
        rule=RuleOfAlarm(key, kind, Text(zh, en), cause, consequence, action, respond_s),
        point=None if point[0] is None else PointOfAlarm(*point),
        asset=_named(asset),
        enterprise=_named(owner),
    )


def _named(columns: tuple[Any, ...]) -> Named | None:
    key, zh, en = columns
    return None if key is None else Named(key, Text(zh, en))


@dataclass(frozen=True, slots=True)
class TailLine:
    """A journal line with what a screen needs. Times in µs UTC.

    `stream` is the name of stream number `stream_id`; `enterprise`, the id of who may see it (None: the park only).
    """

    stream_id: int
    stream: str
    seq: int
    at: int
    kind: str
    alarm: int
    state: str
    priority: str
    rule: str
    name: Text
    point: int | None
    subject: str
    value: float | None
    limit: float | None
    late: bool
    actor: str | None
    note: str | None
    recorded_at: int
    enterprise: int | None


def journal_ends(connection: Connection) -> dict[int, int]:
    """The last seq of every stream's journal, by stream id. For the whole park's scope only."""
    with database_errors():
        return dict(connection.execute("SELECT id, journal_seq FROM stream").fetchall())


def journal_after(connection: Connection, ends: Mapping[int, int]) -> list[TailLine]:
    """Lines behind these ends (seq by stream id), each stream in its order; at most 1,000. Runs inside `scoped`."""
    rows = connection.execute(
        """
        SELECT j.stream_id, s.name, j.seq, us_of(j.at), j.kind, j.alarm_id, x.state, x.priority, r.key, r.name_zh,
               r.name_en, j.point_id, j.subject, j.value, j.limit_value, j.late, j.actor, j.note, us_of(j.recorded_at),
               a.enterprise_id
        FROM unnest(%s::int[], %s::bigint[]) AS seen(stream_id, seq)
        JOIN journal j ON j.stream_id = seen.stream_id AND j.seq > seen.seq
        JOIN stream s ON s.id = j.stream_id JOIN alarm x ON x.id = j.alarm_id JOIN rule r ON r.id = j.rule_id
        LEFT JOIN point p ON p.id = j.point_id LEFT JOIN asset a ON a.id = p.asset_id
        ORDER BY j.stream_id, j.seq LIMIT %s
        """,
        (list(ends), list(ends.values()), _MOST_LINES),
    ).fetchall()
    return [_line(row) for row in rows]


def _line(row: tuple[Any, ...]) -> TailLine:
    stream_id, stream, seq, at, kind, alarm_, state, priority, rule, zh, en, *rest = row
    return TailLine(stream_id, stream, seq, at, kind, alarm_, state, priority, rule, Text(zh, en), *rest)


def listen_to_journal(connection: Connection) -> None:
    """Let `wait_for_journal` on this connection wake up at a NOTIFY."""
    with database_errors():
        connection.execute(f"LISTEN {JOURNAL_CHANNEL}")


def wait_for_journal(connection: Connection, wait_s: float) -> bool:
    """Return at the first hint that a journal has grown, at the latest after `wait_s`; whether there was one."""
    with database_errors():
        return any(True for _ in connection.notifies(timeout=wait_s, stop_after=1))
