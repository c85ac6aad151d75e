"""The steps of the park's derivations: aligned to local midnight, also where clocks change."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from park_platform.operations.grid import related, step_begin, step_ends
from park_sdk.derivation import AssetView, Of

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
# Clocks change at 02:00, at midnight (the day begins at 01:00), by half an hour; or never.
ZONES = ("Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Shanghai")
EVERY_S = (60, 900, 2_700, 3_600, 7_200, 28_800, 86_400)
BERLIN = ZoneInfo("Europe/Berlin")


def us(year: int, month: int, day: int, hour: int = 0, zone: ZoneInfo = BERLIN) -> int:
    return round(datetime(year, month, day, hour, tzinfo=zone).timestamp()) * SECOND


def local(at: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at // SECOND, UTC).astimezone(zone)


@given(
    st.sampled_from(ZONES),
    st.sampled_from(EVERY_S),
    st.integers(us(2016, 1, 1), us(2018, 12, 1)),
    st.lists(st.integers(0, 4 * DAY), min_size=3, max_size=3).map(sorted),
)
@example("Europe/Berlin", 7_200, us(2017, 3, 26), [0, HOUR, 2 * DAY])
@example("Europe/Berlin", 86_400, us(2017, 10, 29) - 1, [0, 25 * HOUR, 2 * DAY])
@example("America/Sao_Paulo", 3_600, us(2017, 10, 15), [0, DAY, 2 * DAY])
def test_steps_cover_time_and_end_with_the_day(zone_name: str, every_s: int, start: int, spans: list[int]) -> None:
    zone = ZoneInfo(zone_name)
    after, cut, until = (start + span for span in spans)
    ends = step_ends(every_s, after, until, zone).tolist()
    assert ends == step_ends(every_s, after, cut, zone).tolist() + step_ends(every_s, cut, until, zone).tolist()
    assert all(after < end <= until for end in ends)
    whole = step_ends(every_s, after - DAY * 2, until, zone).tolist()
    for before, end in pairwise(whole):
        length = (end - before) // SECOND
        assert 0 < length <= every_s + (3_600 if every_s > 3_600 else 0)
        assert step_begin(every_s, end, zone) == before
        assert length == every_s or _unusual_day(before, zone)
    midnights = {
        round(datetime.combine(day, datetime.min.time(), zone).timestamp()) * SECOND
        for day in _days(local(after, zone).date(), local(until, zone).date())
    }
    assert {at for at in midnights if after < at <= until} <= set(ends)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 2)]


def _unusual_day(at: int, zone: ZoneInfo) -> bool:
    return any(local(at, zone).utcoffset() != local(at + hours * HOUR, zone).utcoffset() for hours in range(-24, 26))


@pytest.mark.parametrize(
    ("day", "hours", "hourly", "two_hourly"),
    [((2026, 3, 29), 23, 23, 12), ((2026, 10, 25), 25, 25, 12), ((2026, 6, 1), 24, 24, 12)],
)
def test_days_of_23_and_25_hours(day: tuple[int, int, int], hours: int, hourly: int, two_hourly: int) -> None:
    begin = us(*day)
    end = begin + hours * HOUR
    assert step_ends(3_600, begin, end, BERLIN).tolist() == [begin + n * HOUR for n in range(1, hourly + 1)]
    every_two = step_ends(7_200, begin, end, BERLIN).tolist()
    assert len(every_two) == two_hourly
    assert [local(at, BERLIN).hour % 2 for at in every_two if at != begin + 2 * HOUR] == [0] * (two_hourly - 1)
    assert step_ends(86_400, begin, end, BERLIN).tolist() == [end]
    assert step_begin(86_400, end, BERLIN) == begin


def test_no_time_no_step() -> None:
    assert step_ends(60, 100 * HOUR, 100 * HOUR, BERLIN).tolist() == []
    assert step_ends(60, 101 * HOUR, 100 * HOUR, BERLIN).tolist() == []


def test_which_assets_stand_in_a_relation() -> None:
    main, sub, other = (
        AssetView("main", "m", "a"),
        AssetView("sub", "m", "a", fed_from="main"),
        AssetView("x", "m", "b"),
    )
    everything = [main, sub, other]
    assert related(main, Of.ASSET, everything) == [main]
    assert related(main, Of.FED, everything) == [sub]
    assert related(sub, Of.ENTERPRISE, everything) == [main, sub]
    assert related(sub, Of.TOP, everything) == [main]
    assert related(sub, Of.PARK, everything) == everything
