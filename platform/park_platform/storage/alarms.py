"""Alarms: one open row per (rule, point or subject), driven by the kernel's transitions and by people.

States after ISA-18.2 / IEC 62682: unacknowledged, acknowledged, returned (to normal, unacknowledged), the two latched
ones, normal (closed). Every change is a journal entry in the same transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.journal import Chain, Entry, Kind, append
from park_wire.errors import StoreError

State: TypeAlias = Literal[
    "unacknowledged", "acknowledged", "returned", "latched_unacknowledged", "latched_acknowledged", "normal"
]
_ON_RAISED: Final[State] = "unacknowledged"
# What a cleared condition makes of an alarm, without and with latch.
_ON_CLEARED: Final[dict[tuple[State, bool], State]] = {
    ("unacknowledged", False): "returned",
    ("acknowledged", False): "normal",
    ("unacknowledged", True): "latched_unacknowledged",
    ("acknowledged", True): "latched_acknowledged",
}
_ON_RESET: Final[dict[State, State]] = {"latched_unacknowledged": "returned", "latched_acknowledged": "normal"}
_ON_ACKNOWLEDGED: Final[dict[State, State]] = {
    "unacknowledged": "acknowledged",
    "returned": "normal",
    "latched_unacknowledged": "latched_acknowledged",
}


@dataclass(frozen=True, slots=True)
class Happening:
    """A transition of a rule on a point, or on a subject for rules about the platform itself. `at` in µs UTC."""

    at: int
    kind: Literal["raised", "cleared", "reset"]
    rule: int
    priority: str
    point: int | None = None
    subject: str = ""
    value: float | None = None
    limit: float | None = None
    latch: bool = False
    late: bool = False


@dataclass(slots=True)
class _Alarm:
    id: int
    state: State
    raised_at: int
    raised_value: float | None
    limit: float | None
    times_raised: int
    cleared_at: int | None
    closed_at: int | None
    first: Happening | None = None


_Key: TypeAlias = tuple[int, int | None, str]


def record(
    connection: Connection, stream: int, chain: Chain, happenings: Sequence[Happening], recorded_at: int
) -> Chain:
    """Carry out transitions in their order: alarm rows, journal, notification outbox. Returns the journal's new end.

    Must run under the stream's row lock. A transition that changes nothing (cleared without an open alarm) still
    stands in the journal if it has an alarm to belong to; without one it is a fault of the kernel: StoreError.
    """
    if not happenings:
        return chain
    alarms = _open_alarms(connection, happenings)
    fresh = _new_ids(connection, sum(happening.kind == "raised" for happening in happenings))
    touched: dict[int, tuple[_Alarm, Happening]] = {}
    entries: list[Entry] = []
    for happening in happenings:
        key = (happening.rule, happening.point, happening.subject)
        alarm = alarms.get(key)
        if happening.kind == "raised":
            alarm = _raise(alarm, happening, fresh)
            alarms[key] = alarm
        elif alarm is None:
            raise StoreError(f"rule {happening.rule} on point {happening.point} is {happening.kind} without an alarm")
        else:
            _lower(alarm, happening)
            if alarm.closed_at is not None:
                del alarms[key]
        touched[alarm.id] = (alarm, happening)
        entries.append(_entry(happening, alarm.id))
    _save(connection, stream, touched, recorded_at)
    end = append(connection, stream, chain, entries, recorded_at)
    _notify(connection, stream, chain.seq, entries)
    return end


def _open_alarms(connection: Connection, happenings: Sequence[Happening]) -> dict[_Key, _Alarm]:
    rows = connection.execute(
        """
        WITH wanted AS (
          SELECT DISTINCT * FROM unnest(%s::int[], %s::int[], %s::text[]) AS t(rule_id, point_id, subject)
        )
        SELECT a.rule_id, a.point_id, a.subject, a.id, a.state, us_of(a.raised_at),
               a.raised_value, a.limit_value, a.times_raised, us_of(a.cleared_at)
        FROM alarm a JOIN wanted w
          ON a.rule_id = w.rule_id AND COALESCE(a.point_id, 0) = w.point_id AND a.subject = w.subject
        WHERE a.closed_at IS NULL
        """,
        [
            [happening.rule for happening in happenings],
            [happening.point or 0 for happening in happenings],
            [happening.subject for happening in happenings],
        ],
    )
    return {(row[0], row[1], row[2]): _Alarm(*row[3:], closed_at=None) for row in rows}


def _new_ids(connection: Connection, n: int) -> list[int]:
    rows = connection.execute(
        "SELECT nextval(pg_get_serial_sequence('alarm', 'id')) FROM generate_series(1, %s)", (n,)
    ).fetchall()
    return [number for (number,) in reversed(rows)]


def _raise(alarm: _Alarm | None, happening: Happening, fresh: list[int]) -> _Alarm:
    if alarm is None:
        return _Alarm(
            id=fresh.pop(),
            state=_ON_RAISED,
            raised_at=happening.at,
            raised_value=happening.value,
            limit=happening.limit,
            times_raised=1,
            cleared_at=None,
            closed_at=None,
            first=happening,
        )
    alarm.state = _ON_RAISED
    alarm.times_raised += 1
    alarm.cleared_at = None
    return alarm


def _lower(alarm: _Alarm, happening: Happening) -> None:
    if happening.kind == "cleared":
        alarm.state = _ON_CLEARED.get((alarm.state, happening.latch), alarm.state)
        alarm.cleared_at = happening.at
    else:
        alarm.state = _ON_RESET.get(alarm.state, alarm.state)
    if alarm.state == "normal":
        alarm.closed_at = happening.at


def _entry(happening: Happening, alarm: int) -> Entry:
    return Entry(
        at=happening.at,
        kind=happening.kind,
        rule=happening.rule,
        alarm=alarm,
        point=happening.point,
        subject=happening.subject,
        value=happening.value,
        limit=happening.limit,
        late=happening.late,
    )


def _save(connection: Connection, stream: int, touched: dict[int, tuple[_Alarm, Happening]], recorded_at: int) -> None:
    new = [
        (
            *(alarm.id, stream, alarm.first.rule, alarm.first.point, alarm.first.subject, alarm.first.priority),
            *(alarm.state, alarm.raised_at, alarm.raised_value, alarm.limit, alarm.times_raised),
            *(alarm.cleared_at, alarm.closed_at, recorded_at),
        )
        for alarm, _ in touched.values()
        if alarm.first is not None
    ]
    old = [
        (alarm.state, alarm.times_raised, alarm.cleared_at, alarm.closed_at, alarm.id)
        for alarm, _ in touched.values()
        if alarm.first is None
    ]
    with connection.cursor() as cursor:
        if old:
            cursor.executemany(
                """
                UPDATE alarm SET state = %s, times_raised = %s,
                  cleared_at = at_us(%s),
                  closed_at = at_us(%s) WHERE id = %s
                """,
                old,
            )
        if new:
            cursor.executemany(
                """
                INSERT INTO alarm (id, stream_id, rule_id, point_id, subject, priority, state, raised_at, raised_value,
                                   limit_value, times_raised, cleared_at, closed_at, recorded_at)
                OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s, %s, %s, %s,
                  at_us(%s), %s, %s, %s,
                  at_us(%s),
                  at_us(%s),
                  at_us(%s))
                """,
                new,
            )


def _notify(connection: Connection, stream: int, before: int, entries: Sequence[Entry]) -> None:
    rows = [
        (stream, before + n, entry.alarm)
        for n, entry in enumerate(entries, start=1)
        if entry.kind == "raised" and not entry.late
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO notification_outbox (stream_id, seq, alarm_id) VALUES (%s, %s, %s)", rows)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a person's act on an alarm. `done` false: the alarm was not in a state for it."""

    done: bool
    state: State


def acknowledge(connection: Connection, alarm: int, actor: str, note: str | None, now: int) -> Answer | None:
    """Acknowledge an alarm in a transaction of its own. None when there is no such alarm."""
    with database_errors(), connection.transaction():
        found = _lock(connection, alarm)
        if found is None:
            return None
        stream, chain, rule, point, subject, state = found
        after = _ON_ACKNOWLEDGED.get(state)
        if after is None:
            return Answer(done=False, state=state)
        connection.execute(
            """
            UPDATE alarm SET state = %(state)s, acked_by = %(actor)s,
              acked_at = at_us(%(now)s),
              closed_at = CASE WHEN %(state)s = 'normal' THEN at_us(%(now)s) END
            WHERE id = %(alarm)s
            """,
            {"state": after, "actor": actor, "now": now, "alarm": alarm},
        )
        kind: Kind = "acknowledged"
        entry = Entry(at=now, kind=kind, rule=rule, alarm=alarm, point=point, subject=subject, actor=actor, note=note)
        end = append(connection, stream, chain, [entry], now)
        store_chain(connection, stream, end)
        return Answer(done=True, state=after)


def request_reset(connection: Connection, alarm: int, actor: str, note: str | None) -> Answer | None:
    """Ask the stream's owner to reset a latched alarm; the RESET transition follows in its next commit.

    None when there is no such alarm.
    """
    with database_errors(), connection.transaction():
        row = connection.execute(
            "SELECT stream_id, rule_id, point_id, state FROM alarm WHERE id = %s", (alarm,)
        ).fetchone()
        if row is None:
            return None
        stream, rule, point, state = row
        if state not in _ON_RESET:
            return Answer(done=False, state=state)
        connection.execute(
            """
            INSERT INTO alarm_command (stream_id, rule_id, point_id, kind, actor, note)
            VALUES (%s, %s, %s, 'reset', %s, %s)
            """,
            (stream, rule, point, actor, note),
        )
        return Answer(done=True, state=state)


def _lock(connection: Connection, alarm: int) -> tuple[int, Chain, int, int | None, str, State] | None:
    row = connection.execute(
        """
        SELECT s.id, s.journal_seq, s.journal_head FROM stream s
        WHERE s.id = (SELECT stream_id FROM alarm WHERE id = %s) FOR UPDATE
        """,
        (alarm,),
    ).fetchone()
    if row is None:
        return None
    # Read only now: the lock may have waited for a commit that changed the alarm.
    found = connection.execute("SELECT rule_id, point_id, subject, state FROM alarm WHERE id = %s", (alarm,)).fetchone()
    if found is None:
        return None
    return row[0], Chain(row[1], row[2]), *found


def store_chain(connection: Connection, stream: int, end: Chain) -> None:
    """Put the journal's end into the stream's row."""
    connection.execute(
        "UPDATE stream SET journal_seq = %s, journal_head = %s WHERE id = %s", (end.seq, end.head, stream)
    )


@dataclass(frozen=True, slots=True)
class Reset:
    """A person's wish to reset a latched alarm."""

    rule: int
    point: int
    at: int


def take_resets(connection: Connection, stream: int) -> list[Reset]:
    """Take the waiting resets of a stream, oldest first; they are gone when the transaction commits."""
    rows = connection.execute(
        """
        DELETE FROM alarm_command WHERE stream_id = %s
        RETURNING id, rule_id, point_id, us_of(at)
        """,
        (stream,),
    ).fetchall()
    return [Reset(rule, point, at) for _, rule, point, at in sorted(rows)]


def streams_with_resets(connection: Connection, streams: Sequence[int]) -> set[int]:
    """Which of these streams have a waiting reset."""
    with database_errors():
        rows = connection.execute(
            "SELECT DISTINCT stream_id FROM alarm_command WHERE stream_id = ANY(%s)", (list(streams),)
        ).fetchall()
    return {stream for (stream,) in rows}


def system_rules(connection: Connection) -> dict[str, tuple[int, str]]:
    """Id and priority of the rules about the platform itself, by key."""
    rows = connection.execute("SELECT key, id, priority FROM rule WHERE kind = 'SYSTEM'").fetchall()
    return {key: (rule, priority) for key, rule, priority in rows}
