"""Counts of readings from the rollup against a loop over the readings, and what is refused."""

from collections.abc import Generator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from park_platform.storage.completeness import count_readings
from park_platform.storage.connect import Connection
from park_platform.storage.history import QueryTooLarge
from park_platform.storage.readings import copy_readings
from park_platform.storage.rollups import roll
from park_platform.storage.scope import WHOLE_PARK, scoped
from park_sdk.frame import NEVER
from park_wire.quality import Quality
from support.database import ParkDatabase
from support.series import DAY, MINUTE, NOON, SECOND, add_stream, frame_of

NOW = NOON + DAY
BAD = int(Quality.BAD)
PERIOD = 10 * SECOND
EDGES = np.array([NOON, NOON + 10 * MINUTE, NOON + 15 * MINUTE, NOON + 40 * MINUTE])


@pytest.fixture
def api(park: ParkDatabase) -> Generator[Connection]:
    with park.connection("api") as connection, scoped(connection, WHOLE_PARK):
        yield connection


readings = st.lists(
    st.tuples(st.integers(-5 * 60, 30 * 60).map(lambda second: NOON + second * SECOND), st.sampled_from([0, 0, BAD])),
    max_size=150,
    unique_by=lambda row: row[0],
).map(sorted)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(readings, st.integers(0, 40))
def test_counts_are_those_of_a_loop(
    park: ParkDatabase, api: Connection, readings: list[tuple[int, int]], until_minute: int
) -> None:
    with park.connection() as admin, park.connection("ingest") as ingest, park.connection("operate") as operate:
        stream, [silent, point] = add_stream(admin, 2)
        admin.execute("UPDATE point SET period_ms = %s WHERE stream_id = %s", (PERIOD // 1_000, stream))
        with ingest.transaction():
            copy_readings(ingest, frame_of([(point, time, 1.0, quality) for time, quality in readings]), now=NOW)
        until = NOON + until_minute * MINUTE
        admin.execute("UPDATE stream SET event_until = at_us(%s) WHERE id = %s", (until, stream))
        for _ in range(100):
            if not roll(operate, stream, NOW).more:
                break
    counted = count_readings(api, [point, silent], EDGES)
    rolled = [row for row in readings if row[0] < until]
    since = rolled[0][0] // MINUTE * MINUTE if rolled else 0
    for slot, (start, end) in enumerate(zip(EDGES[:-1].tolist(), EDGES[1:].tolist(), strict=True)):
        inside = [row for row in rolled if start <= row[0] < end]
        by_minute: dict[int, list[int]] = {}
        for time, quality in inside:
            by_minute.setdefault(time // MINUTE, []).append(quality)
        lived = max(0, min(end, until) - max(start, since)) if rolled else 0
        assert counted.expected[0, slot] == lived // PERIOD
        assert counted.received[0, slot] == sum(min(len(found), 6) for found in by_minute.values())
        assert counted.good[0, slot] == sum(min(found.count(0), 6) for found in by_minute.values())
        if usable := [time for time, quality in inside if quality != BAD]:
            assert (counted.first[0, slot], counted.last[0, slot]) == (usable[0], usable[-1])
        else:
            assert (counted.first[0, slot], counted.last[0, slot]) == (NEVER, NEVER)
        # One that never was read is expected since its stream is known.
        assert (counted.expected[1, slot], counted.received[1, slot]) == (lived // PERIOD, 0)


def test_a_point_that_is_gone_is_expected_no_longer(park: ParkDatabase, api: Connection) -> None:
    with park.connection() as admin, park.connection("ingest") as ingest, park.connection("operate") as operate:
        stream, [point] = add_stream(admin, 1)
        admin.execute("UPDATE point SET period_ms = 1000, gone_at = at_us(%s) WHERE id = %s", (NOON + MINUTE, point))
        with ingest.transaction():
            copy_readings(ingest, frame_of([(point, NOON, 1.0, 0)]), now=NOW)
        admin.execute("UPDATE stream SET event_until = at_us(%s) WHERE id = %s", (NOON + 30 * MINUTE, stream))
        while roll(operate, stream, NOW).more:
            pass
    counted = count_readings(api, [point], EDGES)
    assert counted.expected.tolist() == [[60, 0, 0]]


@pytest.mark.parametrize("edges", [[NOON], [NOON, NOON], [NOON, NOON + MINUTE + 1], [NOON + MINUTE, NOON]])
def test_edges_are_whole_minutes_that_ascend(api: Connection, edges: list[int]) -> None:
    with pytest.raises(ValueError, match="whole minutes that ascend"):
        count_readings(api, [], np.array(edges))


def test_too_much_and_nothing(api: Connection) -> None:
    with pytest.raises(QueryTooLarge, match="fewer points or a shorter time"):
        count_readings(api, list(range(1, 2_000)), np.array([NOON, NOON + 30 * DAY]))
    with pytest.raises(ValueError, match=r"no points \[2000000000\]"):
        count_readings(api, [2_000_000_000], EDGES)
    assert count_readings(api, [], EDGES).expected.shape == (0, 3)
