"""Marks and gaps of lanes, within a commit: how far each is stored, and what is missing."""

from collections.abc import Sequence

from park_platform.storage.connect import Connection
from park_platform.storage.work import Gap, Work
from park_wire.batch import Lane
from park_wire.errors import OwnershipLost


def move_marks(connection: Connection, works: Sequence[Work]) -> None:
    """Move every mark from where the worker thinks that it stands. Raises OwnershipLost when one stands elsewhere."""
    moves = [(work.gateway, move) for work in works for move in work.moves]
    if not moves:
        return
    if first := [(gateway, move.epoch, move.lane) for gateway, move in moves if move.before == 0]:
        connection.execute(
            """
            INSERT INTO lane (gateway_id, epoch, lane) SELECT * FROM unnest(%s::int[], %s::bytea[], %s::text[])
            ON CONFLICT DO NOTHING
            """,
            tuple(list(column) for column in zip(*first, strict=True)),
        )
    moved = connection.execute(
        """
        UPDATE lane l SET mark = m.mark, head = m.head, committed_at = now(), until = greatest(l.until, at_us(m.until))
        FROM unnest(%s::int[], %s::bytea[], %s::text[], %s::bigint[], %s::bigint[], %s::bytea[], %s::bigint[])
          AS m(gateway_id, epoch, lane, before, mark, head, until)
        WHERE l.gateway_id = m.gateway_id AND l.epoch = m.epoch AND l.lane = m.lane AND l.mark = m.before
        """,
        (
            [gateway for gateway, _ in moves],
            [move.epoch for _, move in moves],
            [move.lane for _, move in moves],
            [move.before for _, move in moves],
            [move.mark for _, move in moves],
            [move.head for _, move in moves],
            [move.until for _, move in moves],
        ),
    ).rowcount
    if moved != len(moves):
        raise OwnershipLost(
            f"{len(moves) - moved} of {len(moves)} marks are not where this worker left them: somebody else committed "
            "for its gateways"
        )


def save_gaps(connection: Connection, works: Sequence[Work]) -> None:
    """Write what will not come, shrink what came after all, and end the gaps of lanes that are not lost."""
    for work in works:
        for epoch, lane in work.recovered:
            connection.execute(
                "DELETE FROM gap WHERE gateway_id = %s AND epoch = %s AND lane = %s AND to_seq IS NULL",
                (work.gateway, epoch, lane),
            )
        for epoch, lane, last_seq in work.closed:
            connection.execute(
                "UPDATE gap SET to_seq = %s WHERE gateway_id = %s AND epoch = %s AND lane = %s AND to_seq IS NULL",
                (last_seq, work.gateway, epoch, lane),
            )
    if gaps := [(work.gateway, gap) for work in works for gap in work.gaps]:
        with connection.cursor() as cursor:
            cursor.executemany(
                """
                INSERT INTO gap (gateway_id, epoch, lane, from_seq, to_seq, from_ts, to_ts, n, reason)
                VALUES (%s, %s, %s, %s, %s, at_us(%s), at_us(%s), %s, %s)
                """,
                [(gateway, *_columns(gap)) for gateway, gap in gaps],
            )
    # After the gaps: the one that a batch fills may have been found in this very commit.
    for work in works:
        for epoch, lane, made_at in work.renewed:
            connection.execute(
                """
                UPDATE gap SET to_ts = at_us(%s)
                WHERE gateway_id = %s AND epoch = %s AND lane = %s AND to_seq IS NULL AND to_ts IS NULL
                """,
                (made_at, work.gateway, epoch, lane),
            )
        for epoch, lane, seq in work.filled:
            _fill(connection, work.gateway, epoch, lane, seq)
    # A lane that was given up and goes on nevertheless: what it commits is not missing.
    if moves := [
        (work.gateway, move.epoch, move.lane, move.mark) for work in works for move in work.moves if move.lost
    ]:
        connection.execute(
            """
            UPDATE gap g SET from_seq = m.mark + 1
            FROM unnest(%s::int[], %s::bytea[], %s::text[], %s::bigint[]) AS m(gateway_id, epoch, lane, mark)
            WHERE g.gateway_id = m.gateway_id AND g.epoch = m.epoch AND g.lane = m.lane AND g.to_seq IS NULL
              AND g.from_seq <= m.mark
            """,
            tuple(list(column) for column in zip(*moves, strict=True)),
        )


def _columns(gap: Gap) -> tuple[object, ...]:
    return gap.epoch, gap.lane, gap.from_seq, gap.to_seq, gap.from_ts, gap.to_ts, gap.n, gap.reason


def _fill(connection: Connection, gateway: int, epoch: bytes, lane: Lane, seq: int) -> None:
    connection.execute(
        """
        WITH found AS (
          DELETE FROM gap WHERE gateway_id = %(gateway)s AND epoch = %(epoch)s AND lane = %(lane)s
            AND %(seq)s BETWEEN from_seq AND to_seq RETURNING *
        )
        INSERT INTO gap (gateway_id, epoch, lane, from_seq, to_seq, from_ts, to_ts, n, reason, recorded_at)
        SELECT gateway_id, epoch, lane, part.first, part.last, from_ts, to_ts, NULL, reason, recorded_at
        FROM found, LATERAL (VALUES (from_seq, %(seq)s - 1), (%(seq)s + 1, to_seq)) AS part(first, last)
        WHERE part.first <= part.last
        """,
        {"gateway": gateway, "epoch": epoch, "lane": lane, "seq": seq},
    )
