"""What an OPC UA value means on the wire: pure functions."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_gateway.opcua_value import SKEW_US, choose_time, event_body, is_overflow, judge, number_of, quality_of
from park_wire.batch import GENESIS, Columns, Event, open_sealed, seal
from park_wire.quality import Quality


@given(st.integers(0, 2**32 - 1))
def test_every_status_code_keeps_its_severity(status: int) -> None:
    quality = quality_of(status)
    severity = status >> 30
    assert (quality >= Quality.BAD) == (severity >= 2)
    assert (quality == Quality.GOOD) == (severity == 0)


def test_overflow() -> None:
    assert is_overflow(0x0480)
    assert not is_overflow(0x0400)
    assert not is_overflow(0x80480000)


@pytest.mark.parametrize(
    ("value", "number"), [(True, 1.0), (False, 0.0), (3, 3.0), (1.5, 1.5), (None, None), ("1", None), (10**400, None)]
)
def test_numbers(value: object, number: float | None) -> None:
    got = number_of(value)
    assert math.isnan(got) if number is None else got == number


@given(st.floats(), st.sampled_from(list(Quality)))
def test_nothing_bad_has_a_value_and_nothing_without_a_value_is_good(number: float, quality: Quality) -> None:
    value, judged = judge(number, quality, 0.0, 100.0)
    assert math.isfinite(value) == (judged < Quality.BAD)
    assert judged >= quality
    if judged is Quality.GOOD:
        assert 0.0 <= value <= 100.0


NOW = 1_800_000_000_000_000
_TIMES = st.one_of(st.none(), st.integers(NOW - 10**8, NOW + 10**8), st.integers(NOW - SKEW_US, NOW + SKEW_US))


@given(_TIMES, _TIMES, st.booleans())
def test_no_reading_is_further_from_our_time_than_the_skew(source: int | None, server: int | None, first: bool) -> None:
    time, certain = choose_time(source, server, NOW, first=first)
    assert abs(time - NOW) <= SKEW_US
    if source is not None and abs(source - NOW) <= SKEW_US:
        assert (time, certain) == (source, True)
    elif source is not None and not (first and source < NOW):
        assert not certain


_PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.text(alphabet="煤\0x", max_size=4_000),
    st.binary(),
    st.datetimes(),
    st.lists(st.integers(), max_size=3),
)


@given(st.dictionaries(st.text(alphabet="abc", min_size=1, max_size=8), _PLAIN, max_size=40))
def test_any_event_body_can_travel(fields: dict[str, object]) -> None:
    event = Event("gate-1", 1, "gate-pass", event_body(fields))
    empty = memoryview(b"")
    columns = Columns(empty.cast("I"), empty.cast("q"), empty.cast("d"), empty)
    sealed = seal(columns, [event], config_version=GENESIS, until=0, sealed_at=0)
    assert open_sealed(sealed).events == (event,)
