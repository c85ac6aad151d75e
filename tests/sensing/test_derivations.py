"""Stream derivations in a real intake: in the readings' transaction, fenced when they raise, enabled and changed."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from park_platform.embedded.broker import Broker
from park_platform.storage.register_changes import CHANGED, Act, RowContent, add_row, change_row
from park_platform.storage.register_rows import Place
from park_platform.storage.scope import WHOLE_PARK, scoped
from park_wire.batch import Lane
from park_wire.messages import Birth
from park_wire.quality import Quality
from support.database import ParkDatabase
from support.derived_systems import INSTALLED, MEAN_US, SYSTEMS
from support.edge import SECOND, Edge, now_us, points
from support.intake import IntakeProcess, RunningIntake, apply, make_park, park_file, running_intake
from support.processes import wait_until

BIRTH = Birth.of(points(4))
GATEWAYS = tuple(f"derive-{n}" for n in range(12))


@pytest.fixture(scope="module")
def running(park_database: ParkDatabase, broker: Broker) -> Generator[RunningIntake]:
    make_park(park_database, broker, *GATEWAYS, systems=SYSTEMS)
    with running_intake(park_database, broker, SYSTEMS) as intake:
        yield intake


@pytest.fixture(scope="module")
def unused(running: RunningIntake) -> Iterator[str]:
    return iter(GATEWAYS)


@pytest.fixture
def edge(broker: Broker, unused: Iterator[str]) -> Generator[Edge]:
    """A gateway of its own, greeted and born."""
    name = next(unused)
    edge = Edge(broker.url(f"gw-{name}"), name, BIRTH)
    edge.greet()
    edge.say_birth()
    yield edge
    edge.close()


def rows(park: ParkDatabase, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with park.connection() as connection:
        return connection.execute(query, parameters).fetchall()  # pyright: ignore[reportArgumentType]


def series(park: ParkDatabase, edge: Edge, name: str) -> list[tuple[int, float, int]]:
    """Time, value and quality of a point of a gateway, by its name."""
    return rows(
        park,
        """
        SELECT us_of(r.ts), r.value, r.quality FROM reading r JOIN point p ON p.id = r.point_id
        JOIN stream s ON s.id = p.stream_id WHERE s.name = %s AND p.name = %s ORDER BY r.ts
        """,
        f"gw-{edge.gateway}",
        name,
    )


def send(edge: Edge, *values: float, start: int | None = None, index: int = 0) -> list[int]:
    """Send a batch of readings of a point, a second apart, after which nothing as old follows; returns their times."""
    start = start or now_us()
    times = [start + number * SECOND for number in range(len(values))]
    readings = [(index, time, value, 0) for time, value in zip(times, values, strict=True)]
    edge.send(readings, until=times[-1] + 1)
    edge.wait_mark(edge.lanes[Lane.LIVE].next_seq - 1)
    return times


def alarms(park: ParkDatabase, rule: str, subject: str) -> list[tuple[str, int]]:
    """State and how often it was raised, of alarms whose point or subject belongs to a gateway or is a name."""
    return rows(
        park,
        """
        SELECT a.state, a.times_raised FROM alarm a JOIN rule r ON r.id = a.rule_id JOIN stream s ON s.id = a.stream_id
        WHERE r.key = %s AND (s.name = %s OR a.subject = %s) ORDER BY a.id
        """,
        rule,
        f"gw-{subject}",
        subject,
    )


def test_a_derived_reading_stands_beside_its_reading(park_database: ParkDatabase, edge: Edge) -> None:
    start = now_us()
    edge.send([(0, start, 1.0, 0), (0, start + SECOND, 1.5, 0x44), (1, start, 9.0, 0)], until=start + SECOND + 1)
    edge.send([(0, start + 2 * SECOND, 0.0, Quality.BAD_SENSOR_FAILURE)], until=start + 2 * SECOND + 1)
    edge.wait_mark(2)
    [first, second, third] = series(park_database, edge, "gauge.pressure-ratio")
    assert (first, second) == ((start, 0.5, 0), (start + SECOND, 0.75, 0x40))
    assert (third[0], third[2]) == (start + 2 * SECOND, Quality.BAD)
    assert [value for _, value, _ in series(park_database, edge, "gauge.pressure-rate")][:2] == [1.0, 1.25]


def test_what_may_still_be_followed_waits(park_database: ParkDatabase, edge: Edge) -> None:
    start = now_us()
    edge.send([(0, start, 1.0, 0), (0, start + SECOND, 1.5, 0)], until=start + SECOND)
    edge.wait_mark(1)
    assert [time for time, _, _ in series(park_database, edge, "gauge.pressure-ratio")] == [start]
    edge.send([], until=start + SECOND + 1)
    edge.wait_mark(2)
    assert len(series(park_database, edge, "gauge.pressure-ratio")) == 2


def test_a_late_reading_gives_none(park_database: ParkDatabase, edge: Edge) -> None:
    start = send(edge, 1.0)[0]
    edge.send([(0, start - SECOND, 1.5, 0)], until=start + 1)
    edge.wait_mark(2)
    assert len(series(park_database, edge, "p-0")) == 2
    assert [time for time, _, _ in series(park_database, edge, "gauge.pressure-ratio")] == [start]


def test_a_rule_on_a_derived_point_raises_once(park_database: ParkDatabase, edge: Edge) -> None:
    times = send(edge, 1.0, 1.9, 1.95, 1.9)
    assert alarms(park_database, "gauge-high", edge.gateway) == [("unacknowledged", 1)]
    [(at, value, name)] = rows(
        park_database,
        """
        SELECT us_of(j.at), j.value, p.name FROM journal j JOIN point p ON p.id = j.point_id
        JOIN stream s ON s.id = j.stream_id WHERE s.name = %s
        """,
        f"gw-{edge.gateway}",
    )
    assert (at, value, name) == (times[1], pytest.approx(0.95), "gauge.pressure-ratio")
    edge.resend(1)
    send(edge, 1.0, start=times[-1] + SECOND)
    assert alarms(park_database, "gauge-high", edge.gateway) == [("returned", 1)]


def test_no_derived_reading_no_reading(park_database: ParkDatabase, running: RunningIntake, edge: Edge) -> None:
    send(edge, 1.0)
    [(point,)] = rows(
        park_database,
        "SELECT p.id FROM point p JOIN stream s ON s.id = p.stream_id WHERE s.name = %s AND p.name = %s",
        f"gw-{edge.gateway}",
        "gauge.pressure-ratio",
    )
    with park_database.connection() as admin:
        admin.execute(
            f"""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
            CREATE TRIGGER refused BEFORE INSERT ON reading FOR EACH ROW WHEN (NEW.point_id = {point})
              EXECUTE FUNCTION refuse();
            """.encode()
        )
        failures = running.intake.counts.failures
        edge.send([(0, now_us() + SECOND, 1.25, 0)], until=now_us() + 2 * SECOND)
        wait_until(lambda: running.intake.counts.failures > failures, "a commit that fails")
        assert [value for _, value, _ in series(park_database, edge, "p-0")] == [1.0]
        admin.execute("DROP FUNCTION refuse CASCADE")
    edge.deliver()
    assert [value for _, value, _ in series(park_database, edge, "p-0")] == [1.0, 1.25]
    assert [value for _, value, _ in series(park_database, edge, "gauge.pressure-ratio")] == [0.5, 0.625]


def test_a_system_that_raises_is_fenced_and_the_others_run_on(park_database: ParkDatabase, edge: Edge) -> None:
    times = send(edge, 1.0, 2.0)
    assert len(series(park_database, edge, "brittle.temperature-margin")) == 2
    for number in range(3):
        send(edge, 3.75, start=times[-1] + (1 + number) * SECOND)
    faults = rows(
        park_database,
        """
        SELECT f.system, f.derivation, f.reason FROM derivation_fault f JOIN stream s ON s.id = f.stream_id
        WHERE s.name = %s
        """,
        f"gw-{edge.gateway}",
    )
    assert faults == [("brittle", "margin", "OverflowError: more than 3.5")]
    assert alarms(park_database, "system-fenced", "brittle/margin") == [("returned", 1)]
    assert len(series(park_database, edge, "brittle.temperature-margin")) == 2
    assert len(series(park_database, edge, "p-0")) == 5
    assert len(series(park_database, edge, "gauge.pressure-ratio")) == 5


def test_a_new_birth_keeps_what_is_derived(park_database: ParkDatabase, edge: Edge) -> None:
    times = send(edge, 1.0)
    edge.birth = Birth.of(points(3, period_ms=20_000))
    edge.say_birth()
    send(edge, 1.5, start=times[-1] + SECOND)
    found = rows(
        park_database,
        """
        SELECT p.name, p.gone_at IS NULL, p.period_ms FROM point p JOIN stream s ON s.id = p.stream_id
        WHERE s.name = %s AND p.name = ANY(%s) ORDER BY p.name
        """,
        f"gw-{edge.gateway}",
        ["gauge.pressure-ratio", "p-0", "p-3"],
    )
    assert found == [("gauge.pressure-ratio", True, 20_000), ("p-0", True, 20_000), ("p-3", False, 1_000)]
    # The memory is made anew from what is stored.
    assert [value for _, value, _ in series(park_database, edge, "gauge.pressure-rate")] == [1.0, 1.25]


def save_factor(park: ParkDatabase, edge: Edge, factor: float) -> None:
    """Write a factor into the register, as somebody at the console does."""
    asset = f"vessel-{edge.gateway}"
    content = RowContent(f'["{asset}"]', {"asset": asset, "factor": factor}, None, None)
    place, act = Place("gauge", "factors"), Act("li", None, 0)
    known = rows(park, "SELECT id, version FROM register_row WHERE register = 'factors' AND key = %s", content.key)
    with park.connection("api") as connection, scoped(connection, WHOLE_PARK, read_only=False):
        if known:
            [(number, version)] = known
            assert change_row(connection, number, version, content, act, CHANGED)
        else:
            assert add_row(connection, place, content, act) is not None


def test_a_register_that_changes_reaches_the_derivation(park_database: ParkDatabase, edge: Edge) -> None:
    times = send(edge, 1.0)
    for number, factor in enumerate((10.0, 20.0)):
        save_factor(park_database, edge, factor)
        send(edge, 2.0, start=times[-1] + (1 + number) * SECOND)
    [first, *others] = series(park_database, edge, "gauge.level")
    assert first[2] == Quality.BAD, "no factor yet"
    assert [value for _, value, _ in others] == [20.0, 40.0]


def test_systems_are_disabled_and_enabled_while_it_runs(park_database: ParkDatabase, edge: Edge) -> None:
    times = send(edge, 1.9)
    assert alarms(park_database, "gauge-high", edge.gateway) == [("unacknowledged", 1)]
    apply(park_database, park_file(*GATEWAYS, system={"brittle": {}}), SYSTEMS)
    # Its alarm ends although nothing comes: no rule holds it any more.
    wait_until(lambda: alarms(park_database, "gauge-high", edge.gateway) == [("returned", 1)], "the end of the alarm")
    send(edge, 1.9, start=times[-1] + SECOND)
    assert len(series(park_database, edge, "gauge.pressure-ratio")) == 1
    assert len(series(park_database, edge, "brittle.temperature-margin")) == 2
    apply(park_database, park_file(*GATEWAYS, system={"gauge": {"limit": 0.5}, "brittle": {}}), SYSTEMS)
    send(edge, 1.2, start=times[-1] + 2 * SECOND)
    assert [value for _, value, _ in series(park_database, edge, "gauge.pressure-ratio")] == [0.95, 0.6]
    assert [value for _, value, _ in series(park_database, edge, "gauge.pressure-rate")][-1] == pytest.approx(5 / 3)
    assert alarms(park_database, "gauge-high", edge.gateway) == [("unacknowledged", 2)]


def test_the_memory_goes_on_with_the_next_worker(fresh_park_database: ParkDatabase, broker: Broker) -> None:
    park, name = fresh_park_database, "derive-moved"
    make_park(park, broker, name, systems=SYSTEMS)
    installed = INSTALLED.format(tests=str(Path(__file__).parents[1]))
    edge = Edge(broker.url(f"gw-{name}"), name, BIRTH)
    start, sent = now_us() - 60 * SECOND, list[tuple[int, float]]()
    try:
        for worker_number in range(3):
            worker = IntakeProcess(park, broker, fault=installed)
            try:
                for _ in range(8):
                    time, value = start + len(sent) * SECOND, float(len(sent) ** 2 % 7) / 2
                    edge.seal([(0, time, value, 0)], until=time + (1 if len(sent) % 3 else 0))
                    sent.append((time, value))
                if worker_number:
                    edge.hello()
                edge.deliver()
                # A few more are on the way when it dies.
                edge.seal([(0, start + len(sent) * SECOND, 3.0, 0)])
                sent.append((start + len(sent) * SECOND, 3.0))
                edge.resend_from(edge.lanes[Lane.LIVE].next_seq - 1)
                worker.kill()
            finally:
                worker.close()
        worker = IntakeProcess(park, broker, fault=installed)
        try:
            edge.seal([], until=start + len(sent) * SECOND)
            edge.deliver()
        finally:
            worker.close()
    finally:
        edge.close()
    expected = [
        (time, sum(near) / len(near))
        for time, _ in sent
        for near in [[value for at, value in sent if time - MEAN_US < at <= time]]
    ]
    found = series(park, edge, "gauge.pressure-rate")
    assert [time for time, _, _ in found] == [time for time, _ in expected]
    assert [value for _, value, _ in found] == pytest.approx([value for _, value in expected])
    assert rows(park, "SELECT count(*) FROM reading_conflict") == [(0,)]
    assert rows(park, "SELECT * FROM derivation_fault") == []
