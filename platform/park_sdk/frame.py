"""Readings and the last known values of points, as arrays."""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Int16s: TypeAlias = NDArray[np.int16]
Int32s: TypeAlias = NDArray[np.int32]
Int64s: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.intp]

NEVER: Final = np.iinfo(np.int64).min
"""The time of what has not happened yet."""
FOREVER: Final = np.iinfo(np.int64).max
"""The due time of what is not going to happen."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Readings of one stream as columns of one length n.

    point: i32[n], ids of the centre. time: i64[n], µs since 1970 UTC. value: f64[n], in the quantity's canonical unit.
    quality: i16[n], the database's coding (park_wire.quality). A frame that `evaluate` gets is sorted by (point, time),
    holds no two rows with equal (point, time) and no late row.
    """

    point: Int32s
    time: Int64s
    value: Floats
    quality: Int16s

    def __len__(self) -> int:
        """How many readings."""
        return len(self.point)

    def take(self, rows: Rows | Bools) -> "Frame":
        """The rows that an index array or a mask names."""
        return Frame(self.point[rows], self.time[rows], self.value[rows], self.quality[rows])

    @staticmethod
    def empty() -> "Frame":
        """A frame without readings."""
        return Frame(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.int16))

    @staticmethod
    def joined(frames: list["Frame"]) -> "Frame":
        """The readings of several frames, one after the other."""
        if len(frames) == 1:
            return frames[0]
        return Frame(
            np.concatenate([frame.point for frame in frames]),
            np.concatenate([frame.time for frame in frames]),
            np.concatenate([frame.value for frame in frames]),
            np.concatenate([frame.quality for frame in frames]),
        )


@dataclass(slots=True)
class Image:
    """The last in-order reading of every point of a stream; `time` is the point's watermark.

    point: i32[p], ascending and unique. time: i64[p], NEVER before the first reading. value: f64[p]. quality: i16[p].
    """

    point: Int32s
    time: Int64s
    value: Floats
    quality: Int16s

    def __len__(self) -> int:
        """How many points."""
        return len(self.point)

    @staticmethod
    def blank(points: Int32s) -> "Image":
        """An image of these points without any reading."""
        ordered = np.unique(points).astype(np.int32)
        n = len(ordered)
        return Image(ordered, np.full(n, NEVER), np.full(n, np.nan), np.zeros(n, np.int16))

    def slots(self, points: Int32s) -> Rows:
        """Where these points stand in the image. Every point must be in it."""
        return np.searchsorted(self.point, points)

    def show(self, frame: Frame) -> None:
        """Take over the last row of each point of a frame that is sorted by (point, time) and holds no late row."""
        if not len(frame):
            return
        last = np.flatnonzero(np.append(frame.point[1:] != frame.point[:-1], True))
        slots = self.slots(frame.point[last])
        self.time[slots] = frame.time[last]
        self.value[slots] = frame.value[last]
        self.quality[slots] = frame.quality[last]
