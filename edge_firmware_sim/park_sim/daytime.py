"""Local time of the park and what depends on it: the shapes of a day.

The park lives at UTC+8 without summer time; an offset is enough and needs no time zone database.
"""

from dataclasses import dataclass
from typing import Final

from park_sim.noise import Wander, approach, generator

_US_PER_S: Final = 1_000_000
_OFFSET_S: Final = 8 * 3_600
_DAY_S: Final = 86_400
_SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class Daytime:
    """A local instant: days since 1970-01-01, hour of the day as a fraction, weekday with Monday = 0."""

    day: int
    hour: float
    weekday: int

    @property
    def weekend(self) -> bool:
        """Whether it is Saturday or Sunday."""
        return self.weekday >= _SATURDAY


def daytime_of(now_us: int) -> Daytime:
    """The park's local time at `now_us` (µs since the epoch, UTC)."""
    local_s = now_us / _US_PER_S + _OFFSET_S
    day = int(local_s // _DAY_S)
    # 1970-01-01 was a Thursday.
    return Daytime(day, (local_s - day * _DAY_S) / 3_600.0, (day + 3) % 7)


@dataclass(frozen=True, slots=True)
class Curve:
    """A daily shape: values at given hours, straight lines between them, and around midnight."""

    knots: tuple[tuple[float, float], ...]

    def at(self, hour: float) -> float:
        """The value at this hour, 0 <= hour < 24."""
        knots = self.knots
        before_hour, before = knots[-1][0] - 24.0, knots[-1][1]
        for next_hour, after in knots:
            if hour < next_hour:
                break
            before_hour, before = next_hour, after
        else:
            next_hour, after = knots[0][0] + 24.0, knots[0][1]
        return before + (after - before) * (hour - before_hour) / (next_hour - before_hour)


FLAT: Final = Curve(((0.0, 1.0),))
CONTINUOUS: Final = Curve(((0.0, 0.95), (6.0, 0.96), (10.0, 1.0), (15.0, 1.0), (21.0, 0.97)))
"""A process that runs day and night."""
DAY_SHIFT: Final = Curve(
    ((0.0, 0.22), (6.0, 0.25), (8.0, 0.9), (11.5, 1.0), (12.5, 0.75), (14.0, 1.0), (18.0, 0.8), (20.0, 0.35))
)
"""Work from eight to six with a break at noon."""
VALLEY_SHIFTED: Final = Curve(
    (
        (0.0, 1.0),
        (4.5, 1.0),
        (6.0, 0.82),
        (8.0, 0.84),
        (10.5, 0.93),
        (11.5, 1.0),
        (15.5, 1.0),
        (17.0, 0.9),
        (18.0, 0.78),
        (22.0, 0.8),
    )
)
"""A large consumer that follows the tariff: full load in the valley hours 00-04 and 11-16."""
HEATING: Final = Curve(((0.0, 0.85), (5.0, 0.95), (7.5, 1.0), (13.0, 0.72), (18.5, 0.95), (22.0, 0.9)))
"""Heat demand: a morning and an evening peak."""
IDLE_DAY: Final = Curve(((0.0, 0.25), (9.0, 0.4), (16.0, 0.4), (20.0, 0.25)))
"""A day shift's Sunday."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The daily curves of a consumer, on weekdays and at weekends."""

    weekday: Curve
    weekend: Curve

    def at(self, now: Daytime) -> float:
        """The share of the full load at this instant."""
        return (self.weekend if now.weekend else self.weekday).at(now.hour)


ROUND_THE_CLOCK: Final = Shape(CONTINUOUS, CONTINUOUS)
SHIFTS: Final = Shape(DAY_SHIFT, IDLE_DAY)
TARIFF: Final = Shape(VALLEY_SHIFTED, VALLEY_SHIFTED)
HEAT: Final = Shape(HEATING, HEATING)
STEADY: Final = Shape(FLAT, FLAT)


class Demand:
    """What a consumer draws: its full load times the shape of the day, slowly wandering, never a step.

    `value` is in the unit of `full`.
    """

    def __init__(self, seed: int, name: str, full: float, shape: Shape, *, wander: float = 0.04) -> None:
        self.full = full
        self.shape = shape
        self._wander = Wander(generator(seed, f"demand/{name}"), wander, 900.0)
        self._level = -1.0
        self.value = 0.0

    def step(self, now: Daytime, dt_s: float) -> float:
        """Move on by `dt_s`; returns the new demand."""
        target = self.shape.at(now)
        # The first step starts on the curve: a world has no cold start.
        self._level = target if self._level < 0.0 else approach(self._level, target, dt_s, 300.0)
        self.value = max(0.0, self.full * self._level * (1.0 + self._wander.step(dt_s)))
        return self.value
