"""The last reading of every point: packed once a second with a commit, read by the console, recovered by a worker.

A pack may lag a second behind; `recover_image` is exact: a point's watermark is the newest time among its readings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from park_platform.storage.columns import read_columns
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.work import Committed, Work
from park_sdk.frame import NEVER, Frame, Image, Int32s
from park_wire import cbor

_VERSION: Final = 1
# The year 1 in µs: before every reading, and a time that PostgreSQL can hold.
_LONG_AGO: Final = -62_135_596_800_000_000


@dataclass(frozen=True, slots=True)
class Latest:
    """The last known readings of the points that were asked for.

    `seq`: for each stream, by name, the sequence of live values up to which this picture goes.
    """

    image: Image
    seq: Mapping[str, int]


def pack_image(image: Image) -> bytes:
    """An image as CBOR with typed arrays."""
    return cbor.encode(
        {
            "v": _VERSION,
            "point": memoryview(image.point.tobytes()).cast("i"),
            "time": memoryview(image.time.tobytes()).cast("q"),
            "value": memoryview(image.value.tobytes()).cast("d"),
            # RFC 8746 has int16, park_wire.cbor has no use for it.
            "quality": memoryview(image.quality.astype(np.int32).tobytes()).cast("i"),
        }
    )


def unpack_image(packed: bytes) -> Image:
    """The image that `pack_image` packed. Raises WireError when it is something else."""
    fields = cbor.Fields(cbor.decode(packed), "packed image")
    fields.integer("v", _VERSION, _VERSION)
    return Image(
        np.frombuffer(fields.ints("point", "i"), np.int32).copy(),
        np.frombuffer(fields.ints("time", "q"), np.int64).copy(),
        np.frombuffer(bytes(fields.floats("value", "d")), np.float64).copy(),
        np.frombuffer(fields.ints("quality", "i"), np.int32).astype(np.int16),
    )


def save_packs(connection: Connection, works: Sequence[Work], done: Sequence[Committed]) -> None:
    """Write the packed images of the streams whose turn it is, as they are after this commit."""
    packs = [
        (work.claim.stream, pack_image(_after(work.image, committed)), committed.live_seq)
        for work, committed in zip(works, done, strict=True)
        if work.pack
    ]
    if packs:
        with connection.cursor() as cursor:
            cursor.executemany(
                """
                INSERT INTO latest_pack (stream_id, packed, live_seq) VALUES (%s, %s, %s)
                ON CONFLICT (stream_id) DO UPDATE SET packed = EXCLUDED.packed, live_seq = EXCLUDED.live_seq
                """,
                packs,
            )


def _after(before: Image, committed: Committed) -> Image:
    image = Image(before.point, before.time.copy(), before.value.copy(), before.quality.copy())
    image.show(committed.ticked.shown)
    return image


def read_latest(connection: Connection, points: Int32s) -> Latest:
    """The last readings of these points as the packs have them; the caller has cut `points` down to what may be seen.

    A point without a reading, or that does not exist, has time NEVER and value NaN.
    """
    image = Image.blank(points)
    with database_errors():
        packs = connection.execute(
            "SELECT s.name, k.live_seq, k.packed FROM packs_of(%s) k JOIN stream s ON s.id = k.stream_id",
            (image.point.tolist(),),
        ).fetchall()
    for _, _, packed in packs:
        _overlay(image, unpack_image(packed))
    return Latest(image, {name: seq for name, seq, _ in packs})


def recover_image(connection: Connection, stream: int) -> Image:
    """The exact image of a stream's points, for the worker that owns the stream and commits nothing meanwhile."""
    with database_errors():
        rows = connection.execute("SELECT id FROM point WHERE stream_id = %s ORDER BY id", (stream,)).fetchall()
        image = Image.blank(np.array([point for (point,) in rows], np.int32))
        row = connection.execute("SELECT packed FROM latest_pack WHERE stream_id = %s", (stream,)).fetchone()
        if row is not None:
            _overlay(image, unpack_image(row[0]))
        newer = _newest_after(connection, image)
    # No reading can be stored twice for one time, so one row a point: sorted and without late rows.
    order = np.argsort(newer.point)
    image.show(newer.take(order))
    return image


def _overlay(image: Image, packed: Image) -> None:
    """Copy the packed points that the image has."""
    if not len(image) or not len(packed):
        return
    slots = np.minimum(np.searchsorted(image.point, packed.point), len(image) - 1)
    known = image.point[slots] == packed.point
    slots = slots[known]
    columns: tuple[tuple[NDArray[Any], NDArray[Any]], ...] = (
        (image.time, packed.time),
        (image.value, packed.value),
        (image.quality, packed.quality),
    )
    for column, source in columns:
        column[slots] = source[known]


def _newest_after(connection: Connection, image: Image) -> Frame:
    """The newest reading of each point that is newer than what the image shows, if there is one."""
    parts: list[Frame] = []
    # The points that were seen need only the partitions from the oldest watermark on; the others need all.
    for rows in (np.flatnonzero(image.time != NEVER), np.flatnonzero(image.time == NEVER)):
        if not len(rows):
            continue
        after = np.maximum(image.time[rows], _LONG_AGO)
        columns = read_columns(
            connection,
            """
            SELECT newest.* FROM unnest(%(points)s::int[], %(after)s::bigint[]) AS seen(point_id, us)
            CROSS JOIN LATERAL (
              SELECT r.point_id, r.ts, r.value, r.quality FROM reading r
              WHERE r.point_id = seen.point_id AND r.ts > at_us(seen.us) AND r.ts > at_us(%(oldest)s)
              ORDER BY r.ts DESC LIMIT 1
            ) AS newest
            """,
            {"points": image.point[rows].tolist(), "after": after.tolist(), "oldest": int(after.min())},
            {"point_id": "i4", "ts": "time", "value": "f8", "quality": "i2"},
        )
        parts.append(Frame(columns["point_id"], columns["ts"], columns["value"], columns["quality"]))
    return Frame.joined(parts) if parts else Frame.empty()
