"""Row 5 of the path: the content of a batch becomes a frame of the centre's points."""

from dataclasses import dataclass

import numpy as np

from park_platform.storage.streams import PointMap
from park_sdk.frame import Bools, Frame, Int16s, Int64s
from park_wire.batch import Batch, Columns, Event
from park_wire.quality import MARK_SHIFT

_MARKS = 9


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch as readings of the centre. `unknown`: how many readings name an index that the birth does not."""

    frame: Frame
    events: tuple[Event, ...]
    unknown: int


def decode_batch(batch: Batch, points: PointMap) -> Decoded:
    """Decode a batch against the birth of its config_version. Raises WireError when the content is damaged.

    The frame keeps the batch's order; its quality is the database's coding. Readings of unknown indices are left out
    and counted: the caller keeps the payload as a dead letter.
    """
    content = batch.content()
    columns = content.columns
    index = np.frombuffer(columns.index, np.uint32)
    found, known = _positions(index.astype(np.int64), points.indices)
    rows = slice(None) if known.all() else known
    frame = Frame(
        point=points.points[found[rows]],
        time=np.frombuffer(columns.time, np.int64)[rows],
        value=np.asarray(columns.value)[rows],
        quality=_quality(columns)[rows],
    )
    return Decoded(frame, content.events, len(index) - len(frame))


def _positions(index: Int64s, indices: Int64s) -> tuple[Int64s, Bools]:
    if not len(indices):
        return np.zeros(len(index), np.int64), np.zeros(len(index), np.bool_)
    at = np.minimum(np.searchsorted(indices, index), len(indices) - 1)
    return at, indices[at] == index


def _quality(columns: Columns) -> Int16s:
    quality = np.frombuffer(columns.quality, np.uint8).astype(np.int16)
    if columns.mark is None:
        return quality
    mark = np.frombuffer(columns.mark, np.uint8).astype(np.int16)
    # A mark that this release does not know is no mark; the reading itself stays.
    return quality | (np.where(mark < _MARKS, mark, 0) << MARK_SHIFT).astype(np.int16)
