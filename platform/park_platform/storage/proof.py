"""What `park up --check` looks at in the database: evidence that a hop works."""

from dataclasses import dataclass

from park_platform.storage.connect import Connection, database_errors


@dataclass(frozen=True, slots=True)
class Proof:
    """Counts since the database was made; times in µs UTC. `age_ms`: of the newest reading, by the database's clock.

    operated: somebody holds the lock of those who operate the park.
    """

    owned: int
    batches: int
    readings: int
    age_ms: float | None
    operated: bool
    rolled_streams: int
    transitions: int
    alarm_at: int | None
    alarm_recorded_at: int | None


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
                   EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
                     AND (classid::bigint << 32 | objid::bigint) = hashtext('park operate')::bigint),
                   (SELECT count(*) FROM rollup_progress),
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
