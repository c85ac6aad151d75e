"""Row 6 of the path: what a frame means for a stream. Pure; late readings are told apart here (chain 5)."""

from collections.abc import Sequence

import numpy as np

from park_platform.storage.alarms import Reset
from park_platform.storage.commit import Ticked
from park_platform.storage.streams import StreamRules
from park_sdk.evaluate import evaluate
from park_sdk.frame import Bools, Frame, Image, Int16s, Rows
from park_sdk.rules import RuleTable
from park_wire.quality import LATE


def late_rows(frame: Frame, image: Image) -> Bools:
    """Which rows come at or before their point's watermark, in the frame's own order: bool[n].

    The watermark of a row is the newest time of its point before it, be it in the image or earlier in the frame. So the
    answer does not depend on how the rows were cut into frames.
    """
    late = np.zeros(len(frame), np.bool_)
    if not len(frame):
        return late
    order = np.argsort(frame.point, kind="stable")
    point, time = frame.point[order], frame.time[order]
    first = np.append(True, point[1:] != point[:-1])
    starts = np.flatnonzero(first)
    before = np.empty_like(time)
    before[1:] = time[:-1]
    before[starts] = image.time[image.slots(point[starts])]
    behind = time <= before
    if behind.any():
        _settle(behind, time, before, starts)
        late[order] = behind
    return late


def _settle(behind: Bools, time: np.ndarray, before: np.ndarray, starts: Rows) -> None:
    # After one late row the neighbour is no watermark any more: take the running maximum of the few points concerned.
    ends = np.append(starts[1:], len(time))
    touched = np.unique(np.searchsorted(starts, np.flatnonzero(behind), side="right") - 1)
    for start, end in zip(starts[touched].tolist(), ends[touched].tolist(), strict=True):
        highest = np.maximum.accumulate(np.concatenate((before[start : start + 1], time[start : end - 1])))
        behind[start:end] = time[start:end] <= highest


def mark_late(frame: Frame, image: Image) -> Frame:
    """The frame with the LATE bit in the quality of its late rows."""
    late = late_rows(frame, image)
    if not late.any():
        return frame
    quality: Int16s = np.where(late, frame.quality | LATE, frame.quality).astype(np.int16)
    return Frame(frame.point, frame.time, frame.value, quality)


def tick(stored: Frame, image: Image, rules: StreamRules, until: int, resets: Sequence[Reset]) -> Ticked:
    """Evaluate the stored readings of one stream.

    `stored` is in commit order with late rows marked; these move nothing. `until` is the event time up to which
    timers may end. Nothing that is passed in is changed.
    """
    shown = in_order(stored)
    rows, times = _reset_rows(rules.table, resets)
    changes, transitions = evaluate(rules.table, shown, image, rules.state, until=until, resets=rows, reset_at=times)
    return Ticked(shown, changes, transitions)


def in_order(frame: Frame) -> Frame:
    """The rows that are not late, sorted by (point, time)."""
    timely = frame.take((frame.quality & LATE) == 0)
    return timely.take(np.argsort(timely.point, kind="stable"))


def _reset_rows(table: RuleTable, resets: Sequence[Reset]) -> tuple[np.ndarray, np.ndarray]:
    # A rule that was removed since the person asked has nothing to reset.
    found = [
        (int(row[0]), reset.at)
        for reset in resets
        if len(row := np.flatnonzero((table.rule == reset.rule) & (table.point == reset.point)))
    ]
    return np.array([row for row, _ in found], np.intp), np.array([at for _, at in found], np.int64)
