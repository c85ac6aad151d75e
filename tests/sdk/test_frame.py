import numpy as np

from park_sdk.frame import NEVER, Frame, Image
from park_sdk.testing import frame_of

FRAME = frame_of([(7, 20, 2.0, 0), (3, 10, 1.0, 0x80), (7, 30, 3.0, 0x40), (7, 10, 1.5, 0)])


def test_take_keeps_the_columns_together() -> None:
    taken = FRAME.take(np.array([3, 0]))
    assert taken.point.tolist() == [7, 3]
    assert taken.time.tolist() == [30, 10]
    assert taken.value.tolist() == [3.0, 1.0]
    assert taken.quality.tolist() == [0x40, 0x80]
    assert len(FRAME.take(FRAME.point == 7)) == 3


def test_joined_is_one_after_the_other() -> None:
    joined = Frame.joined([FRAME, Frame.empty(), FRAME])
    assert joined.point.tolist() == [3, 7, 7, 7] * 2
    assert joined.quality.dtype == np.int16
    assert joined.value.tolist() == [1.0, 1.5, 2.0, 3.0] * 2
    assert Frame.joined([FRAME]) is FRAME


def test_blank_image_has_never_seen_anything() -> None:
    image = Image.blank(np.array([9, 3, 7, 3], np.int32))
    assert image.point.tolist() == [3, 7, 9]
    assert image.point.dtype == np.int32
    assert image.time.tolist() == [NEVER] * 3
    assert np.isnan(image.value).all()


def test_show_takes_the_last_row_of_each_point() -> None:
    image = Image.blank(np.array([3, 5, 7], np.int32))
    image.show(FRAME)
    assert image.time.tolist() == [10, NEVER, 30]
    assert image.value[[0, 2]].tolist() == [1.0, 3.0]
    assert image.quality.tolist() == [0x80, 0, 0x40]
    image.show(Frame.empty())
    assert image.time.tolist() == [10, NEVER, 30]


def test_slots() -> None:
    image = Image.blank(np.array([3, 5, 7], np.int32))
    assert image.slots(np.array([7, 3], np.int32)).tolist() == [2, 0]
