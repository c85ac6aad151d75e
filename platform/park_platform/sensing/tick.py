"""Row 6 of the path: what a frame means for a stream. Pure; late readings are told apart here (chain 5)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from park_platform.derivations import Derivations, without_known
from park_platform.storage.resets import Reset
from park_platform.storage.streams import StreamRules
from park_platform.storage.work import Ticked
from park_sdk.evaluate import evaluate
from park_sdk.frame import NEVER, Bools, Frame, Image, Int64s, Rows
from park_sdk.spans import begins
from park_wire.quality import LATE


def arrange(frame: Frame, image: Image, newest: int) -> Frame:
    """The frame sorted by point, those of one point as they came, with the LATE bit in the quality of late rows.

    `newest`: the last time, in µs, that a reading may have. What lies beyond it goes to quarantine and is no watermark:
    one wild clock must not make the readings after it late.
    """
    if len(frame) and not (frame.point[1:] >= frame.point[:-1]).all():
        frame = frame.take(np.argsort(frame.point, kind="stable"))
    possible = frame.time <= newest
    if possible.all():
        late = late_rows(frame, image)
    else:
        late = np.zeros(len(frame), np.bool_)
        late[possible] = late_rows(frame.take(possible), image)
    if not late.any():
        return frame
    return replace(frame, quality=np.where(late, frame.quality | LATE, frame.quality).astype(np.int16))


def late_rows(frame: Frame, image: Image) -> Bools:
    """Which rows of a frame that is sorted by point come at or before their point's watermark: bool[n].

    The watermark of a row is the newest time of its point before it, be it in the image or earlier in the frame. So the
    answer does not depend on how the rows were cut into frames.
    """
    if not len(frame):
        return np.zeros(0, np.bool_)
    starts = begins(frame.point)
    before = np.empty_like(frame.time)
    before[1:] = frame.time[:-1]
    first = np.flatnonzero(starts)
    before[first] = image.time[image.slots(frame.point[first])]
    late = frame.time <= before
    # After one late row its neighbour is no watermark any more.
    return frame.time <= _highest(before, starts) if late.any() else late


def _highest(time: Int64s, starts: Bools) -> Int64s:
    """The running maximum within each span; `starts` says where one begins."""
    highest = time.copy()
    span = np.cumsum(starts)
    longest = int(np.bincount(span).max())
    step = 1
    # Each round doubles how far every row has looked back.
    while step < longest:
        same = span[step:] == span[:-step]
        highest[step:] = np.where(same, np.maximum(highest[step:], highest[:-step]), highest[step:])
        step *= 2
    return highest


def tick(
    stored: Frame,
    image: Image,
    rules: StreamRules,
    until: int,
    resets: Sequence[Reset],
    derivations: Derivations,
) -> Ticked:
    """Derive from and evaluate the stored readings of one stream.

    `stored` is sorted by point, those of a point as they came, with late rows marked; these move nothing. `until` is
    the event time up to which timers may end. Nothing that is passed in is changed.
    """
    timely = (stored.quality & LATE) == 0
    # Without its late rows a point's readings ascend in time: that is what late means.
    shown = stored if timely.all() else stored.take(timely)
    derived, progress = derivations.run(shown, until)
    derived = without_known(derived, image.point, image.time)
    if len(derived):
        shown = Frame.joined([shown, derived])
        shown = shown.take(np.argsort(shown.point, kind="stable"))
    rows, times = _place_resets(resets, shown, image, rules, until)
    changes, transitions = evaluate(rules.table, shown, image, rules.state, until=until, resets=rows, reset_at=times)
    return Ticked(shown, derived, progress, changes, transitions)


def _place_resets(
    resets: Sequence[Reset], shown: Frame, image: Image, rules: StreamRules, until: int
) -> tuple[Rows, Int64s]:
    """The rows of the rules to reset, and when in event time: now, as far as their point knows."""
    table = rules.table
    rows: list[int] = []
    times: list[int] = []
    for reset in resets:
        # A rule that was removed since the person asked has nothing to reset.
        for row in np.flatnonzero((table.rule == reset.rule) & (table.point == reset.point)).tolist():
            last = int(np.searchsorted(shown.point, reset.point, side="right")) - 1
            arrived = last >= 0 and shown.point[last] == reset.point
            seen = int(shown.time[last] if arrived else image.time[image.slots(table.point[row : row + 1])[0]])
            at = max(seen, until)
            rows.append(row)
            # Nothing was ever read: then only the centre's clock can say when.
            times.append(reset.at if at == NEVER else at)
    return np.array(rows, np.intp), np.array(times, np.int64)
