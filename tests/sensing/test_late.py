"""Which readings are late: at or before the newest one of their point that came before them, however they were cut."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from park_platform.sensing.tick import arrange
from park_sdk.frame import NEVER, Frame, Image
from park_wire.quality import LATE

_POINTS = np.array([2, 3, 5, 8], np.int32)
_NEWEST = 40
# Beyond 40 a time is impossible.
rows = st.lists(st.tuples(st.sampled_from(_POINTS.tolist()), st.integers(0, 45)), max_size=40)
known = st.lists(st.one_of(st.just(NEVER), st.integers(0, 20)), min_size=4, max_size=4)


def frame_of(readings: list[tuple[int, int]]) -> Frame:
    n = len(readings)
    return Frame(
        np.array([point for point, _ in readings], np.int32),
        np.array([time for _, time in readings], np.int64),
        np.arange(n, dtype=np.float64),
        np.zeros(n, np.int16),
    )


def image_of(times: list[int]) -> Image:
    image = Image.blank(_POINTS)
    image.time[:] = times
    return image


def by_hand(readings: list[tuple[int, int]], times: list[int]) -> list[bool]:
    newest = dict(zip(_POINTS.tolist(), times, strict=True))
    late: list[bool] = []
    for point, time in readings:
        late.append(time <= newest[point] and time <= _NEWEST)
        if time <= _NEWEST:
            newest[point] = max(newest[point], time)
    return late


def by_frames(readings: list[tuple[int, int]], times: list[int], cuts: list[int]) -> list[bool]:
    """Commit after commit; the value of a reading is its number."""
    image = image_of(times)
    late = [False] * len(readings)
    for start, end in zip([0, *cuts], [*cuts, len(readings)], strict=True):
        frame = frame_of(readings[start:end])
        arranged = arrange(frame, image, _NEWEST)
        assert (np.diff(arranged.point) >= 0).all()
        for number, quality in zip(arranged.value.tolist(), arranged.quality.tolist(), strict=True):
            late[start + int(number)] = bool(quality & LATE)
        # What is stored in order moves the watermark; what is impossible is not stored.
        image.show(arranged.take(((arranged.quality & LATE) == 0) & (arranged.time <= _NEWEST)))
    return late


@given(rows, known, st.data())
def test_late_does_not_depend_on_the_cut(
    readings: list[tuple[int, int]], times: list[int], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(readings)), max_size=6)))
    assert by_frames(readings, times, cuts) == by_hand(readings, times)


@given(rows, known)
def test_the_rest_ascends_in_time(readings: list[tuple[int, int]], times: list[int]) -> None:
    arranged = arrange(frame_of(readings), image_of(times), _NEWEST)
    timely = arranged.take(((arranged.quality & LATE) == 0) & (arranged.time <= _NEWEST))
    same = timely.point[1:] == timely.point[:-1]
    assert (timely.time[1:][same] > timely.time[:-1][same]).all()


def test_nothing_is_changed_that_was_passed_in() -> None:
    frame = frame_of([(3, 5), (2, 1), (3, 4)])
    arrange(frame, image_of([NEVER] * 4), _NEWEST)
    assert frame.point.tolist() == [3, 2, 3]
    assert frame.quality.tolist() == [0, 0, 0]
