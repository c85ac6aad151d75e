"""The last value of every point, as columns, with a number on each change: so a reader asks what is new since a number.

A slow reader loses only values that were overtaken by newer ones.
"""

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from park_sdk.frame import NEVER, Floats, Int16s, Int32s, Int64s


@dataclass(frozen=True, slots=True)
class Values:
    """Values of n points, ascending by point: i32[n], time i64[n] µs UTC, value f64[n], quality i16[n]."""

    point: Int32s
    time: Int64s
    value: Floats
    quality: Int16s

    def __len__(self) -> int:
        """How many points."""
        return len(self.point)


class Board:
    """Written by the feed and the watch, read for every client; all from different threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._point: Int32s = np.empty(0, np.int32)
        self._time: Int64s = np.empty(0, np.int64)
        self._value: Floats = np.empty(0, np.float64)
        self._quality: Int16s = np.empty(0, np.int16)
        self._changed: Int64s = np.empty(0, np.int64)
        self._change = 0

    def show(self, point: Int32s, time: Int64s, value: Floats, quality: Int16s) -> None:
        """Take over the newest reading of each point; readings not newer than the shown one change nothing."""
        if not len(point):
            return
        order = np.lexsort((time, point))
        rows = order[np.append(point[order][1:] != point[order][:-1], True)]
        with self._lock:
            self._make_room(point[rows])
            slots = np.searchsorted(self._point, point[rows])
            newer = time[rows] > self._time[slots]
            rows, slots = rows[newer], slots[newer]
            if not len(rows):
                return
            self._change += 1
            self._time[slots] = time[rows]
            self._value[slots] = value[rows]
            self._quality[slots] = quality[rows]
            self._changed[slots] = self._change

    def since(self, points: Int32s, change: int) -> tuple[Values, int]:
        """What of these points (ascending) has changed after `change`, and the number to ask with next time.

        0 as `change` asks for everything.
        """
        with self._lock:
            slots: NDArray[np.intp] = np.searchsorted(self._point, points)
            within = slots < len(self._point)
            slots, points = slots[within], points[within]
            slots = slots[self._point[slots] == points]
            fresh = slots[self._changed[slots] > change]
            values = Values(self._point[fresh], self._time[fresh], self._value[fresh], self._quality[fresh])
            return values, self._change

    def _make_room(self, points: Int32s) -> None:
        missing = np.setdiff1d(points, self._point, assume_unique=True)
        if not len(missing):
            return
        at = np.searchsorted(self._point, missing)
        self._point = np.insert(self._point, at, missing)
        self._time = np.insert(self._time, at, NEVER)
        self._value = np.insert(self._value, at, np.nan)
        self._quality = np.insert(self._quality, at, 0)
        self._changed = np.insert(self._changed, at, 0)
