"""What a worker loads when it takes a gateway's stream, and the small writes besides the commit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from park_platform.storage.connect import Connection
from park_sdk.frame import FOREVER, NEVER, Int32s, Int64s
from park_sdk.rules import Rule, RuleKind, RuleState, RuleTable
from park_wire.batch import Lane
from park_wire.messages import Birth, Hello, Status


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """A gateway as the intake needs it."""

    id: int
    key: str
    stream: int
    run: bytes | None
    epoch: bytes | None


@dataclass(frozen=True, slots=True)
class LaneRow:
    """Mark and head of a lane, and its declared gaps as (first, last) seq."""

    epoch: bytes
    lane: Lane
    mark: int
    head: bytes
    gaps: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class PointMap:
    """The points behind the indices of a config_version: indices i64[n] ascending, points i32[n]."""

    indices: Int64s
    points: Int32s


def gateway_of(connection: Connection, stream: int) -> GatewayRow | None:
    """The gateway behind a stream; None for a stream of another kind or a removed gateway."""
    row = connection.execute(
        "SELECT id, key, stream_id, run, epoch FROM gateway WHERE stream_id = %s AND removed_at IS NULL", (stream,)
    ).fetchone()
    return None if row is None else GatewayRow(*row)


def lanes_of(connection: Connection, gateway: int) -> list[LaneRow]:
    """Every lane that has a mark."""
    gaps: dict[tuple[bytes, str], list[tuple[int, int]]] = {}
    for epoch, lane, first, last in connection.execute(
        "SELECT epoch, lane, from_seq, to_seq FROM gap WHERE gateway_id = %s AND to_seq IS NOT NULL", (gateway,)
    ):
        gaps.setdefault((epoch, lane), []).append((first, last))
    rows = connection.execute("SELECT epoch, lane, mark, head FROM lane WHERE gateway_id = %s", (gateway,)).fetchall()
    return [
        LaneRow(epoch, Lane(lane), mark, head, tuple(gaps.get((epoch, lane), ()))) for epoch, lane, mark, head in rows
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
        SELECT s.rule_id, s.point_id, s.phase, us_of(s.since),
               us_of(s.due)
        FROM rule_state s JOIN point p ON p.id = s.point_id WHERE p.stream_id = %s
        """,
        (stream,),
    ):
        row = row_of.get((point, rule))
        if row is not None:
            state.phase[row], state.since[row], state.due[row] = phase, since, FOREVER if due is None else due
    return StreamRules(table, state, tuple(row[-1] for row in rows))


def save_rule_states(
    connection: Connection,
    table: RuleTable,
    rows: NDArray[np.intp],
    phase: NDArray[np.uint8],
    since: Int64s,
    due: Int64s,
) -> None:
    """Store what these rows of a rule table become; idle rules have no row."""
    idle = phase == 0
    if idle.any():
        connection.execute(
            """
            DELETE FROM rule_state s USING unnest(%s::int[], %s::int[]) AS gone(point_id, rule_id)
            WHERE s.point_id = gone.point_id AND s.rule_id = gone.rule_id
            """,
            [table.point[rows[idle]].tolist(), table.rule[rows[idle]].tolist()],
        )
    if not idle.all():
        kept = ~idle
        dues = [None if value == FOREVER else value for value in due[kept].tolist()]
        connection.execute(
            """
            INSERT INTO rule_state (point_id, rule_id, phase, since, due)
            SELECT p, r, ph, at_us(si),
                   at_us(du)
            FROM unnest(%s::int[], %s::int[], %s::smallint[], %s::bigint[], %s::bigint[]) AS t(p, r, ph, si, du)
            ON CONFLICT (point_id, rule_id)
              DO UPDATE SET phase = EXCLUDED.phase, since = EXCLUDED.since, due = EXCLUDED.due
            """,
            [
                table.point[rows[kept]].tolist(),
                table.rule[rows[kept]].tolist(),
                phase[kept].tolist(),
                since[kept].tolist(),
                dues,
            ],
        )


def save_birth(connection: Connection, gateway: GatewayRow, birth: Birth) -> None:
    """Create the points that a birth names and keep its map. A point's identity is gateway/device/name."""
    points = sorted(birth.points, key=lambda point: point.index)
    connection.execute(
        """
        INSERT INTO point (stream_id, device, name, quantity, unit, low, high, period_ms, max_age_ms, asset_id)
        SELECT %(stream)s, t.device, t.name, t.quantity, t.unit, t.low, t.high, t.period, greatest(3 * t.period, 3000),
               d.asset_id
        FROM unnest(%(device)s::text[], %(name)s::text[], %(quantity)s::text[], %(unit)s::text[], %(low)s::float8[],
                    %(high)s::float8[], %(period)s::int[]) AS t(device, name, quantity, unit, low, high, period)
        LEFT JOIN device d ON d.stream_id = %(stream)s AND d.key = t.device
        ON CONFLICT (stream_id, device, name) DO UPDATE SET quantity = EXCLUDED.quantity, unit = EXCLUDED.unit,
          low = EXCLUDED.low, high = EXCLUDED.high, period_ms = EXCLUDED.period_ms, max_age_ms = EXCLUDED.max_age_ms
        """,
        {
            "stream": gateway.stream,
            "device": [point.device for point in points],
            "name": [point.name for point in points],
            "quantity": [point.quantity for point in points],
            "unit": [point.unit for point in points],
            "low": [point.low for point in points],
            "high": [point.high for point in points],
            "period": [point.period_ms for point in points],
        },
    )
    connection.execute(
        """
        INSERT INTO birth (gateway_id, config_version, indices, point_ids)
        SELECT %(gateway)s, %(version)s, array_agg(t.index ORDER BY t.index), array_agg(p.id ORDER BY t.index)
        FROM unnest(%(index)s::bigint[], %(device)s::text[], %(name)s::text[]) AS t(index, device, name)
        JOIN point p ON p.stream_id = %(stream)s AND p.device = t.device AND p.name = t.name
        ON CONFLICT (gateway_id, config_version) DO NOTHING
        """,
        {
            "gateway": gateway.id,
            "version": birth.config_version,
            "stream": gateway.stream,
            "index": [point.index for point in points],
            "device": [point.device for point in points],
            "name": [point.name for point in points],
        },
    )
    connection.execute("UPDATE gateway SET config_version = %s WHERE id = %s", (birth.config_version, gateway.id))
    connection.execute("UPDATE installation SET config_seq = config_seq + 1")


def save_hello(connection: Connection, gateway: int, hello: Hello, term: int, now: int) -> None:
    """Keep who speaks for a gateway. Only the run that owns the epoch is entered here."""
    connection.execute(
        """
        UPDATE gateway SET run = %s, epoch = %s, hello_term = %s, online = true,
          hello_at = at_us(%s) WHERE id = %s
        """,
        (hello.run, hello.epoch, term, now, gateway),
    )
    connection.execute(
        """
        INSERT INTO epoch (gateway_id, epoch, made_at) VALUES (%s, %s, at_us(%s))
        ON CONFLICT (gateway_id, epoch) DO UPDATE SET made_at = COALESCE(epoch.made_at, EXCLUDED.made_at)
        """,
        (gateway, hello.epoch, hello.made_at),
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


def config_seq(connection: Connection) -> int:
    """How often points, assets or rules were changed so far."""
    row = connection.execute("SELECT config_seq FROM installation").fetchone()
    return 0 if row is None else row[0]
