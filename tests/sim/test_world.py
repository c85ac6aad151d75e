import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from park_sim.daytime import SHIFTS, Curve, Daytime, daytime_of
from park_sim.emissions import WasteStore, converted
from park_sim.noise import Wander, generator
from park_sim.pipelines import Line
from park_sim.sample import sample_site
from park_sim.site import read_field
from park_sim.traffic import BODIES, Happening, Stage, Traffic
from park_sim.utilities import MEDIA
from park_sim.world import World
from park_wire.quality import Mark

LOCAL_MIDNIGHT = datetime(2026, 11, 22, 16, tzinfo=UTC)
"""Monday 2026-11-23 00:00 at UTC+8."""


def at(hours: float) -> int:
    return round((LOCAL_MIDNIGHT + timedelta(hours=hours)).timestamp() * 1e6)


def history(seed: int, steps: int, dt_s: float) -> list[dict[str, dict[str, float]]]:
    world = World(seed, at(9.0))
    seen: list[dict[str, dict[str, float]]] = []
    for _ in range(steps):
        world.step(dt_s)
        seen.append(world.observe())
    return seen


def test_same_seed_same_history_other_seed_other_history() -> None:
    assert history(7, 40, 0.5) == history(7, 40, 0.5)
    assert history(7, 40, 0.5) != history(8, 40, 0.5)


@dataclass(slots=True)
class Day:
    """A day of the park: what was seen each ten minutes, and the balances at these instants."""

    seen: list[dict[str, dict[str, float]]] = field(default_factory=list[dict[str, dict[str, float]]])
    incomer: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    feeders: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    energy_kwh: tuple[float, float] = 0.0, 0.0
    lifts: int = 0
    took_s: float = 0.0


@pytest.fixture(scope="module")
def day() -> Day:
    made = Day()
    began = time.perf_counter()
    world = World(3, at(0.0))
    electricity = world.electricity
    mains = [feeder.main for feeder in electricity.feeders.values()]
    before = electricity.incomer.energy_kwh, sum(main.energy_kwh for main in mains)
    for _ in range(24 * 6):
        world.step(600.0)
        made.seen.append(world.observe())
        made.incomer.append((electricity.incomer.power_kw, sum(main.power_kw for main in mains)))
        made.feeders += [
            (sum(meter.power_kw for _, meter in feeder.subs.values()) + feeder.rest.value, feeder.main.power_kw)
            for feeder in electricity.feeders.values()
        ]
    after = electricity.incomer.energy_kwh, sum(main.energy_kwh for main in mains)
    made.energy_kwh = after[0] - before[0], after[1] - before[1]
    made.lifts = sum(vessel.relief.lifts for vessel in world.vessels.vessels.values())
    made.took_s = time.perf_counter() - began
    return made


def test_a_day_takes_seconds(day: Day, record_property: Callable[[str, object], None]) -> None:
    record_property("world_day_s", round(day.took_s, 2))
    print(f"\na day of the park: {day.took_s:.2f} s, {24 * 720 / day.took_s:.0f} steps/s")  # noqa: T201
    assert len(day.seen) == 144
    # About 2 s on two idle cores.
    assert day.took_s < 60.0


def test_every_value_lies_within_the_measuring_range_of_its_device_all_day(day: Day) -> None:
    devices = read_field(sample_site() / "gateway.toml")
    assert {device.id for device in devices} == day.seen[0].keys()
    for seen in day.seen:
        for device in devices:
            for point in device.model.points:
                assert point.low <= seen[device.id][point.name] <= point.high, (device.id, point.name)


def test_no_relief_valve_lifts_without_a_fault(day: Day) -> None:
    assert day.lifts == 0
    assert all(0.0 < seen[name]["level"] < 90.0 for seen in day.seen for name in ("tank-1", "tank-2"))


def test_incomer_is_the_sum_of_the_enterprises_and_2_to_3_percent(day: Day) -> None:
    for incomer_kw, enterprises_kw in day.incomer:
        assert 1.02 <= incomer_kw / enterprises_kw <= 1.03
    assert 1.02 <= day.energy_kwh[0] / day.energy_kwh[1] <= 1.03


def test_an_enterprise_is_the_sum_of_its_loads_and_its_transformers_loss(day: Day) -> None:
    for loads_kw, main_kw in day.feeders:
        assert main_kw == pytest.approx(loads_kw * 1.008)


@pytest.mark.parametrize("medium", [medium.name for medium in MEDIA])
def test_a_main_meter_is_the_sum_of_its_enterprises_and_the_loss(medium: str) -> None:
    world = World(1, at(11.0))
    network = world.networks[medium]
    before = network.main.total, sum(meter.total for meter in network.meters.values())
    world.step(7_200.0)
    metered = sum(meter.total for meter in network.meters.values()) - before[1]
    assert network.main.total - before[0] == pytest.approx(metered * (1.0 + network.medium.loss))


def test_counters_are_monotone_and_the_integral_of_what_flows() -> None:
    world = World(5, at(6.0))
    counters = {
        ("chem-electricity", "active-energy"): "active-power",
        ("alloy-furnace-1", "active-energy"): "active-power",
        ("chem-water", "volume"): "flow",
        ("food-gas", "volume"): "flow",
        ("heat-steam", "mass"): "flow",
        ("heat-steam", "heat-energy"): "heat-power",
        ("outfall-1", "volume"): "flow",
    }
    first = last = world.observe()
    integral = dict.fromkeys(counters, 0.0)
    for _ in range(720):
        world.step(5.0)
        seen = world.observe()
        for (device, counter), flow in counters.items():
            assert seen[device][counter] >= last[device][counter]
            integral[device, counter] += seen[device][flow] * 5.0 / 3_600.0
        last = seen
    for (device, counter), amount in integral.items():
        assert last[device][counter] - first[device][counter] == pytest.approx(amount, rel=0.01), (device, counter)


def mean_kw(hours: float, minutes: int, power_kw: Callable[[World], float]) -> float:
    """The mean power over some minutes of a world that begins at `hours` of the first Monday."""
    world = World(2, at(hours))
    total = 0.0
    for _ in range(minutes):
        world.step(60.0)
        total += power_kw(world)
    return total / minutes


def test_a_day_shift_works_by_day_and_rests_on_sunday() -> None:
    monday_noon, monday_night, sunday_noon = (
        mean_kw(hours, 60, lambda world: world.electricity.feeders["food"].rest.value)
        for hours in (10.0, 2.0, 6 * 24 + 10.0)
    )
    assert monday_noon > 2.5 * monday_night
    assert monday_noon > 2.0 * sunday_noon


def test_furnaces_follow_the_tariff() -> None:
    night, evening = (
        mean_kw(hours, 120, lambda world: world.electricity.feeders["alloy"].main.power_kw) for hours in (2.0, 18.5)
    )
    assert night > 1.08 * evening


def test_curve_is_continuous_around_midnight() -> None:
    curve = Curve(((3.0, 1.0), (21.0, 2.0)))
    assert curve.at(0.0) == pytest.approx(1.5)
    assert curve.at(23.999) == pytest.approx(1.5, abs=0.001)
    assert curve.at(3.0) == 1.0
    assert SHIFTS.at(Daytime(0, 10.0, 5)) < SHIFTS.at(Daytime(0, 10.0, 4))


def test_daytime_is_that_of_the_park() -> None:
    assert daytime_of(at(0.0)) == Daytime(20_780, 0.0, 0)
    assert daytime_of(at(5 * 24 + 13.5)) == Daytime(20_785, 13.5, 5)


def test_wander_has_its_spread_whatever_the_step() -> None:
    for dt_s, memory_s in ((1.0, 60.0), (30.0, 60.0)):
        wander = Wander(generator(1, f"spread {dt_s}"), 0.2, memory_s)
        values = [wander.step(dt_s) for _ in range(20_000)]
        spread = math.sqrt(sum(value * value for value in values) / len(values))
        assert spread == pytest.approx(0.2, rel=0.15)


def test_relief_valve_lifts_at_its_set_pressure_and_the_pressure_falls() -> None:
    world = World(1, at(9.0))
    tank = world.vessels.vessels["tank-2"]
    before = tank.pressure_mpa
    tank.overpressure_mpa_s = 0.05
    peak, fallen = before, False
    for _ in range(600):
        world.step(0.1)
        peak = max(peak, tank.pressure_mpa)
        fallen = fallen or (tank.relief.lifts > 0 and not tank.relief.lifted)
        if not tank.relief.lifts:
            assert tank.pressure_mpa < tank.relief.set_mpa
    assert tank.relief.lifts >= 1
    assert fallen, "never reseated"
    assert tank.relief.set_mpa <= peak < 1.05 * tank.relief.set_mpa
    assert world.gas.lel["gas-tank-farm"][0] > 15.0
    tank.overpressure_mpa_s = 0.0
    world.step(600.0)
    assert tank.pressure_mpa == pytest.approx(tank.process.pressure_mpa, abs=0.01)
    assert not tank.relief.lifted


def test_a_long_step_does_not_run_past_the_valve() -> None:
    world = World(1, at(9.0))
    tank = world.vessels.vessels["tank-1"]
    tank.overpressure_mpa_s = 0.05
    for _ in range(40):
        world.step(5.0)
        assert tank.pressure_mpa <= 1.06 * tank.relief.set_mpa


def test_drum_keeps_its_pressure_and_dips_when_demand_rises() -> None:
    world = World(4, at(3.0))
    drum = world.vessels.drum
    pressures: list[float] = []
    for _ in range(240):
        world.step(30.0)
        pressures.append(drum.pressure_mpa)
    assert all(2.35 < pressure < 2.55 for pressure in pressures)
    world.vessels.step(daytime_of(world.now_us), 10.0, 8.0, drum.steam_t_h + 15.0)
    assert drum.pressure_mpa < pressures[-1]


def test_reactor_runs_batches() -> None:
    world = World(4, at(0.0))
    seen = set[int]()
    peak_c, low_pct = 0.0, 100.0
    for _ in range(300):
        world.step(60.0)
        reactor = world.vessels.vessels["reactor-1"].process
        seen.add(getattr(reactor, "phase"))  # noqa: B009  # the protocol of processes knows no phase
        peak_c, low_pct = max(peak_c, reactor.temperature_c), min(low_pct, reactor.level_pct)
    assert seen == {0, 1, 2, 3, 4}
    assert 160.0 < peak_c < 175.0
    assert low_pct < 20.0


@pytest.mark.parametrize("name", ["pipeline-1", "pipeline-2"])
@pytest.mark.parametrize("dt_s", [0.1, 5.0])
def test_pipeline_balance_in_minus_out_minus_leak_is_line_pack(name: str, dt_s: float) -> None:
    world = World(1, at(9.0))
    line = world.pipelines.lines[name]
    line.leak_m3h = 0.2 * line.normal_m3h
    pack, moved_in, moved_out = line.line_pack_m3, line.in_total_m3, line.out_total_m3
    leaked = 0.0
    for _ in range(200):
        world.step(dt_s)
        leaked += line.leaking_m3h * dt_s / 3_600.0
    change = line.in_total_m3 - moved_in - (line.out_total_m3 - moved_out) - leaked
    assert change == pytest.approx(line.line_pack_m3 - pack, abs=1e-6)
    assert leaked > 0.0


def test_a_leak_lowers_the_pressure_and_a_line_never_runs_below_nothing() -> None:
    line = Line("line", 20.0, 1_000.0, 0.4, 0.37, 100.0, 10.0, 0.37)
    for _ in range(600):
        line.step(1.0, 30.0)
    quiet = line.pressure_mpa
    line.leak_m3h = 50.0
    for _ in range(600):
        line.step(1.0, 30.0)
    assert line.pressure_mpa < quiet - 0.02
    assert line.inflow_m3h - line.outflow_m3h == pytest.approx(line.leaking_m3h, rel=0.01)
    line.leak_m3h = 1e6
    for _ in range(600):
        line.step(1.0, 30.0)
        assert line.pressure_mpa >= 0.0


def test_a_gate_drives_to_its_command_with_current_and_limit_switches() -> None:
    world = World(1, at(9.0))
    gate = world.sluices.gates["sluice-1"]
    gate.position_pct, gate.command_pct, gate.next_command_s = 50.0, 100.0, 1e9
    world.step(10.0)
    moving = world.observe()["sluice-1"]
    assert moving["position"] == pytest.approx(60.0, abs=0.3)
    assert moving["motor-current"] > 5.0
    assert (moving["limit-open"], moving["limit-closed"]) == (0.0, 0.0)
    world.step(60.0)
    arrived = world.observe()["sluice-1"]
    assert arrived["limit-open"] == 1.0
    assert arrived["motor-current"] == 0.0
    gate.command_pct = 0.0
    world.step(120.0)
    assert world.observe()["sluice-1"]["limit-closed"] == 1.0


def test_stack_converts_by_oxygen_and_is_calibrated_at_night() -> None:
    assert converted(30.0, 6.0) == 30.0
    assert converted(30.0, 9.0) == pytest.approx(30.0 * 15.0 / 12.0)
    assert converted(30.0, 21.0) == pytest.approx(30.0 * 15.0 / 0.1)
    world = World(1, at(1.9))
    assert world.marks() == {"stack-1": Mark.NORMAL, "outfall-1": Mark.NORMAL}
    world.step(900.0)
    assert world.marks()["stack-1"] is Mark.CALIBRATING
    assert world.observe()["stack-1"]["so2"] == pytest.approx(80.0, rel=0.05)
    assert world.observe()["stack-1"]["treatment-state"] == 2.0
    world.step(3_600.0)
    assert world.marks() == {"stack-1": Mark.NORMAL, "outfall-1": Mark.CALIBRATING}
    seen = world.observe()["stack-1"]
    assert seen["so2-converted"] == pytest.approx(converted(seen["so2"], seen["o2"]))


def test_waste_store_fills_in_lots_and_is_emptied_before_it_is_full() -> None:
    store = WasteStore(1)
    weights: list[float] = []
    for minutes in range(0, 40 * 24 * 60, 10):
        store.step(daytime_of(at(minutes / 60.0)), 600.0)
        weights.append(store.weight_t)
    assert max(weights) < store.FULL_T
    assert min(weights) > 0.0
    steps = [after - before for before, after in itertools.pairwise(weights)]
    assert max(steps) < 0.5
    assert min(steps) < -10.0


def test_trucks_pass_gates_are_weighed_and_keep_the_speed_limit() -> None:
    traffic = Traffic(1)
    stages = {name: {truck.stage} for name, truck in traffic.trucks.items()}
    events: list[Happening] = []
    fastest_km_h, heaviest_t = 0.0, 0.0
    for second in range(5 * 3_600):
        events += traffic.step(at(8.0) + second * 1_000_000, 1.0)
        for name, truck in traffic.trucks.items():
            stages[name].add(truck.stage)
            fastest_km_h = max(fastest_km_h, truck.speed_m_s * 3.6)
        heaviest_t = max(heaviest_t, 0.0 if traffic.on_bridge is None else traffic.on_bridge.weight_t)
    assert all(seen == set(Stage) for seen in stages.values())
    assert 20.0 < fastest_km_h <= 30.0
    assert heaviest_t > 25.0
    assert all(event.body.keys() == BODIES[event.kind].keys() for event in events)
    tickets = [event.body for event in events if event.kind == "weigh-ticket"]
    assert len(tickets) > 10
    assert len({ticket["ticket"] for ticket in tickets}) == len(tickets)
    for ticket in tickets:
        assert float(ticket["net_t"]) == pytest.approx(float(ticket["gross_t"]) - float(ticket["tare_t"]))
        assert 13.0 < float(ticket["tare_t"]) < 16.0
        assert 15.0 < float(ticket["net_t"]) < 31.0
    passes = [event.body for event in events if event.kind == "gate-pass"]
    assert len(passes) > 10
    for plate in {str(body["plate"]) for body in passes}:
        directions = [body["direction"] for body in passes if body["plate"] == plate]
        assert directions == (["in", "out"] * len(directions))[: len(directions)]


def test_happenings_are_taken_once() -> None:
    world = World(1, at(8.0))
    world.step(60.0)
    assert [event.kind for event in world.take_happenings()] == ["gate-pass"]
    assert world.take_happenings() == []


def test_trucks_stand_on_the_park_and_move_no_faster_than_they_say() -> None:
    world = World(1, at(8.0))
    metres = 111_320.0
    before, compared = world.observe()["truck-1"], 0
    for _ in range(600):
        world.step(1.0)
        seen = world.observe()["truck-1"]
        east = (seen["longitude"] - before["longitude"]) * metres * math.cos(math.radians(40.658))
        north = (seen["latitude"] - before["latitude"]) * metres
        # A round begins at whichever gate: that jump happens outside.
        if world.traffic.trucks["truck-1"].stage is not Stage.TO_FIRST_WEIGHING:
            assert math.hypot(east, north) < 9.0 + 12.0
            compared += 1
        before = seen
    assert compared > 200
