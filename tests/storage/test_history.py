import math
from collections.abc import Generator

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from park_platform.storage.connect import Connection
from park_platform.storage.history import MOST_POINTS_OUT, NO_READING, History, QueryTooLarge, Series, history
from park_platform.storage.readings import copy_readings
from park_platform.storage.rollups import roll
from park_platform.storage.scope import NOTHING, WHOLE_PARK, scoped
from park_wire.quality import Quality
from support.buckets import usable
from support.database import ParkDatabase
from support.series import DAY, MINUTE, NOON, SECOND, Row, add_stream, frame_of

BAD, UNCERTAIN = int(Quality.BAD), int(Quality.UNCERTAIN)
NAN = math.nan
NOW = NOON + DAY


@pytest.fixture
def api(park: ParkDatabase) -> Generator[Connection]:
    with park.connection("api") as connection, scoped(connection, WHOLE_PARK):
        yield connection


def put(park: ParkDatabase, rows: list[Row], stream: int | None = None, until: int | None = None) -> None:
    with park.connection("ingest") as ingest, ingest.transaction():
        copied = copy_readings(ingest, frame_of(rows), now=NOW)
        assert copied.stored.all()
        if stream is not None:
            ingest.execute("UPDATE stream SET event_until = at_us(%s) WHERE id = %s", (until, stream))
    if stream is not None:
        with park.connection("operate") as operate:
            while roll(operate, stream, NOW).more:
                pass


def one(answer: History) -> Series:
    (series,) = answer.series
    return series


def plain(series: Series) -> list[tuple[int, float | None, int]]:
    """Rows with seconds from NOON, and None for NaN."""
    return [
        ((t - NOON) // SECOND, None if math.isnan(v) else v, q)
        for t, v, q in zip(series.time.tolist(), series.value.tolist(), series.quality.tolist(), strict=True)
    ]


def test_readings_with_what_held_before_and_gaps(park: ParkDatabase, admin: Connection, api: Connection) -> None:
    _, [p] = add_stream(admin, 1, max_age_ms=10_000)
    seconds = [(-20, 1.0, 0), (-5, 2.0, 0), (2, 3.0, 0), (10, NAN, BAD), (40, 4.0, UNCERTAIN), (60, 9.0, 0)]
    put(park, [(p, NOON + s * SECOND, v, q) for s, v, q in seconds])
    answer = history(api, [p], NOON, NOON + MINUTE, now=NOW)
    assert (answer.grain, answer.bucket_us) == ("raw", None)
    assert plain(one(answer)) == [
        (-5, 2.0, 0),
        (2, 3.0, 0),
        (10, None, BAD),
        (20, None, NO_READING),
        (40, 4.0, UNCERTAIN),
        (50, None, NO_READING),
    ]
    assert one(answer).low is None
    nothing = history(api, [p, 999_999, p], NOON + 5 * MINUTE, NOON + 6 * MINUTE, now=NOW)
    assert [series.point for series in nothing.series] == [p, 999_999, p]
    assert [len(series.time) for series in nothing.series] == [0, 0, 0]


_series = st.lists(
    st.tuples(
        st.integers(0, 3600 * SECOND),
        st.sampled_from([-1.0, 0.0, 1.0, 50.0, 1e9, NAN]),
        st.sampled_from([0, 0, 0, 0, BAD, UNCERTAIN]),
    ),
    min_size=1,
    max_size=60,
    unique_by=lambda row: row[0],
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    drawn=_series,
    max_points=st.integers(2, 30),
    begin=st.integers(-60, 1800),
    span=st.integers(1, 3600),
    roll_to=st.integers(0, 70),
)
# Both extremes lie in minutes behind the first of a bucket, rolled up or not.
@example(
    drawn=[(0, 1.0, 0), (70 * SECOND, 50.0, 0), (130 * SECOND, 0.0, 0), (200 * SECOND, 1.0, 0)],
    max_points=2,
    begin=0,
    span=300,
    roll_to=10,
)
@example(
    drawn=[(0, 1.0, 0), (70 * SECOND, 50.0, 0), (130 * SECOND, 0.0, 0), (200 * SECOND, 1.0, 0)],
    max_points=2,
    begin=0,
    span=300,
    roll_to=0,
)
def test_extremes_and_gaps_survive_any_zoom(
    park: ParkDatabase,
    admin: Connection,
    api: Connection,
    drawn: list[tuple[int, float, int]],
    max_points: int,
    begin: int,
    span: int,
    roll_to: int,
) -> None:
    stream, [p] = add_stream(admin, 1, max_age_ms=90_000, period_ms=60_000)
    readings = sorted((NOON + t, v, q) for t, v, q in drawn)
    put(park, [(p, *reading) for reading in readings], stream, NOON + roll_to * MINUTE)
    start, end = NOON + begin * SECOND, NOON + (begin + span) * SECOND
    answer = history(api, [p], start, end, max_points, now=NOW)
    series = one(answer)
    known = series.quality != NO_READING
    assert np.count_nonzero(known) <= max_points + (answer.bucket_us is None)
    assert (np.diff(series.time) > 0).all()
    if answer.bucket_us is None:
        return
    assert series.low is not None
    assert series.high is not None
    width = answer.bucket_us
    for time, value, low, high in zip(
        series.time[known].tolist(),
        series.value[known].tolist(),
        series.low[known].tolist(),
        series.high[known].tolist(),
        strict=True,
    ):
        held = [
            v
            for i, (t, v, q) in enumerate(readings)
            if usable(v, q)
            and t < time + width
            and min(t + 90 * SECOND, readings[i + 1][0] if i + 1 < len(readings) else t + DAY) > time
        ]
        # The first and the last may be cut by what was asked for.
        if start <= time and time + width <= end:
            assert ([min(held), max(held)] if held else [None, None]) == [
                None if math.isnan(x) else x for x in (low, high)
            ]
        if not math.isnan(value):
            assert low <= value <= high
    inside = [v for t, v, q in readings if start <= t < end and usable(v, q)]
    if inside:
        assert np.nanmin(series.low) <= min(inside)
        assert np.nanmax(series.high) >= max(inside)
    # Every reading lies in a row; where there is a NO_READING row, no value holds.
    covered = [(t, t + width) for t in series.time[known].tolist()]
    assert all(any(a <= t < b for a, b in covered) for t, _, _ in readings if start <= t < end)
    for gap in series.time[~known].tolist():
        assert not any(a <= gap < b for a, b in covered)


def test_minutes_rolled_up_and_those_that_are_not_yet_look_alike(
    park: ParkDatabase, admin: Connection, api: Connection
) -> None:
    stream, [p, q] = add_stream(admin, 2, quantity="active-energy")
    rows: list[Row] = [(point, NOON + i * SECOND, float(i), 0) for i in range(3600) for point in (p, q)]
    put(park, rows, stream, NOON + 50 * MINUTE)
    early = history(api, [p], NOON, NOON + 60 * MINUTE, 61, now=NOW)
    with park.connection("operate") as operate:
        operate.execute("UPDATE stream SET event_until = at_us(%s) WHERE id = %s", (NOON + 60 * MINUTE, stream))
        assert roll(operate, stream, NOW).buckets == 20
    late = history(api, [p], NOON, NOON + 60 * MINUTE, 61, now=NOW)
    for answer in (early, late):
        assert (answer.grain, answer.bucket_us) == ("1m", MINUTE)
        series = one(answer)
        assert series.time.tolist() == [NOON + i * MINUTE for i in range(60)]
        # A counter shows its last reading, not its mean.
        assert series.value.tolist() == [i * 60 + 59.0 for i in range(60)]
        assert series.low is not None
        assert series.low.tolist() == [i * 60.0 for i in range(60)]
    five = one(history(api, [q], NOON, NOON + 60 * MINUTE, 13, now=NOW))
    assert five.time.tolist() == [NOON + i * 5 * MINUTE for i in range(12)]
    assert five.value.tolist() == [i * 300 + 299.0 for i in range(12)]


def test_the_mean_is_weighted_by_time(park: ParkDatabase, admin: Connection, api: Connection) -> None:
    stream, [p] = add_stream(admin, 1, max_age_ms=60_000)
    put(park, [(p, NOON, 0.0, 0), (p, NOON + 110 * SECOND, 12.0, 0), (p, NOON + 170 * SECOND, NAN, BAD)])
    for _ in range(2):
        series = one(history(api, [p], NOON, NOON + 4 * MINUTE, 2, now=NOW))
        assert series.time.tolist() == [NOON]
        assert series.value.tolist() == [pytest.approx(6.0)]
        assert series.quality.tolist() == [Quality.UNCERTAIN]
        put(park, [], stream, NOON + 4 * MINUTE)


def test_too_much_says_how_to_ask_for_less(admin: Connection, api: Connection) -> None:
    _, points = add_stream(admin, 50)
    with pytest.raises(QueryTooLarge, match=f"more than {MOST_POINTS_OUT} rows: ask for at most 4000 rows a point"):
        history(api, points, NOON - DAY, NOON, 5_000, now=NOW)
    with pytest.raises(QueryTooLarge, match=r"not rolled up yet; at most 2000000 .* at most 11 points, or for 0\.46 d"):
        history(api, points, NOON - 2 * DAY, NOON, 100, now=NOW)
    stream, points = add_stream(admin, 10)
    admin.execute("INSERT INTO rollup_progress VALUES (%s, at_us(%s))", (stream, NOON))
    with pytest.raises(
        QueryTooLarge, match=r"over 365\.0 days would read 5256000 rows; .* at most 3 points, or for 138"
    ):
        history(api, points, NOON - 365 * DAY, NOON, 100, now=NOW)
    with pytest.raises(ValueError, match="start < end"):
        history(api, points, NOON, NOON, now=NOW)


def test_what_is_older_than_the_readings_comes_from_rollups(
    park: ParkDatabase, admin: Connection, api: Connection
) -> None:
    stream, [p] = add_stream(admin, 1)
    put(park, [(p, NOON - 89 * DAY + i * SECOND, 5.0, 0) for i in range(120)], stream, NOON)
    later = NOW + 30 * DAY
    short = history(api, [p], NOON - 89 * DAY, NOON - 89 * DAY + MINUTE, now=later)
    assert (short.grain, one(short).value.tolist()) == ("1m", [5.0])


def test_a_forgotten_scope_shows_nothing(park: ParkDatabase, admin: Connection) -> None:
    _, [p] = add_stream(admin, 1)
    put(park, [(p, NOON, 5.0, 0)])
    with park.connection("api") as api:
        assert plain(one(history(api, [p], NOON, NOON + MINUTE, now=NOW))) == []
        with scoped(api, NOTHING):
            assert plain(one(history(api, [p], NOON - DAY, NOON + MINUTE, now=NOW))) == []
        with scoped(api, WHOLE_PARK):
            assert plain(one(history(api, [p], NOON, NOON + SECOND, now=NOW))) == [(0, 5.0, 0)]
