"""Alarms: one open row per (rule, point or subject), driven by the kernel's transitions and by people.

States after ISA-18.2 / IEC 62682: unacknowledged, acknowledged, returned (to normal, unacknowledged), the two latched
ones, normal (closed). Every change is a journal entry in the same transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from park_platform.storage.alarm_rows import (
    AlarmRow,
    Key,
    State,
    closed_alarms,
    forgotten_alarms,
    new_ids,
    open_alarms,
    save_alarms,
)
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.journal import Chain, Entry, append, free_instants

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
_NO_ALARM: Final = "no alarm was open for this change"


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
    actor: str | None = None
    note: str | None = None

    @property
    def key(self) -> Key:
        """Whose alarm it concerns."""
        return self.rule, self.point, self.subject


def record(
    connection: Connection, stream: int, chain: Chain, happenings: Sequence[Happening], recorded_at: int
) -> Chain:
    """Carry out transitions in their order: alarm rows and journal. Returns the journal's new end.

    Must run under the stream's row lock. What is cleared or reset without an open alarm stands in the journal under the
    last alarm of its rule and point. Two changes of one kind at one instant are told apart by a µs.
    """
    if not happenings:
        return chain
    times = free_instants(connection, [(*happening.key, happening.kind, happening.at) for happening in happenings])
    story = [replace(happening, at=at) for happening, at in zip(happenings, times, strict=True)]
    alarms = _alarms_of(connection, story)
    raised = sum(happening.kind == "raised" for happening in story)
    fresh = new_ids(connection, raised + len({happening.key for happening in story} - alarms.keys()))
    touched: dict[int, AlarmRow] = {}
    entries: list[Entry] = []
    for happening in story:
        alarm = alarms.get(happening.key)
        note = happening.note
        if happening.kind == "raised":
            alarm = _raise(alarm, happening, fresh)
        elif alarm is None:
            alarm, note = _born_closed(happening, fresh), _NO_ALARM
        elif alarm.closed_at is not None:
            note = _NO_ALARM
        else:
            _lower(alarm, happening)
        alarms[happening.key] = alarm
        touched[alarm.id] = alarm
        entries.append(_entry(happening, alarm.id, note))
    save_alarms(connection, stream, list(touched.values()), recorded_at)
    return append(connection, stream, chain, entries, recorded_at)


def _alarms_of(connection: Connection, story: Sequence[Happening]) -> dict[Key, AlarmRow]:
    alarms = open_alarms(connection, [happening.key for happening in story])
    first = {happening.key: happening.kind for happening in reversed(story)}
    without = [key for key, kind in first.items() if key not in alarms and kind != "raised"]
    return alarms | closed_alarms(connection, without)


def _raise(alarm: AlarmRow | None, happening: Happening, fresh: list[int]) -> AlarmRow:
    if alarm is None or alarm.closed_at is not None:
        return _new(happening, fresh, _ON_RAISED)
    alarm.state = _ON_RAISED
    alarm.times_raised += 1
    alarm.cleared_at = None
    return alarm


def _born_closed(happening: Happening, fresh: list[int]) -> AlarmRow:
    alarm = _new(happening, fresh, "normal")
    alarm.times_raised, alarm.cleared_at, alarm.closed_at = 0, happening.at, happening.at
    return alarm


def _new(happening: Happening, fresh: list[int], state: State) -> AlarmRow:
    return AlarmRow(
        fresh.pop(),
        *happening.key,
        priority=happening.priority,
        state=state,
        raised_at=happening.at,
        raised_value=happening.value,
        limit=happening.limit,
        times_raised=1,
        cleared_at=None,
        closed_at=None,
        is_new=True,
    )


def _lower(alarm: AlarmRow, happening: Happening) -> None:
    if happening.kind == "cleared":
        alarm.state = _ON_CLEARED.get((alarm.state, happening.latch), alarm.state)
        alarm.cleared_at = happening.at
    else:
        alarm.state = _ON_RESET.get(alarm.state, alarm.state)
    if alarm.state == "normal":
        alarm.closed_at = happening.at


def _entry(happening: Happening, alarm: int, note: str | None) -> Entry:
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
        actor=happening.actor,
        note=note,
    )


def end_forgotten(connection: Connection, stream: int, now: int) -> list[Happening]:
    """What ends the alarms that no rule holds any more: without it they would stay open for ever.

    Must run under the stream's row lock, before readings are judged. `now` is the centre's clock: a change of
    rules is a person's act.
    """
    return [
        Happening(
            at=now,
            kind="reset" if alarm.state in _ON_RESET else "cleared",
            rule=alarm.rule,
            priority=alarm.priority,
            point=alarm.point,
            subject=alarm.subject,
            note="no rule holds this alarm any more: the rule or the point was changed or removed",
        )
        for alarm in forgotten_alarms(connection, stream)
    ]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a person's act on an alarm. `done` false: the alarm was not in a state for it."""

    done: bool
    state: State


def acknowledge(connection: Connection, alarm: int, actor: str, note: str | None, now: int) -> Outcome | None:
    """Acknowledge an alarm in a transaction of its own. None when there is no such alarm."""
    with database_errors(), connection.transaction():
        found = _lock(connection, alarm)
        if found is None:
            return None
        stream, chain, rule, point, subject, state = found
        after = _ON_ACKNOWLEDGED.get(state)
        if after is None:
            return Outcome(done=False, state=state)
        connection.execute(
            """
            UPDATE alarm SET state = %(state)s, acked_by = %(actor)s, acked_at = at_us(%(now)s),
              closed_at = CASE WHEN %(state)s = 'normal' THEN at_us(%(now)s) END
            WHERE id = %(alarm)s
            """,
            {"state": after, "actor": actor, "now": now, "alarm": alarm},
        )
        [at] = free_instants(connection, [(rule, point, subject, "acknowledged", now)])
        entry = Entry(at, "acknowledged", rule, alarm, point, subject, actor=actor, note=note)
        store_chain(connection, stream, append(connection, stream, chain, [entry], now))
        return Outcome(done=True, state=after)


def request_reset(connection: Connection, alarm: int, actor: str, note: str | None) -> Outcome | None:
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
            return Outcome(done=False, state=state)
        connection.execute(
            """
            INSERT INTO alarm_command (stream_id, rule_id, point_id, actor, note) VALUES (%s, %s, %s, %s, %s)
            """,
            (stream, rule, point, actor, note),
        )
        return Outcome(done=True, state=state)


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


def system_rules(connection: Connection) -> dict[str, tuple[int, str]]:
    """Id and priority of the rules about the platform itself, by key."""
    rows = connection.execute("SELECT key, id, priority FROM rule WHERE kind = 'SYSTEM'").fetchall()
    return {key: (rule, priority) for key, rule, priority in rows}
