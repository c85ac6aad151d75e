"""Readings as growing columns."""

import math
from array import array

from park_gateway.reading import Readings, SampleSpan
from park_wire.batch import Event, open_sealed, seal
from park_wire.quality import Mark, Quality


def test_columns_go_on_the_wire_as_they_are() -> None:
    readings = Readings()
    readings.add(7, 1_000, 230.5, Quality.GOOD)
    readings.add_block(array("I", [1, 2]), 2_000, [1.0, 2.0], bytes((0, Quality.UNCERTAIN)), bytes((0, Mark.NORMAL)))
    readings.add_bad(array("I", [3, 4]), 3_000, Quality.BAD_NO_ANSWER)
    columns = open_sealed(
        seal(readings.columns(), readings.events, config_version=bytes(32), until=0, sealed_at=0)
    ).columns
    assert list(columns.index) == [7, 1, 2, 3, 4]
    assert list(columns.time) == [1_000, 2_000, 2_000, 3_000, 3_000]
    assert list(columns.value)[:3] == [230.5, 1.0, 2.0]
    assert all(math.isnan(value) for value in list(columns.value)[3:])
    assert list(columns.quality) == [0, 0, 0x40, 0x85, 0x85]
    assert columns.mark is not None
    assert list(columns.mark) == [0, 0, 1, 0, 0]


def test_marks_that_say_nothing_do_not_travel() -> None:
    readings = Readings()
    readings.add(7, 1_000, 230.5, Quality.GOOD)
    assert readings.columns().mark is None


def test_extending_takes_everything() -> None:
    one, other = Readings(), Readings()
    one.add(1, 1, 1.0, 0)
    other.add(2, 2, 2.0, 0, Mark.CALIBRATING)
    other.events.append(Event("gate-1", 5, "gate-pass", {}))
    other.samples.append(SampleSpan("m-1", "h0", 9))
    one.extend(other)
    assert len(one) == 2
    assert (list(one.index), list(one.time), list(one.value), list(one.mark)) == ([1, 2], [1, 2], [1.0, 2.0], [0, 6])
    assert (one.events, one.samples) == (other.events, other.samples)
