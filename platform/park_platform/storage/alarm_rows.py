"""The alarm table: open alarms read, new and changed ones written, and those that the kernel forgot."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from park_platform.storage.connect import Connection
from park_sdk.rules import Phase

State: TypeAlias = Literal[
    "unacknowledged", "acknowledged", "returned", "latched_unacknowledged", "latched_acknowledged", "normal"
]
Key: TypeAlias = tuple[int, int | None, str]
"""Rule, point, subject."""

# The kernel holds the alarm of a rule in one of these phases; in any other it will never end it.
_HOLDING = [int(phase) for phase in (Phase.ACTIVE, Phase.RETURNING, Phase.LATCHED, Phase.RELAPSING)]


@dataclass(slots=True)
class AlarmRow:
    """An alarm while transitions are carried out. `is_new`: it has no row yet. Times in µs UTC."""

    id: int
    rule: int
    point: int | None
    subject: str
    priority: str
    state: State
    raised_at: int
    raised_value: float | None
    limit: float | None
    times_raised: int
    cleared_at: int | None
    closed_at: int | None
    is_new: bool = field(default=False)

    @property
    def key(self) -> Key:
        """What it is the alarm of."""
        return self.rule, self.point, self.subject


_SELECT: Final = """
    SELECT a.id, a.rule_id, a.point_id, a.subject, a.priority, a.state, us_of(a.raised_at), a.raised_value,
           a.limit_value, a.times_raised, us_of(a.cleared_at), us_of(a.closed_at)
    FROM alarm a
"""
_WANTED: Final = """
    JOIN unnest(%(rules)s::int[], %(points)s::int[], %(subjects)s::text[]) AS w(rule_id, point_id, subject)
      ON a.rule_id = w.rule_id AND COALESCE(a.point_id, 0) = w.point_id AND a.subject = w.subject
"""


def open_alarms(connection: Connection, keys: Iterable[Key]) -> dict[Key, AlarmRow]:
    """The alarms of these keys that are not closed."""
    rows = connection.execute(_SELECT + _WANTED + "WHERE a.closed_at IS NULL", _arrays(keys))
    return {alarm.key: alarm for alarm in (AlarmRow(*row) for row in rows)}


def closed_alarms(connection: Connection, keys: Iterable[Key]) -> dict[Key, AlarmRow]:
    """The last alarm of each of these keys that was closed, late ones left out."""
    wanted = _arrays(keys)
    if not wanted["rules"]:
        return {}
    rows = connection.execute(_SELECT + _WANTED + "WHERE a.closed_at IS NOT NULL AND NOT a.late ORDER BY a.id", wanted)
    return {alarm.key: alarm for alarm in (AlarmRow(*row) for row in rows)}


def _arrays(keys: Iterable[Key]) -> dict[str, list[int] | list[str]]:
    wanted = sorted({(rule, point or 0, subject) for rule, point, subject in keys})
    return {
        "rules": [rule for rule, _, _ in wanted],
        "points": [point for _, point, _ in wanted],
        "subjects": [subject for _, _, subject in wanted],
    }


def new_ids(connection: Connection, n: int) -> list[int]:
    """Ids for alarms that do not exist yet, in descending order: take them from the end."""
    if not n:
        return []
    rows = connection.execute(
        "SELECT nextval(pg_get_serial_sequence('alarm', 'id')) FROM generate_series(1, %s)", (n,)
    ).fetchall()
    return sorted((number for (number,) in rows), reverse=True)


def save_alarms(connection: Connection, stream: int, alarms: Sequence[AlarmRow], recorded_at: int) -> None:
    """Insert the new ones and update the others."""
    with connection.cursor() as cursor:
        if old := [alarm for alarm in alarms if not alarm.is_new]:
            cursor.executemany(
                """
                UPDATE alarm SET state = %s, times_raised = %s, cleared_at = at_us(%s), closed_at = at_us(%s)
                WHERE id = %s
                """,
                [(alarm.state, alarm.times_raised, alarm.cleared_at, alarm.closed_at, alarm.id) for alarm in old],
            )
        if new := [alarm for alarm in alarms if alarm.is_new]:
            cursor.executemany(
                """
                INSERT INTO alarm (id, stream_id, rule_id, point_id, subject, priority, state, raised_at, raised_value,
                                   limit_value, times_raised, cleared_at, closed_at, recorded_at)
                OVERRIDING SYSTEM VALUE
                VALUES (%s, %s, %s, %s, %s, %s, %s, at_us(%s), %s, %s, %s, at_us(%s), at_us(%s), at_us(%s))
                """,
                [
                    (
                        *(alarm.id, stream, alarm.rule, alarm.point, alarm.subject, alarm.priority, alarm.state),
                        *(alarm.raised_at, alarm.raised_value, alarm.limit, alarm.times_raised, alarm.cleared_at),
                        *(alarm.closed_at, recorded_at),
                    )
                    for alarm in new
                ],
            )


def forgotten_alarms(connection: Connection, stream: int) -> list[AlarmRow]:
    """Alarms of a stream's points that are raised or latched while the kernel no longer holds them.

    Their rule was disabled or changed, their point left the gateway, or somebody wrote into the tables. The states of
    rules that no longer watch their point are removed first: should the rule come back, it begins anew.
    """
    connection.execute(
        """
        DELETE FROM rule_state s USING point p WHERE p.id = s.point_id AND p.stream_id = %s
          AND NOT EXISTS (SELECT FROM rule_point w WHERE w.rule_id = s.rule_id AND w.point_id = s.point_id)
        """,
        (stream,),
    )
    rows = connection.execute(
        _SELECT
        + """
        WHERE a.stream_id = %s AND a.closed_at IS NULL AND a.point_id IS NOT NULL AND a.state <> 'returned'
          AND NOT EXISTS (SELECT FROM rule_state s WHERE s.rule_id = a.rule_id AND s.point_id = a.point_id
                            AND s.phase = ANY(%s))
        ORDER BY a.id
        """,
        (stream, _HOLDING),
    )
    return [AlarmRow(*row) for row in rows]
