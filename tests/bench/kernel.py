"""How long the alarm kernel takes for one frame, alone on one core: `park bench kernel`.

Every figure is the CPU time in milliseconds of `evaluate` with the installation of its changes, the best of several
runs where a situation can be repeated. The kernel is one thread and waits for nothing, so on an idle core this is what
the clock on the wall shows, and on a busy one it is still the kernel's own. Four limits a point (HH, H, L, LL with
deadband, delays and a value that holds for 15 s), readings a second apart.
"""

import sys
from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np

from park_sdk.evaluate import evaluate
from park_sdk.frame import Floats, Frame, Image, Int32s
from park_sdk.rules import RuleKind, RuleState, RuleTable

SECOND = 1_000_000
RULES_A_POINT = 4
START = 1_700_000_000 * SECOND


def table_of(
    points: int, kinds: tuple[RuleKind, ...] = (RuleKind.HH, RuleKind.H, RuleKind.L, RuleKind.LL)
) -> RuleTable:
    """Rules of these kinds for every point: limits at 10 and 20, and at -10 and -20."""
    n = points * len(kinds)
    limits = {RuleKind.HH: 20.0, RuleKind.H: 10.0, RuleKind.L: -10.0, RuleKind.LL: -20.0}
    limit_only = [kind <= RuleKind.LL for kind in kinds]
    return RuleTable(
        rule=np.tile(np.arange(1, len(kinds) + 1, dtype=np.int32), points),
        point=np.repeat(np.arange(1, points + 1, dtype=np.int32), len(kinds)),
        kind=np.tile(np.array(kinds, np.uint8), points),
        limit=np.tile([limits.get(kind, 0.0) for kind in kinds], points),
        deadband=np.tile(np.where(limit_only, 0.5, 0.0), points),
        on_delay=np.tile(np.where(limit_only, 5 * SECOND, 0), points),
        off_delay=np.tile(np.where(limit_only, 10 * SECOND, 0), points),
        max_age=np.full(n, 15 * SECOND),
        latch=np.zeros(n, np.bool_),
    )


class Plant:
    """Points that are read once a second, with their rules."""

    def __init__(self, rules: RuleTable) -> None:
        self.rules = rules
        self.image = Image.blank(rules.points)
        self.state = RuleState.idle(len(rules))
        self.now = START
        self.transitions = 0

    def second(self, value: Floats, points: Int32s | None = None) -> float:
        """One more second passes and brings a reading of some or all points; the time to judge it, in ms."""
        self.now += SECOND
        chosen = self.rules.points if points is None else points
        frame = Frame(chosen, np.full(len(chosen), self.now), value, np.zeros(len(chosen), np.int16))
        begun = process_time()
        changes, transitions = evaluate(self.rules, frame, self.image, self.state, until=self.now)
        self.state.apply(changes)
        took = process_time() - begun
        self.image.show(frame)
        self.transitions += len(transitions)
        return took * 1_000


def measure(points: int, runs: int) -> dict[str, float]:
    """The figures of one size of plant."""
    random = np.random.default_rng(7)
    quiet = random.uniform(-9.0, 9.0, points)
    plant = Plant(table_of(points))
    plant.second(quiet)
    figures = {"quiet": min(plant.second(quiet) for _ in range(runs))}

    few = quiet.copy()
    few[random.choice(points, points // 100, replace=False)] = 15.0
    figures["one_percent_begins"] = plant.second(few)
    for _ in range(6):
        plant.second(few)
    figures["one_percent_active"] = min(plant.second(few) for _ in range(runs))

    plant = Plant(table_of(points))
    plant.second(quiet)
    high = np.full(points, 25.0)
    figures["all_begin"] = plant.second(high)
    figures["all_wait"] = min(plant.second(high) for _ in range(3))
    plant.second(high)
    figures["all_raise"] = plant.second(high)
    figures["all_active"] = min(plant.second(high) for _ in range(runs))

    mixed = Plant(table_of(points, (RuleKind.H, RuleKind.L, RuleKind.STALE, RuleKind.BAD_QUALITY)))
    mixed.second(quiet)
    times = [mixed.second(quiet) for _ in range(max(runs, 40))]
    figures["quiet_with_stale"] = float(np.median(times))
    figures["quiet_with_stale_worst"] = max(times)

    some = np.sort(random.choice(mixed.rules.points, 100, replace=False))
    quiet_some = np.zeros(100)
    hundred = Plant(table_of(points))
    hundred.second(quiet)
    figures["hundred_points"] = min(hundred.second(quiet_some, some) for _ in range(runs * 5))
    loud_some = np.full(100, 15.0)
    figures["hundred_points_violated"] = min(hundred.second(loud_some, some) for _ in range(4))
    return {name: round(value, 3) for name, value in figures.items()}


def measure_backfill(readings: int) -> float:
    """Ms for one frame with a noisy hour of ten points, so thousands of readings each, around their limit."""
    rules = table_of(10)
    plant = Plant(rules)
    plant.second(np.zeros(10))
    noise = np.random.default_rng(3).normal(10.0, 1.0, 10 * readings)
    time = np.tile(plant.now + SECOND * np.arange(1, readings + 1), 10)
    frame = Frame(np.repeat(rules.points, readings), time, noise, np.zeros(len(time), np.int16))
    begun = process_time()
    evaluate(rules, frame, plant.image, plant.state, until=int(time[-1]))
    return round((process_time() - begun) * 1_000, 3)


def run(report: Callable[[str], None] = lambda line: print(line, file=sys.stderr)) -> dict[str, Any]:  # noqa: T201
    """Measure; progress goes to `report`. All figures in ms."""
    figures: dict[str, Any] = {}
    for rules, runs in ((100_000, 20), (1_000_000, 7)):
        figures[f"rules_{rules}"] = measure(rules // RULES_A_POINT, runs)
        report(f"{rules} rules: {figures[f'rules_{rules}']}")
    figures["backfill_36000_readings"] = measure_backfill(3_600)
    report(f"backfill: {figures['backfill_36000_readings']}")
    return figures


if __name__ == "__main__":
    run()
