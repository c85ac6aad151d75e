"""What `park up --check` looks at in the database: evidence that a hop works."""

from dataclasses import dataclass

from park_platform.storage.connect import Connection, database_errors


@dataclass(frozen=True, slots=True)
class Proof:
    """Counts since the database was made; times in µs UTC. `age_ms`: of the newest reading, by the database's clock."""

    owned: int
    batches: int
    readings: int
    age_ms: float | None
    transitions: int
    alarm_at: int | None
    alarm_recorded_at: int | None


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """What whoever operates the park does.

    asked_at: when it last asked something of the database, µs UTC; None: nobody holds the lock of those who operate.
    rolled_streams: the streams whose rollup is not more than a minute behind what is complete.
    """

    asked_at: int | None
    rolled_streams: int


def read_housekeeping(connection: Connection) -> Housekeeping:
    """Look after who operates this database; `connection` is of the role `operate`, which sees its own sessions."""
    with database_errors():
        row = connection.execute(
            """
            SELECT (SELECT us_of(max(a.state_change)) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
                     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                       AND (l.classid::bigint << 32 | l.objid::bigint) = hashtext('park operate')::bigint),
                   (SELECT count(*) FROM stream s JOIN rollup_progress p ON p.stream_id = s.id
                     WHERE p.done >= date_trunc('minute', s.event_until) - interval '1 minute')
            """
        ).fetchone()
    assert row is not None  # noqa: S101  # a SELECT of scalars always has a row
    return Housekeeping(*row)


def read_proof(connection: Connection, rule: str, asset: str) -> Proof:
    """Read the evidence; the alarm is the newest raise of `rule` on a point of `asset`."""
    with database_errors():
        row = connection.execute(
            """
            SELECT (SELECT count(*) FROM stream WHERE owner IS NOT NULL),
                   (SELECT COALESCE(sum(mark), 0)::bigint FROM lane),
                   (SELECT count(*) FROM reading WHERE ts > now() - interval '10 minutes'),
                   (SELECT extract(epoch FROM clock_timestamp() - max(ts)) * 1000 FROM reading
                     WHERE ts > now() - interval '10 minutes')::float8,
                   (SELECT count(*) FROM journal)
            """
        ).fetchone()
        alarm = connection.execute(
            """
            SELECT us_of(j.at), us_of(j.recorded_at) FROM journal j JOIN rule r ON r.id = j.rule_id
            JOIN point p ON p.id = j.point_id JOIN asset a ON a.id = p.asset_id
            WHERE j.kind = 'raised' AND r.key = %s AND a.key = %s ORDER BY j.at DESC LIMIT 1
            """,
            (rule, asset),
        ).fetchone()
    assert row is not None  # noqa: S101  # a SELECT of scalars always has a row
    at, recorded_at = alarm or (None, None)
    return Proof(*row, alarm_at=at, alarm_recorded_at=recorded_at)
