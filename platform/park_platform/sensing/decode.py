"""Row 5 of the path: the content of a batch becomes a frame of the centre's points."""

from dataclasses import dataclass

import numpy as np

from park_platform.storage.streams import PointMap
from park_sdk.frame import Bools, Floats, Frame, Int16s, Int64s
from park_wire.batch import Batch, Columns, Event
from park_wire.quality import BAD_SEVERITY, MARK_SHIFT, Mark, Quality


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch as readings and events of the centre. `faults`: in words, what of it could not be read."""

    frame: Frame
    events: tuple[Event, ...]
    faults: tuple[str, ...]


def decode_batch(batch: Batch, points: PointMap) -> Decoded:
    """Decode a batch against the birth of its config_version. Raises WireError when its readings are damaged.

    The frame keeps the batch's order; its quality is the database's coding. Readings of unknown indices and wrong
    events are left out and told in `faults`: the caller keeps the payload as a dead letter.
    """
    content = batch.content()
    columns = content.columns
    index = np.frombuffer(columns.index, np.uint32).astype(np.int64)
    at, known = _positions(index, points.indices)
    value = np.asarray(columns.value)
    frame = Frame(
        point=points.points[at[known]],
        time=np.frombuffer(columns.time, np.int64)[known],
        value=value[known],
        quality=_quality(columns, value)[known],
    )
    unknown = len(index) - len(frame)
    strange = (f"{unknown} readings have an index that no birth names",) if unknown else ()
    return Decoded(frame, content.events, strange + content.refused)


def _positions(index: Int64s, indices: Int64s) -> tuple[Int64s, Bools | slice]:
    """Where each index stands among the ascending `indices`, and which of them stand there at all."""
    if not len(indices) or not len(index):
        return np.zeros(len(index), np.int64), np.zeros(len(index), np.bool_)
    if indices[-1] == len(indices) - 1:
        # Indices that count from 0 stand where they say.
        known = index < len(indices)
        return index, slice(None) if known.all() else known
    at = np.minimum(np.searchsorted(indices, index), len(indices) - 1)
    known = indices[at] == index
    return at, slice(None) if known.all() else known


def _quality(columns: Columns, value: Floats) -> Int16s:
    quality = np.frombuffer(columns.quality, np.uint8).astype(np.int16)
    # Whatever a gateway says of it, NaN or an infinity is no measurement and must not judge a rule.
    quality[~np.isfinite(value) & ((quality & BAD_SEVERITY) == 0)] = Quality.BAD_NONSENSE
    if columns.mark is None:
        return quality
    mark = np.frombuffer(columns.mark, np.uint8).astype(np.int16)
    # A mark that this release does not know is no mark; the reading itself stays.
    return quality | (np.where(mark <= max(Mark), mark, 0) << MARK_SHIFT).astype(np.int16)
