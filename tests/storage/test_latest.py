import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from park_platform.storage.connect import Connection
from park_platform.storage.latest import pack_image, read_latest, recover_image, unpack_image
from park_platform.storage.readings import copy_readings
from park_sdk.frame import NEVER, Image
from park_wire.errors import WireError
from support.database import ParkDatabase
from support.series import DAY, NOON, Row, add_points, add_stream, as_bytes, frame_of, ids


def save(connection: Connection, stream: int, image: Image, live_seq: int = 1) -> None:
    connection.execute(
        """
        INSERT INTO latest_pack (stream_id, packed, live_seq) VALUES (%s, %s, %s)
        ON CONFLICT (stream_id) DO UPDATE SET packed = EXCLUDED.packed, live_seq = EXCLUDED.live_seq
        """,
        (stream, pack_image(image), live_seq),
    )


def shown(image: Image) -> dict[int, tuple[int, bytes, int]]:
    return {
        point: (time, as_bytes(value), quality)
        for point, time, value, quality in zip(
            image.point.tolist(), image.time.tolist(), image.value.tolist(), image.quality.tolist(), strict=True
        )
        if time != NEVER
    }


def newest(rows: list[Row]) -> dict[int, tuple[int, bytes, int]]:
    return {p: (t, as_bytes(v), q) for p, t, v, q in sorted(rows, key=lambda row: row[1])}


def image_of(rows: list[Row], points: list[int]) -> Image:
    image = Image.blank(ids(points))
    for row in sorted(rows, key=lambda row: row[1]):
        image.show(frame_of([row]))
    return image


def test_packing_is_exact() -> None:
    image = Image(
        ids([1, 7, 9]),
        np.array([NEVER, NOON, -5], np.int64),
        np.array([math.nan, -0.0, 1e308]),
        np.array([0, 0x3FFF, 0x84], np.int16),
    )
    again = unpack_image(pack_image(image))
    for column in ("point", "time", "value", "quality"):
        before, after = getattr(image, column), getattr(again, column)
        assert before.dtype == after.dtype
        assert before.tobytes() == after.tobytes()
        after[:1] = 0  # it may be changed in place
    with pytest.raises(WireError, match="packed image"):
        unpack_image(b"\xa0")


def test_a_stream_without_points_or_readings(admin: Connection, ingest: Connection) -> None:
    stream, _ = add_stream(admin, 0)
    assert len(recover_image(ingest, stream)) == 0
    stream, points = add_stream(admin, 2)
    image = recover_image(ingest, stream)
    assert image.point.tolist() == points
    assert image.time.tolist() == [NEVER] * 2


_rows = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(-3, 3), st.sampled_from([0, 0, 40 * DAY]), st.sampled_from([1.0, math.nan])
    ),
    max_size=8,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(packed=_rows, newer=_rows, pack=st.booleans())
def test_recovery_is_exact(
    admin: Connection,
    ingest: Connection,
    packed: list[tuple[int, int, int, float]],
    newer: list[tuple[int, int, int, float]],
    pack: bool,
) -> None:
    stream, points = add_stream(admin, 3)
    add_stream(admin, 1)
    kept: dict[tuple[int, int], Row] = {}
    for rows in (packed, newer):
        batch: list[Row] = [(points[p], NOON + t - back, value, 0) for p, t, back, value in rows]
        for row in batch:
            kept.setdefault(row[:2], row)
        with ingest.transaction():
            copy_readings(ingest, frame_of(batch), now=NOON)
        if rows is packed and pack:
            save(ingest, stream, image_of(list(kept.values()), points))
    # A point that was made after the pack.
    late = add_points(admin, stream, 1)
    with ingest.transaction():
        copy_readings(ingest, frame_of([(late[0], NOON - 60 * DAY, 3.0, 0)]), now=NOON)
    image = recover_image(ingest, stream)
    assert image.point.tolist() == sorted(points + late)
    assert shown(image) == newest(list(kept.values())) | {late[0]: (NOON - 60 * DAY, as_bytes(3.0), 0)}


def test_the_api_reads_what_it_asks_for(park: ParkDatabase, admin: Connection, ingest: Connection) -> None:
    one, [a, b] = add_stream(admin, 2)
    two, [c] = add_stream(admin, 1)
    _, [d] = add_stream(admin, 1)
    save(ingest, one, image_of([(a, NOON, 1.0, 0), (b, NOON + 1, 2.0, 0x80)], [a, b]), live_seq=7)
    save(ingest, two, image_of([(c, NOON + 2, 3.0, 0)], [c]), live_seq=9)
    with park.connection("api") as api:
        latest = read_latest(api, ids([b, d, c, 999_999]))
        assert latest.image.point.tolist() == sorted([b, c, d, 999_999])
        assert shown(latest.image) == {b: (NOON + 1, as_bytes(2.0), 0x80), c: (NOON + 2, as_bytes(3.0), 0)}
        names = dict(admin.execute("SELECT id, name FROM stream").fetchall())
        assert latest.seq == {names[one]: 7, names[two]: 9}
        assert read_latest(api, ids([])).seq == {}
