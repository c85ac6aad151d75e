"""After a restore: what the backup did not have yet is missing until the gateways say otherwise (chain 4.1, 4.7)."""

from dataclasses import dataclass

from park_platform.gap_reasons import RESTORED
from park_platform.storage.alarms import Happening, record, store_chain, system_rules
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.journal import Chain
from park_wire.batch import Lane


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done. as_of: the last commit that the backup holds, µs UTC; None when it holds none."""

    as_of: int | None
    gateways: tuple[str, ...]
    gaps: int


def declare_restored(connection: Connection, now: int) -> Restored:
    """Let nobody go on as if this were the database of before, and say what may be missing.

    Workers that still run stop at their next commit. Each lane of each epoch gets an open-ended gap from the backup's
    time, with an alarm for its gateway; a gateway's next hello closes it, exactly. Run it before any worker starts.
    `now` in µs UTC.
    """
    with database_errors(), connection.transaction():
        connection.execute("UPDATE installation SET db_incarnation = gen_random_uuid()")
        connection.execute("SELECT FROM stream ORDER BY id FOR UPDATE")
        connection.execute("UPDATE stream SET owner = NULL, term = term + 1")
        connection.execute("DELETE FROM worker")
        row = connection.execute("SELECT us_of(max(committed_at)) FROM lane").fetchone()
        as_of = None if row is None else row[0]
        gaps = connection.execute(
            """
            INSERT INTO gap (gateway_id, epoch, lane, from_seq, from_ts, reason)
            SELECT e.gateway_id, e.epoch, e.lane, COALESCE(l.mark, 0) + 1, at_us(%s), %s
            FROM (SELECT gateway_id, epoch, unnest(%s::text[]) AS lane
                  FROM (SELECT gateway_id, epoch FROM epoch UNION SELECT gateway_id, epoch FROM lane) AS known) AS e
            LEFT JOIN lane l ON (l.gateway_id, l.epoch, l.lane) = (e.gateway_id, e.epoch, e.lane)
            WHERE NOT EXISTS (SELECT FROM gap g WHERE g.gateway_id = e.gateway_id AND g.epoch = e.epoch
                                AND g.lane = e.lane AND g.to_seq IS NULL)
            """,
            (as_of, RESTORED, [lane.value for lane in Lane]),
        ).rowcount
        gateways = connection.execute(
            """
            SELECT g.key, s.id, s.journal_seq, s.journal_head FROM gateway g JOIN stream s ON s.id = g.stream_id
            WHERE EXISTS (SELECT FROM lane l WHERE l.gateway_id = g.id) ORDER BY g.key
            """
        ).fetchall()
        rule, priority = system_rules(connection)["gateway-gap"]
        for key, stream, seq, head in gateways:
            happenings = [
                Happening(at=now, kind=kind, rule=rule, priority=priority, subject=key, note=RESTORED)
                for kind in ("raised", "cleared")
            ]
            store_chain(connection, stream, record(connection, stream, Chain(seq, head), happenings, now))
    return Restored(as_of, tuple(key for key, *_ in gateways), gaps)
