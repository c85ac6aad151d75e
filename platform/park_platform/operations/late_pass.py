"""The late pass: once a hole has closed, what follows from the readings that came for it (chain 5).

An hour of a stream at a time: its stream derivations are computed again where late readings went into them, and its
rules judge what they could not judge in time (missed.py). It never moves the state of a rule or what the live
derivations carry, and holds the stream's row only while it writes.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import structlog

from park_platform.derivations import Derivations
from park_platform.operations.missed import find_missed, reach_us, rules_on
from park_platform.sensing.derive_load import bind_as_kept, remembered_us
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.late_hours import (
    LateHour,
    Missed,
    forget_late_hour,
    lines_between,
    next_late_hour,
    readings_between,
    save_missed,
    standing,
)
from park_platform.storage.replaced import replace_readings
from park_platform.storage.streams import StreamRules, rules_of
from park_platform.storage.workers import lock_stream
from park_sdk.bind import NO_POINT, Bound
from park_sdk.frame import Bools, Frame, Int32s
from park_sdk.system import System
from park_wire.quality import LATE

log = structlog.get_logger()

# Some hundred thousand readings at one a second: what is held in memory, and how long the other duties wait.
_POINTS_AT_ONCE: Final = 50


@dataclass(slots=True)
class LatePass:
    """The pass as the housekeeper holds it. clock: the database's, µs."""

    connection: Connection
    systems: Mapping[str, System]
    clock: Callable[[Connection], int]
    _at_work: Generator[None] | None = None

    def advance(self) -> bool:
        """Do a bounded piece of work; returns whether there is more to do at once.

        Raises StoreUnavailable and StoreError; the hour is then begun anew.
        """
        with database_errors():
            if self._at_work is None:
                hour = next_late_hour(self.connection, self.clock(self.connection))
                if hour is None:
                    return False
                self._at_work = self._pass_over(hour)
            work, self._at_work = self._at_work, None
            if next(work, _OVER) is not _OVER:
                self._at_work = work
            return True

    def _pass_over(self, hour: LateHour) -> Generator[None]:
        if not hour.is_park:
            for bound in bind_as_kept(self.connection, hour.stream, self.systems, hour.end):
                self._derive(hour, bound)
                yield
        rules = rules_of(self.connection, hour.stream)
        watched = rules_on(rules, rules.table.points).table.points
        missed: list[Missed] = []
        for first in range(0, len(watched), _POINTS_AT_ONCE):
            missed += self._judge(hour, rules, watched[first : first + _POINTS_AT_ONCE])
            yield
        with self.connection.transaction():
            save_missed(self.connection, hour.stream, missed, self.clock(self.connection))
            forget_late_hour(self.connection, hour)
        log.info("late_hour_judged", stream=hour.stream, hour=hour.hour, missed=len(missed))

    def _derive(self, hour: LateHour, bound: Bound) -> None:
        """Compute a derivation again as far as late readings went into it; what is there already stays."""
        remembered = remembered_us(bound)
        until = min(hour.end + remembered + 1, hour.until)
        points = np.unique(bound.inputs[bound.inputs != NO_POINT])
        frame = readings_between(self.connection, points, hour.start - remembered, until)
        if not _late_within(frame, hour).any():
            return
        past = frame.time < hour.start
        begun = Derivations.begin([bound], frame.take(past), hour.start)
        derived, progress = begun.run(frame.take(~past), until)
        if progress.fenced:
            names = {"system": bound.system, "derivation": bound.derivation.id}
            log.error("late_derivation_failed", stream=hour.stream, reason=progress.fenced[0].reason, **names)
            return
        derived = replace(derived, quality=(derived.quality | LATE).astype(np.int16))
        with self.connection.transaction():
            lock_stream(self.connection, hour.stream)
            span = hour.start - 1, until - 1
            replace_readings(self.connection, hour.stream, bound.outputs.ravel(), span, derived)

    def _judge(self, hour: LateHour, rules: StreamRules, points: Int32s) -> list[Missed]:
        """What the rules of these points missed."""
        reach = reach_us(rules_on(rules, points))
        until = max(min(hour.end + reach, hour.until), hour.end)
        frame = readings_between(self.connection, points, hour.start - reach, until + 1)
        points = np.unique(frame.point[_late_within(frame, hour)])
        if not len(points):
            return []
        chosen = rules_on(rules, points)
        table = chosen.table
        stood = standing(self.connection, table.rule, table.point, hour.start)
        lines = lines_between(self.connection, points, hour.start, until + reach)
        frame = frame.take(np.isin(frame.point, points))
        return find_missed(chosen, frame, stood, lines, start=hour.start, end=hour.end, until=until)


_OVER: Final = object()


def _late_within(frame: Frame, hour: LateHour) -> Bools:
    return ((frame.quality & LATE) != 0) & (frame.time >= hour.start) & (frame.time <= hour.end)
