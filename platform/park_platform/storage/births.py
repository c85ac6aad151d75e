"""Births: the points that a gateway names, and which of its versions is in force.

Several versions of a gateway's points can be on the way at once, because a backlog still speaks the former ones. What a
point is (quantity, range, period), and whether it is read at all, follows from the version that the live lane speaks.
"""

from park_platform.storage.connect import Connection
from park_platform.storage.streams import GatewayRow
from park_wire.messages import Birth


def lock_config(connection: Connection) -> None:
    """Take the installation's row before any stream or point, as `park apply` does, or the two wait in a circle."""
    connection.execute("SELECT FROM installation FOR UPDATE")


def save_birth(connection: Connection, gateway: GatewayRow, birth: Birth, content: bytes) -> None:
    """Create the points that a birth names and keep its map. A point's identity is gateway/device/name.

    The first birth of a gateway is in force at once, later ones when `put_in_force` says so: till then their new points
    count as not read. They are numbered in the order of their indices, so that readings come sorted by point.
    `content` is the message as it came.
    """
    points = sorted(birth.points, key=lambda point: point.index)
    connection.execute(
        """
        INSERT INTO point (stream_id, device, name, quantity, unit, low, high, period_ms, max_age_ms, asset_id, gone_at)
        SELECT %(stream)s, t.device, t.name, t.quantity, t.unit, t.low, t.high, t.period, greatest(3 * t.period, 3000),
               d.asset_id, now()
        FROM unnest(%(device)s::text[], %(name)s::text[], %(quantity)s::text[], %(unit)s::text[], %(low)s::float8[],
                    %(high)s::float8[], %(period)s::int[])
          WITH ORDINALITY AS t(device, name, quantity, unit, low, high, period, n)
        LEFT JOIN device d ON d.stream_id = %(stream)s AND d.key = t.device
        ORDER BY t.n
        ON CONFLICT (stream_id, device, name) DO NOTHING
        """,
        _columns(gateway, birth),
    )
    connection.execute(
        """
        INSERT INTO birth (gateway_id, config_version, indices, point_ids, content)
        SELECT %(gateway)s, %(version)s, COALESCE(array_agg(t.index ORDER BY t.index), '{}'),
               COALESCE(array_agg(p.id ORDER BY t.index), '{}'), %(content)s
        FROM unnest(%(index)s::bigint[], %(device)s::text[], %(name)s::text[]) AS t(index, device, name)
        JOIN point p ON p.stream_id = %(stream)s AND p.device = t.device AND p.name = t.name
        ON CONFLICT (gateway_id, config_version) DO NOTHING
        """,
        {
            "gateway": gateway.id,
            "version": birth.config_version,
            "content": content,
            "stream": gateway.stream,
            "index": [point.index for point in points],
            "device": [point.device for point in points],
            "name": [point.name for point in points],
        },
    )
    row = connection.execute("SELECT config_version FROM gateway WHERE id = %s", (gateway.id,)).fetchone()
    if row is not None and row[0] is None:
        put_in_force(connection, gateway, birth.config_version)
    connection.execute("UPDATE installation SET config_seq = config_seq + 1")


def put_in_force(connection: Connection, gateway: GatewayRow, config_version: bytes) -> None:
    """Let the points of a stream be what this version says; those that it does not name are gone. It must be known."""
    row = connection.execute(
        "SELECT content FROM birth WHERE gateway_id = %s AND config_version = %s", (gateway.id, config_version)
    ).fetchone()
    if row is None:
        return
    connection.execute(
        """
        WITH named AS (
          SELECT * FROM unnest(%(device)s::text[], %(name)s::text[], %(quantity)s::text[], %(unit)s::text[],
                               %(low)s::float8[], %(high)s::float8[], %(period)s::int[])
            AS t(device, name, quantity, unit, low, high, period)
        )
        UPDATE point p SET quantity = t.quantity, unit = t.unit, low = t.low, high = t.high, period_ms = t.period,
          max_age_ms = greatest(3 * t.period, 3000), gone_at = NULL
        FROM named t WHERE p.stream_id = %(stream)s AND p.device = t.device AND p.name = t.name
        """,
        _columns(gateway, Birth.decode(row[0])),
    )
    connection.execute(
        """
        UPDATE point p SET gone_at = now() FROM point x
        LEFT JOIN (SELECT unnest(point_ids) AS id FROM birth
                   WHERE gateway_id = %(gateway)s AND config_version = %(version)s) AS named ON named.id = x.id
        WHERE x.stream_id = %(stream)s AND x.system IS NULL AND x.gone_at IS NULL AND named.id IS NULL AND p.id = x.id
        """,
        {"gateway": gateway.id, "version": config_version, "stream": gateway.stream},
    )
    connection.execute("UPDATE gateway SET config_version = %s WHERE id = %s", (config_version, gateway.id))
    connection.execute("UPDATE installation SET config_seq = config_seq + 1")


def _columns(gateway: GatewayRow, birth: Birth) -> dict[str, object]:
    points = sorted(birth.points, key=lambda point: point.index)
    return {
        "stream": gateway.stream,
        "device": [point.device for point in points],
        "name": [point.name for point in points],
        "quantity": [point.quantity for point in points],
        "unit": [point.unit for point in points],
        "low": [point.low for point in points],
        "high": [point.high for point in points],
        "period": [point.period_ms for point in points],
    }
