"""What a worker loads when it takes a gateway's stream, and the small writes besides the commit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from park_platform.derivations import Derivations
from park_platform.gap_reasons import RESTORED
from park_platform.storage.connect import Connection, database_errors
from park_sdk.frame import FOREVER, NEVER, Int32s, Int64s
from park_sdk.rules import Phase, Rule, RuleKind, RuleState, RuleTable, StateChanges
from park_wire.batch import GENESIS, Lane
from park_wire.messages import Hello, Status

_DELAYED: Final = frozenset({Phase.PENDING, Phase.RETURNING, Phase.RELAPSING})
_UNDELAYED: Final[dict[int, int]] = {
    Phase.PENDING: Phase.IDLE,
    Phase.RETURNING: Phase.ACTIVE,
    Phase.RELAPSING: Phase.LATCHED,
}


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """A gateway as the intake needs it."""

    id: int
    key: str
    stream: int
    epoch: bytes | None
    config_version: bytes | None


@dataclass(frozen=True, slots=True)
class LaneRow:
    """Mark and head of a lane, its declared gaps as (first, last) seq, and whether it was given up from its mark on.

    renewed_at: when the outbox was made that took its place, µs by the gateway's clock; None where none did.
    restored: it was given up by a restore. awaited: gaps of a restore whose end is known.
    """

    epoch: bytes
    lane: Lane
    mark: int
    head: bytes
    gaps: tuple[tuple[int, int], ...]
    lost: bool
    renewed_at: int | None = None
    restored: bool = False
    awaited: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class PointMap:
    """The points behind the indices of a config_version: indices i64[n] ascending, points i32[n]."""

    indices: Int64s
    points: Int32s


def gateway_of(connection: Connection, stream: int) -> GatewayRow | None:
    """The gateway behind a stream; None for a stream of another kind."""
    row = connection.execute(
        "SELECT id, key, stream_id, epoch, config_version FROM gateway WHERE stream_id = %s",
        (stream,),
    ).fetchone()
    return None if row is None else GatewayRow(*row)


def lanes_of(connection: Connection, gateway: int) -> list[LaneRow]:
    """Every lane that has a mark or a gap."""
    gaps: dict[tuple[bytes, Lane], list[tuple[int, int]]] = {}
    awaited: dict[tuple[bytes, Lane], list[tuple[int, int]]] = {}
    lost: dict[tuple[bytes, Lane], tuple[int | None, str]] = {}
    for epoch, lane, first, last, until, reason in connection.execute(
        "SELECT epoch, lane, from_seq, to_seq, us_of(to_ts), reason FROM gap WHERE gateway_id = %s", (gateway,)
    ):
        if last is None:
            lost[epoch, Lane(lane)] = until, reason
        else:
            kind = awaited if reason == RESTORED else gaps
            kind.setdefault((epoch, Lane(lane)), []).append((first, last))
    marks = {
        (epoch, Lane(lane)): (mark, head)
        for epoch, lane, mark, head in connection.execute(
            "SELECT epoch, lane, mark, head FROM lane WHERE gateway_id = %s", (gateway,)
        )
    }
    return [
        LaneRow(
            *key,
            *marks.get(key, (0, GENESIS)),
            gaps=tuple(gaps.get(key, ())),
            lost=key in lost,
            renewed_at=lost.get(key, (None, ""))[0],
            restored=lost.get(key, (None, ""))[1] == RESTORED,
            awaited=tuple(awaited.get(key, ())),
        )
        for key in sorted(marks.keys() | lost.keys() | awaited.keys())
    ]


def epochs_of(connection: Connection, gateway: int) -> set[bytes]:
    """Every epoch that this gateway ever named."""
    return {epoch for (epoch,) in connection.execute("SELECT epoch FROM epoch WHERE gateway_id = %s", (gateway,))}


def point_map(connection: Connection, gateway: int, config_version: bytes) -> PointMap | None:
    """The map of a config_version; None when its birth has not come yet."""
    row = connection.execute(
        "SELECT indices, point_ids FROM birth WHERE gateway_id = %s AND config_version = %s", (gateway, config_version)
    ).fetchone()
    return None if row is None else PointMap(np.array(row[0], np.int64), np.array(row[1], np.int32))


def points_of(connection: Connection, stream: int) -> Int32s:
    """The ids of a stream's points, ascending."""
    rows = connection.execute("SELECT id FROM point WHERE stream_id = %s ORDER BY id", (stream,)).fetchall()
    return np.array([point for (point,) in rows], np.int32)


@dataclass(frozen=True, slots=True)
class StreamRules:
    """A stream's rules as the kernel and the journal need them; `priority` is parallel to the table's rows."""

    table: RuleTable
    state: RuleState
    priority: tuple[str, ...]

    def limit_of(self, row: int) -> float | None:
        """The limit of a rule that has one."""
        return float(self.table.limit[row]) if self.table.kind[row] <= RuleKind.LL else None


def rules_of(connection: Connection, stream: int) -> StreamRules:
    """The rules that watch a stream's points, with their stored state."""
    rows = connection.execute(
        """
        SELECT rule_id, point_id, kind, limit_value, deadband, on_delay_ms, off_delay_ms, max_age_ms, latch, priority
        FROM rule_point WHERE stream_id = %s ORDER BY point_id, rule_id
        """,
        (stream,),
    ).fetchall()
    table = RuleTable.of(
        [
            Rule(
                rule=rule,
                point=point,
                kind=RuleKind[kind],
                limit=0.0 if limit is None else limit,
                deadband=deadband,
                on_delay=on_ms * 1_000,
                off_delay=off_ms * 1_000,
                max_age=age_ms * 1_000,
                latch=latch,
            )
            for rule, point, kind, limit, deadband, on_ms, off_ms, age_ms, latch, _ in rows
        ]
    )
    state = RuleState.idle(len(table))
    row_of = {(point, rule): n for n, (rule, point, *_) in enumerate(rows)}
    for rule, point, phase, since, due in connection.execute(
        """
        SELECT s.rule_id, s.point_id, s.phase, us_of(s.since), COALESCE(us_of(s.due), %s::bigint)
        FROM rule_state s JOIN point p ON p.id = s.point_id WHERE p.stream_id = %s
        """,
        (FOREVER, stream),
    ):
        row = row_of.get((point, rule))
        if row is None:
            continue
        # A rule that was made STALE has no delays: the running one is void.
        if table.kind[row] == RuleKind.STALE and phase in _UNDELAYED:
            phase = _UNDELAYED[phase]  # noqa: PLW2901
        state.phase[row] = phase
        if state.phase[row] != Phase.IDLE:
            state.since[row] = since
            # A delay may have been changed meanwhile: the kernel works it out again at its first look.
            state.due[row] = NEVER if phase in _DELAYED else due
    return StreamRules(table, state, tuple(row[-1] for row in rows))


def save_rule_states(connection: Connection, changed: Sequence[tuple[RuleTable, StateChanges]]) -> None:
    """Within a commit: store what rules become; idle rules have no row."""
    changed = [(table, changes) for table, changes in changed if len(changes)]
    if not changed:
        return
    point = np.concatenate([table.point[changes.row] for table, changes in changed])
    rule = np.concatenate([table.rule[changes.row] for table, changes in changed])
    phase = np.concatenate([changes.phase for _, changes in changed])
    since = np.concatenate([changes.since for _, changes in changed])
    due = np.concatenate([changes.due for _, changes in changed])
    idle = phase == Phase.IDLE
    if idle.any():
        connection.execute(
            """
            DELETE FROM rule_state s USING unnest(%s::int[], %s::int[]) AS gone(point_id, rule_id)
            WHERE s.point_id = gone.point_id AND s.rule_id = gone.rule_id
            """,
            (point[idle].tolist(), rule[idle].tolist()),
        )
    if not idle.all():
        kept = ~idle
        connection.execute(
            """
            INSERT INTO rule_state (point_id, rule_id, phase, since, due)
            SELECT p, r, ph, at_us(si), at_us(du)
            FROM unnest(%s::int[], %s::int[], %s::smallint[], %s::bigint[], %s::bigint[]) AS t(p, r, ph, si, du)
            ON CONFLICT (point_id, rule_id)
              DO UPDATE SET phase = EXCLUDED.phase, since = EXCLUDED.since, due = EXCLUDED.due
            """,
            (
                point[kept].tolist(),
                rule[kept].tolist(),
                phase[kept].tolist(),
                since[kept].tolist(),
                [None if value == FOREVER else value for value in due[kept].tolist()],
            ),
        )


def save_hello(connection: Connection, gateway: int, hello: Hello, now: int) -> None:
    """Keep who speaks for a gateway. Only a run that owns its epoch is entered here."""
    connection.execute(
        "UPDATE gateway SET epoch = %s, online = true, hello_at = at_us(%s) WHERE id = %s", (hello.epoch, now, gateway)
    )
    connection.execute(
        "INSERT INTO epoch (gateway_id, epoch) SELECT %s, unnest(%s::bytea[]) ON CONFLICT DO NOTHING",
        (gateway, [hello.epoch, *(was.epoch for was in hello.former)]),
    )


def save_status(connection: Connection, gateway: int, status: Status) -> None:
    """Keep how a gateway says it is."""
    connection.execute(
        """
        UPDATE gateway SET online = %s, depth = %s, oldest_age_ms = %s, disk_free = %s, skew_us = %s WHERE id = %s
        """,
        (status.online, status.depth, status.oldest_age_ms, status.disk_free, status.skew_us, gateway),
    )


def heard(connection: Connection, gateways: Sequence[int]) -> None:
    """Something came from these gateways just now, by the centre's clock."""
    connection.execute("UPDATE gateway SET heard_at = clock_timestamp() WHERE id = ANY(%s)", (list(gateways),))


def last_until(connection: Connection, gateway: int) -> int:
    """The newest `until` of all lanes of a gateway in µs, NEVER before the first live batch."""
    row = connection.execute("SELECT us_of(max(until)) FROM lane WHERE gateway_id = %s", (gateway,)).fetchone()
    return NEVER if row is None or row[0] is None else row[0]


def rules_seq(connection: Connection) -> int:
    """How often assets or rules were changed so far."""
    with database_errors():
        row = connection.execute("SELECT rules_seq FROM installation").fetchone()
    return 0 if row is None else row[0]


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """A stream's points, ascending, and its rules with their stored state, as of the installation's `rules_seq`.

    derivations: what is computed from its readings, with the state that follows from those that are stored.
    """

    points: Int32s
    rules: StreamRules
    rules_seq: int
    derivations: Derivations = field(default_factory=Derivations)


def event_until(connection: Connection, stream: int) -> int:
    """The event time up to which a stream's timers have run, µs; NEVER before the first live batch."""
    row = connection.execute("SELECT us_of(event_until) FROM stream WHERE id = %s", (stream,)).fetchone()
    return NEVER if row is None or row[0] is None else row[0]


def config_of(connection: Connection, stream: int) -> StreamConfig:
    """Points and rules of a stream, without its derivations."""
    # The number first: what changes while the rest is read is then loaded again.
    seq = rules_seq(connection)
    return StreamConfig(points_of(connection, stream), rules_of(connection, stream), seq)
