"""Gateways that are not heard any more: the one alarm that needs the centre's clock (chain 5)."""

from dataclasses import dataclass
from typing import Final

from park_platform.storage.alarms import Happening, record, store_chain, system_rules
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.journal import Chain
from park_platform.storage.workers import DEAD_AFTER_S

_RULE: Final = "gateway-silent"


@dataclass(frozen=True, slots=True)
class Watched:
    """A gateway, when it was last heard (µs UTC), and whether its alarm is raised and not cleared."""

    gateway: str
    heard_at: int
    alarmed: bool


def watch_silence(connection: Connection, silent_after_us: int, now: int) -> list[str]:
    """Raise or clear "gateway silent" for every gateway, on the `park` stream; returns the gateways that changed.

    A gateway is judged only while a living worker listens to it, and only after that worker has listened long enough:
    an intake that was down says nothing about gateways. `now` is the database's clock in µs UTC.
    """
    with database_errors(), connection.transaction():
        park = connection.execute(
            "SELECT id, journal_seq, journal_head FROM stream WHERE kind = 'park' FOR UPDATE"
        ).fetchone()
        if park is None:
            return []
        rule, priority = system_rules(connection)[_RULE]
        happenings = [
            Happening(
                at=watched.heard_at if watched.alarmed else watched.heard_at + silent_after_us,
                kind="cleared" if watched.alarmed else "raised",
                rule=rule,
                priority=priority,
                subject=watched.gateway,
            )
            for watched in _watched(connection, rule, silent_after_us)
            if watched.alarmed != (now - watched.heard_at > silent_after_us)
        ]
        if happenings:
            stream, seq, head = park
            store_chain(connection, stream, record(connection, stream, Chain(seq, head), happenings, now))
    return [happening.subject for happening in happenings]


def _watched(connection: Connection, rule: int, silent_after_us: int) -> list[Watched]:
    rows = connection.execute(
        """
        SELECT g.key, us_of(GREATEST(g.heard_at, w.started_at, g.made_at)),
               EXISTS (SELECT FROM alarm a WHERE a.rule_id = %s AND a.subject = g.key AND a.closed_at IS NULL
                         AND a.state IN ('unacknowledged', 'acknowledged'))
        FROM gateway g JOIN stream s ON s.id = g.stream_id JOIN worker w ON w.id = s.owner
        WHERE w.beat_at > clock_timestamp() - make_interval(secs => %s)
          AND w.started_at < clock_timestamp() - %s * interval '1 microsecond'
        """,
        (rule, DEAD_AFTER_S, silent_after_us),
    ).fetchall()
    return [Watched(*row) for row in rows]


def database_clock(connection: Connection) -> int:
    """The database's clock in µs UTC."""
    with database_errors():
        row = connection.execute("SELECT us_of(clock_timestamp())").fetchone()
    assert row is not None  # noqa: S101  # a SELECT of scalars always has a row
    return row[0]


def hold_operate_lock(connection: Connection) -> bool:
    """Whether this session is the one that operates the park; the lock goes with the connection."""
    with database_errors():
        row = connection.execute("SELECT pg_try_advisory_lock(hashtext('park operate'))").fetchone()
    return row is not None and bool(row[0])
