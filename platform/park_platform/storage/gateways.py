"""Gateways and streams as people see them: who speaks, how far, how late, and what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from park_platform.gap_reasons import reason_text
from park_platform.storage.connect import Connection
from park_platform.storage.scope import Scope
from park_platform.storage.workers import DEAD_AFTER_S
from park_wire.quantities import Text


@dataclass(frozen=True, slots=True)
class LaneView:
    """How far a lane of the gateway's current epoch is committed. Times in µs UTC."""

    lane: str
    mark: int
    until: int | None
    committed_at: int


@dataclass(frozen=True, slots=True)
class GatewayView:
    """A gateway. Times in µs UTC; `lag_us` is how far its event time lies behind the centre's clock.

    depth, oldest_age_ms, disk_free (bytes) and skew_us are as the gateway last said.
    """

    key: str
    name: Text
    stream: str
    online: bool
    heard_at: int | None
    hello_at: int | None
    config_version: bytes | None
    epoch: bytes | None
    depth: int | None
    oldest_age_ms: int | None
    disk_free: int | None
    skew_us: int | None
    event_until: int | None
    lag_us: int | None
    has_owner: bool
    points: int
    gaps: int
    lanes: tuple[LaneView, ...]


@dataclass(frozen=True, slots=True)
class StreamView:
    """A stream and whether a living worker owns it. Times in µs UTC."""

    name: str
    kind: str
    has_owner: bool
    term: int
    event_until: int | None
    lag_us: int | None
    live_seq: int
    journal_seq: int


@dataclass(frozen=True, slots=True)
class GapRow:
    """Batches that never came. `to_seq` None: open-ended. `n` (readings lost) is known to the park only."""

    id: int
    gateway: str
    lane: str
    from_seq: int
    to_seq: int | None
    from_time: int | None
    to_time: int | None
    n: int | None
    reason: Text
    recorded_at: int


_IS_OWNED: Final = """
    EXISTS (SELECT FROM worker w WHERE w.id = s.owner
            AND w.beat_at > clock_timestamp() - make_interval(secs => %(dead)s))
"""
_LAG: Final = "us_of(clock_timestamp()) - us_of(s.event_until)"


def gateways(connection: Connection, *, after: str, limit: int) -> list[GatewayView]:
    """Every gateway, by key, those with a key after `after`. For the whole park's scope only."""
    rows = connection.execute(
        f"""
        SELECT g.key, g.name_zh, g.name_en, s.name, g.online, us_of(g.heard_at), us_of(g.hello_at), g.config_version,
               g.epoch, g.depth, g.oldest_age_ms, g.disk_free, g.skew_us, us_of(s.event_until), {_LAG}, {_IS_OWNED},
               (SELECT count(*) FROM point p WHERE p.stream_id = s.id),
               (SELECT count(*) FROM gap WHERE gap.gateway_id = g.id),
               ARRAY(SELECT l.lane FROM lane l WHERE l.gateway_id = g.id AND l.epoch = g.epoch ORDER BY l.lane),
               ARRAY(SELECT l.mark FROM lane l WHERE l.gateway_id = g.id AND l.epoch = g.epoch ORDER BY l.lane),
               ARRAY(SELECT us_of(l.until) FROM lane l WHERE l.gateway_id = g.id AND l.epoch = g.epoch ORDER BY l.lane),
               ARRAY(SELECT us_of(l.committed_at) FROM lane l WHERE l.gateway_id = g.id AND l.epoch = g.epoch
                     ORDER BY l.lane)
        FROM gateway g JOIN stream s ON s.id = g.stream_id
        WHERE g.key > %(after)s ORDER BY g.key LIMIT %(limit)s
        """,  # noqa: S608 - the parts are constants of this module
        {"dead": DEAD_AFTER_S, "after": after, "limit": limit},
    ).fetchall()
    return [_gateway(row) for row in rows]


def _gateway(row: tuple[Any, ...]) -> GatewayView:
    key, zh, en, *rest, names, marks, untils, committed = row
    lanes = zip(names, marks, untils, committed, strict=True)
    return GatewayView(key, Text(zh, en), *rest, lanes=tuple(LaneView(*lane) for lane in lanes))


def streams(connection: Connection) -> list[StreamView]:
    """Every stream, by name. For the whole park's scope only."""
    rows = connection.execute(
        f"""
        SELECT s.name, s.kind, {_IS_OWNED}, s.term, us_of(s.event_until), {_LAG}, s.live_seq, s.journal_seq
        FROM stream s ORDER BY s.name
        """,  # noqa: S608 - the parts are constants of this module
        {"dead": DEAD_AFTER_S},
    ).fetchall()
    return [StreamView(*row) for row in rows]


def gaps(connection: Connection, scope: Scope, *, gateway: str | None, before: int | None, limit: int) -> list[GapRow]:
    """Gaps of gateways that carry a visible point, newest first, those with an id below `before`.

    A gateway may carry several enterprises' points, so only the park is told how many readings a gap holds.
    """
    rows = connection.execute(
        """
        SELECT x.id, g.key, x.lane, x.from_seq, x.to_seq, us_of(x.from_ts), us_of(x.to_ts),
               CASE WHEN %(park)s THEN x.n END, x.reason, us_of(x.recorded_at)
        FROM gap x JOIN gateway g ON g.id = x.gateway_id
        WHERE (%(park)s OR EXISTS (SELECT FROM point p JOIN asset a ON a.id = p.asset_id
                                   WHERE p.stream_id = g.stream_id AND a.enterprise_id = ANY(%(tenants)s)))
          AND (%(gateway)s::text IS NULL OR g.key = %(gateway)s)
          AND (%(before)s::bigint IS NULL OR x.id < %(before)s)
        ORDER BY x.id DESC LIMIT %(limit)s
        """,
        {**scope.parameters(), "gateway": gateway, "before": before, "limit": limit},
    ).fetchall()
    return [GapRow(*row[:8], reason=reason_text(row[8]), recorded_at=row[9]) for row in rows]


@dataclass(frozen=True, slots=True)
class GapSpan:
    """What is known to be missing of a gateway, by time (µs UTC). `to_time` None: it has no end yet."""

    gateway: str
    from_time: int
    to_time: int | None
    reason: Text


def gaps_within(connection: Connection, points: Sequence[int], start: int, end: int) -> list[GapSpan]:
    """The gaps of these points' gateways that reach into [start, end) (µs), oldest first; those without a time are not.

    Whoever sees a point may know that of its gateway something is missing.
    """
    rows = connection.execute(
        """
        SELECT DISTINCT g.key, us_of(x.from_ts) AS begun, us_of(x.to_ts), x.reason
        FROM gap x JOIN gateway g ON g.id = x.gateway_id
        WHERE g.stream_id IN (SELECT stream_id FROM point WHERE id = ANY(%(points)s))
          AND x.from_ts < at_us(%(end)s) AND (x.to_ts IS NULL OR x.to_ts > at_us(%(start)s))
        ORDER BY begun, g.key
        """,
        {"points": list(points), "start": start, "end": end},
    ).fetchall()
    return [GapSpan(gateway, begun, ended, reason_text(reason)) for gateway, begun, ended, reason in rows]
