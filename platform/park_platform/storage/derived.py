"""What derivations need of the database: assets and points, derived points, past readings, and who is fenced."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from park_platform.derivations import Fenced
from park_platform.storage.columns import read_columns
from park_platform.storage.connect import Connection
from park_platform.storage.work import Notice
from park_sdk.bind import PointView, Wanted
from park_sdk.derivation import AssetView, ZoneView
from park_sdk.frame import Frame, Int32s, Int64s
from park_wire.quantities import QUANTITIES


def enabled_settings(connection: Connection) -> dict[str, dict[str, Any]]:
    """The systems that the park has enabled, with their settings as park.toml has them."""
    return dict(connection.execute("SELECT key, settings FROM system ORDER BY key").fetchall())


@dataclass(frozen=True, slots=True)
class ParkViews:
    """Assets by id order and zones of the park, and its time zone, as systems see them."""

    assets: tuple[AssetView, ...]
    zones: tuple[ZoneView, ...]
    time_zone: str


def park_views(connection: Connection) -> ParkViews:
    """What systems see of the park."""
    assets = connection.execute(
        """
        SELECT a.key, a.kind, e.key, z.key, f.key, a.design FROM asset a
        LEFT JOIN enterprise e ON e.id = a.enterprise_id LEFT JOIN zone z ON z.id = a.zone_id
        LEFT JOIN asset f ON f.id = a.fed_from_id ORDER BY a.id
        """
    ).fetchall()
    zones = connection.execute("SELECT key, outline FROM zone ORDER BY id").fetchall()
    row = connection.execute("SELECT time_zone FROM installation").fetchone()
    return ParkViews(
        tuple(AssetView(*asset) for asset in assets),
        tuple(ZoneView(key, tuple((lon, lat) for lon, lat in outline)) for key, outline in zones),
        "UTC" if row is None else row[0],
    )


def point_views(connection: Connection, stream: int | None, *, derived: bool) -> dict[str, list[PointView]]:
    """The points in use that have an asset, by its key. stream: only its points.

    derived: those too that stream derivations give. What the park stream gives nobody reads: it has no minutes yet when
    its next step is computed.
    """
    found: dict[str, list[PointView]] = {}
    for row in connection.execute(
        """
        SELECT p.id, a.key, p.quantity, p.name, p.period_ms::bigint * 1000, p.max_age_ms::bigint * 1000
        FROM point p JOIN asset a ON a.id = p.asset_id JOIN stream s ON s.id = p.stream_id
        WHERE p.gone_at IS NULL AND (%(stream)s::int IS NULL OR p.stream_id = %(stream)s)
          AND (p.system IS NULL OR (%(derived)s AND s.kind <> 'park'))
        ORDER BY p.id
        """,
        {"stream": stream, "derived": derived},
    ):
        found.setdefault(row[1], []).append(PointView(*row))
    return found


def keep_derived_points(
    connection: Connection, stream: int, wanted: Sequence[Wanted], unusable: Collection[str]
) -> dict[tuple[str, str], int]:
    """Let the stream's derived points be these; returns their ids by (asset, name). Locks nothing by itself.

    A derived point that is no longer wanted counts as gone, as one does that a gateway no longer names; but the points
    of `unusable` systems, which the park wants and can't have now, stay: their alarms must not return to normal.
    """
    there = {
        (asset, name): (number, gone, derivation, period)
        for number, asset, name, gone, derivation, period in connection.execute(
            """
            SELECT p.id, p.device, p.name, p.gone_at IS NOT NULL, p.derivation, p.period_ms FROM point p
            WHERE p.stream_id = %s AND p.system IS NOT NULL AND p.system <> ALL(%s)
            """,
            (stream, list(unusable)),
        )
    }
    wishes = {(each.asset, each.name): each for each in wanted}
    missing = [
        each
        for key, each in wishes.items()
        if key not in there or there[key][1:] != (False, each.derivation, _period_ms(each))
    ]
    over = [number for key, (number, gone, *_) in there.items() if key not in wishes and not gone]
    if missing:
        _save(connection, stream, missing)
    if over:
        connection.execute("UPDATE point SET gone_at = now() WHERE id = ANY(%s)", (over,))
    if not missing and not over:
        return {key: number for key, (number, *_) in there.items() if key in wishes}
    connection.execute("UPDATE installation SET config_seq = config_seq + 1")
    return derived_points(connection, stream)


def derived_points(connection: Connection, stream: int) -> dict[tuple[str, str], int]:
    """The derived points of a stream that are in use, by (asset, name)."""
    rows = connection.execute(
        "SELECT device, name, id FROM point WHERE stream_id = %s AND system IS NOT NULL AND gone_at IS NULL", (stream,)
    )
    return {(asset, name): number for asset, name, number in rows}


def _save(connection: Connection, stream: int, missing: Iterable[Wanted]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO point (stream_id, device, name, quantity, unit, low, high, period_ms, max_age_ms, asset_id,
                               system, derivation)
            SELECT %(stream)s, a.key, %(name)s, %(quantity)s, %(unit)s, %(low)s, %(high)s, %(period)s,
                   greatest(3 * %(period)s, 3000), a.id, %(system)s, %(derivation)s
            FROM asset a WHERE a.key = %(asset)s
            ON CONFLICT (stream_id, device, name) DO UPDATE SET gone_at = NULL, period_ms = EXCLUDED.period_ms,
              max_age_ms = EXCLUDED.max_age_ms, derivation = EXCLUDED.derivation, asset_id = EXCLUDED.asset_id,
              unit = EXCLUDED.unit, low = EXCLUDED.low, high = EXCLUDED.high
            """,
            [_row(stream, each) for each in missing],
        )


def _row(stream: int, wanted: Wanted) -> Mapping[str, Any]:
    entry = QUANTITIES[wanted.quantity]
    return {
        "stream": stream,
        "name": wanted.name,
        "quantity": wanted.quantity,
        "unit": entry.unit,
        "low": entry.low,
        "high": entry.high,
        "period": _period_ms(wanted),
        "asset": wanted.asset,
        "system": wanted.system,
        "derivation": wanted.derivation,
    }


def _period_ms(wanted: Wanted) -> int:
    return max(1, wanted.period // 1_000)


def past_readings(connection: Connection, points: Int32s, start: Int64s) -> Frame:
    """The in-order readings of each of these points since its `start` (µs), sorted by (point, time)."""
    if not len(points):
        return Frame.empty()
    columns = read_columns(
        connection,
        """
        SELECT r.point_id, r.ts, r.value, r.quality
        FROM unnest(%(points)s::int[], %(start)s::bigint[]) AS p(id, start)
        JOIN reading r ON r.point_id = p.id AND r.ts >= at_us(p.start) AND r.ts >= at_us(%(first)s)
        WHERE (r.quality & 4096) = 0
        """,
        {"points": points.tolist(), "start": start.tolist(), "first": int(start.min())},
        {"point_id": "i4", "ts": "time", "value": "f8", "quality": "i2"},
    )
    order = np.lexsort((columns["ts"], columns["point_id"]))
    return Frame(columns["point_id"][order], columns["ts"][order], columns["value"][order], columns["quality"][order])


def save_fenced(connection: Connection, stream: int, fenced: Sequence[Fenced]) -> list[tuple[Notice, str]]:
    """Keep which derivations raised; returns the notices to give, one for each that was not fenced before."""
    notices: list[tuple[Notice, str]] = []
    for each in fenced:
        kept = connection.execute(
            """
            INSERT INTO derivation_fault (stream_id, system, derivation, reason) VALUES (%s, %s, %s, %s)
            ON CONFLICT DO NOTHING
            """,
            (stream, each.system, each.derivation, each.reason.replace("\0", "")[:1_000]),
        )
        if kept.rowcount:
            notices.append(("system-fenced", f"{each.system}/{each.derivation}"))
    return notices


def forget_fenced(connection: Connection, stream: int) -> None:
    """A stream was loaded anew: what raised before gets another try."""
    connection.execute("DELETE FROM derivation_fault WHERE stream_id = %s", (stream,))
