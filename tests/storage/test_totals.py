"""Totals of counters against a loop over their readings, wherever the rollup ends and the readings begin."""

import math
from collections.abc import Generator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from park_platform.storage.connect import Connection
from park_platform.storage.history import QueryTooLarge
from park_platform.storage.readings import copy_readings
from park_platform.storage.rollups import roll
from park_platform.storage.scope import WHOLE_PARK, Scope, scoped
from park_platform.storage.totals import counter_points, totals
from park_wire.quality import ESTIMATED, Quality
from support.buckets import Reading, usable
from support.database import ParkDatabase
from support.series import DAY, MINUTE, NOON, SECOND, add_points, add_stream, frame_of

NOW = NOON + DAY
MAX_AGE = 90 * SECOND
SPAN = 1_000
BAD, UNCERTAIN = int(Quality.BAD), int(Quality.UNCERTAIN)
NAN = math.nan

Cell = tuple[float, float, float]
"""Counted, seconds covered, counted in minutes with an assumption."""


@pytest.fixture
def api(park: ParkDatabase) -> Generator[Connection]:
    with park.connection("api") as connection, scoped(connection, WHOLE_PARK):
        yield connection


def plain_step(readings: list[Reading], start: int, end: int) -> tuple[Cell, int]:
    """What a counter of range 0 to SPAN counted in [start, end), reading by reading; and the minutes of assumptions."""
    counted: dict[int, float] = {}
    assumed: set[int] = set()
    before: float | None = None
    for time, value, quality in readings:
        if not usable(value, quality):
            continue
        minute = time // MINUTE
        step = 0.0
        if before is not None and value >= before:
            step = value - before
        elif before is not None and before >= 0.9 * SPAN and value <= 0.1 * SPAN:
            step = SPAN - before + value
        elif before is not None:
            assumed |= {minute} if start <= time < end else set()
        before = value
        if start <= time < end:
            counted[minute] = counted.get(minute, 0.0) + step
    covered = 0
    for (time, value, quality), following in pairwise([*readings, (end, NAN, BAD)]):
        until = min(following[0], time + MAX_AGE, end)
        held = until - max(time, start)
        if usable(value, quality) and held > 0:
            covered += held
            if quality & ESTIMATED:
                assumed |= set(range(max(time, start) // MINUTE, (until - 1) // MINUTE + 1))
    return (sum(counted.values()), covered / 1e6, sum(counted.get(m, 0.0) for m in assumed)), len(assumed)


_readings = st.lists(
    st.tuples(
        st.integers(-30 * 60, 90 * 60).map(lambda s: NOON + s * SECOND),
        st.one_of(st.integers(0, SPAN).map(float), st.sampled_from([NAN, math.inf, 950.0, 1000.0, 0.0, 40.0])),
        st.sampled_from([0, 0, 0, 0, BAD, UNCERTAIN, ESTIMATED]),
    ),
    max_size=80,
    unique_by=lambda row: row[0],
).map(sorted)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    drawn=st.lists(_readings, min_size=1, max_size=3),
    begin=st.integers(-20, 60),
    span=st.integers(1, 60),
    step=st.sampled_from([0, 1, 7, 15, 60, 200]),
    rolled_to=st.sampled_from([None, -40, 0, 13, 30, 100]),
)
# A step that ends a long silence is booked where it ends, on either side of the seam.
@example(
    drawn=[[(NOON - 1800 * SECOND, 5.0, 0), (NOON + 600 * SECOND, 9.0, 0), (NOON + 1200 * SECOND, 20.0, 0)]],
    begin=0,
    span=60,
    step=15,
    rolled_to=13,
)
@example(drawn=[[(NOON, 5.0, 0), (NOON + 30 * SECOND, 2.0, 0)]], begin=0, span=2, step=1, rolled_to=None)
def test_totals_are_a_loop_over_readings(
    park: ParkDatabase,
    admin: Connection,
    api: Connection,
    drawn: list[list[Reading]],
    begin: int,
    span: int,
    step: int,
    rolled_to: int | None,
) -> None:
    stream, _ = add_stream(admin, 0)
    points = add_points(
        admin, stream, len(drawn), quantity="active-energy", high=float(SPAN), max_age_ms=MAX_AGE // 1_000
    )
    rows = [(point, *reading) for point, readings in zip(points, drawn, strict=True) for reading in readings]
    put(park, rows, stream, None if rolled_to is None else NOON + rolled_to * MINUTE)
    start, end = NOON + begin * MINUTE, NOON + (begin + span) * MINUTE
    asked = list(reversed(points))
    found = totals(api, asked, start, end, step * MINUTE, now=NOW)
    width = step * MINUTE or end - start
    edges = [*range(start, end, width), end]
    assert found.start.tolist() == edges[:-1]
    assert found.value.shape == found.covered.shape == found.estimated.shape == (len(points), len(edges) - 1)
    for row, readings in enumerate(reversed(drawn)):
        for column, (low, high) in enumerate(pairwise(edges)):
            (counted, covered, assumed), minutes = plain_step(readings, low, high)
            share = assumed / counted if counted > 0 else 0.0
            estimated = max(share, minutes * MINUTE / (high - low))
            assert found.value[row, column] == pytest.approx(counted, abs=1e-9)
            assert found.covered[row, column] == pytest.approx(covered * 1e6 / (high - low), abs=1e-9)
            assert found.estimated[row, column] == pytest.approx(estimated, abs=1e-9)


def put(park: ParkDatabase, rows: list[tuple[int, int, float, int]], stream: int, until: int | None) -> None:
    """Store readings, and roll them up to a time (None: not at all)."""
    with park.connection("ingest") as ingest, ingest.transaction():
        assert copy_readings(ingest, frame_of(rows), now=NOW).stored.all()
        if until is not None:
            ingest.execute("UPDATE stream SET event_until = at_us(%s) WHERE id = %s", (until, stream))
    if until is not None:
        with park.connection("operate") as operate:
            while roll(operate, stream, NOW).more:
                pass


def test_streams_that_are_rolled_up_to_different_times(park: ParkDatabase, admin: Connection, api: Connection) -> None:
    asked: list[int] = []
    for until in (None, NOON + 2 * MINUTE, NOON + 30 * MINUTE):
        stream, _ = add_stream(admin, 0)
        points = add_points(admin, stream, 2, quantity="active-energy", max_age_ms=60_000)
        rows = [(point, NOON + n * MINUTE, float(n * point), 0) for point in points for n in range(-5, 10)]
        put(park, rows, stream, until)
        asked += points
    found = totals(api, asked, NOON, NOON + 10 * MINUTE, now=NOW)
    assert found.value[:, 0].tolist() == [10.0 * point for point in asked]
    assert found.covered.tolist() == [[1.0]] * 6
    assert totals(api, [], NOON, NOON + MINUTE, now=NOW).value.shape == (0, 1)


def test_the_future_and_the_dropped_past_cost_nothing(park: ParkDatabase, admin: Connection, api: Connection) -> None:
    stream, [point] = add_stream(admin, 1, quantity="active-energy", max_age_ms=60_000)
    put(park, [(point, NOON, 1.0, 0), (point, NOON + MINUTE, 3.0, 0)], stream, None)
    found = totals(api, [point], NOON - 3_650 * DAY, NOON + 3_650 * DAY, 365 * DAY, now=NOON + 2 * MINUTE)
    assert found.value.sum() == 2.0
    assert found.covered.sum() == pytest.approx(2 * MINUTE / (365 * DAY))


@pytest.mark.parametrize(
    ("start", "end", "step"),
    [(NOON, NOON, 0), (NOON + 1, NOON + MINUTE, 0), (NOON, NOON + SECOND, 0), (NOON, NOON + DAY, 90 * SECOND)],
)
def test_stretches_are_whole_minutes(api: Connection, start: int, end: int, step: int) -> None:
    with pytest.raises(ValueError, match="whole minutes"):
        totals(api, [], start, end, step, now=NOW)


def test_too_many_sums_are_refused_in_words(api: Connection) -> None:
    with pytest.raises(QueryTooLarge, match="2 points in 1440000 steps"):
        totals(api, [1, 2], NOON, NOON + 1_000 * DAY, MINUTE, now=NOW)
    with pytest.raises(ValueError, match=r"no points \[999999\]"):
        totals(api, [999_999], NOON, NOON + DAY, now=NOW)


@pytest.fixture(scope="module")
def tenants(park: ParkDatabase) -> dict[str, int]:
    """Meters of two enterprises and of the park, which feeds them; by owner the enterprise's id."""
    found: dict[str, int] = {}
    with park.connection() as admin:
        for key in ("one", "two"):
            row = admin.execute(
                "INSERT INTO enterprise (key, name_zh, name_en) VALUES (%s, %s, %s) RETURNING id", (key, key, key)
            ).fetchone()
            assert row is not None
            found[key] = row[0]
        admin.execute("INSERT INTO asset (key, kind, name_zh, name_en) VALUES ('main', 'electricity-meter', '总', 'M')")
        for key, kind in (("one", "electricity-meter"), ("two", "electricity-meter"), ("two", "water-meter")):
            admin.execute(
                """
                INSERT INTO asset (key, kind, name_zh, name_en, enterprise_id, fed_from_id, design)
                VALUES (%s, %s, '表', 'Meter', %s, (SELECT id FROM asset WHERE key = 'main'), '{"power": 5}')
                """,
                (f"{key}-{kind}", kind, found[key]),
            )
        stream, _ = add_stream(admin, 0)
        for asset, quantity in (
            *[("main", "active-energy"), ("one-electricity-meter", "active-energy")],
            *[("two-electricity-meter", "active-energy"), ("two-water-meter", "water-volume"), ("main", "pressure")],
        ):
            [point] = add_points(admin, stream, 1, quantity=quantity)
            admin.execute(
                "UPDATE point SET asset_id = (SELECT id FROM asset WHERE key = %s) WHERE id = %s", (asset, point)
            )
    return found


def test_an_enterprise_gets_its_own_counters_only(park: ParkDatabase, tenants: dict[str, int]) -> None:
    quantities = ["active-energy", "water-volume"]

    def keys(scope: Scope, kinds: tuple[str, ...] = (), enterprise: str | None = None) -> list[str]:
        with park.connection("api") as connection, scoped(connection, scope):
            found = counter_points(connection, scope, quantities=quantities, kinds=kinds, enterprise=enterprise)
        assert all(point.asset.fed_from is None for point in found if not scope.park)
        return [point.asset.key for point in found]

    one, two = Scope.of([tenants["one"]]), Scope.of([tenants["two"]])
    everything = ["main", "one-electricity-meter", "two-electricity-meter", "two-water-meter"]
    assert keys(WHOLE_PARK) == everything
    assert keys(WHOLE_PARK, kinds=("water-meter",)) == ["two-water-meter"]
    assert keys(WHOLE_PARK, enterprise="two") == everything[2:]
    assert keys(one) == ["one-electricity-meter"]
    assert keys(two) == everything[2:]
    assert keys(one, enterprise="two") == []
    assert keys(Scope.of([])) == []


def test_a_counter_tells_its_unit_asset_and_feeder(
    park: ParkDatabase, api: Connection, tenants: dict[str, int]
) -> None:
    del park, tenants
    [point] = counter_points(api, WHOLE_PARK, quantities=["active-energy"], kinds=(), enterprise="one")
    assert (point.quantity, point.unit, point.asset.kind) == ("active-energy", "kWh", "electricity-meter")
    assert (point.asset.fed_from, point.asset.enterprise, dict(point.asset.design)) == ("main", "one", {"power": 5})
    assert (point.asset_name.zh, point.asset_name.en) == ("表", "Meter")
    assert point.key.count("/") == 2
    with pytest.raises(ValueError, match="pressure, nonsense can't be summed"):
        counter_points(api, WHOLE_PARK, quantities=["pressure", "nonsense"], kinds=(), enterprise=None)


def test_the_doors_for_sums_are_closed_to_others(park: ParkDatabase) -> None:
    with park.connection("operate") as connection:
        rows = connection.execute(
            "SELECT proname FROM pg_proc WHERE proname IN ('totals_of', 'counted_before') AND prosecdef "
            "AND has_function_privilege('park_audit', oid, 'EXECUTE') = false ORDER BY 1"
        ).fetchall()
    assert rows == [("counted_before",), ("totals_of",)]
