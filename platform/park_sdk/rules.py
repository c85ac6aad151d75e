"""Alarm rules as data, and as the table of arrays that the kernel reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from park_sdk.frame import FOREVER, NEVER, Bools, Floats, Int32s, Int64s


class RuleKind(IntEnum):
    """What a rule watches. Names of the limits after ISA-18.2 / IEC 62682."""

    HH = 1
    H = 2
    L = 3
    LL = 4
    STALE = 5
    BAD_QUALITY = 6


class Priority(StrEnum):
    """Alarm priority. The target split of ISA-18.2 is about 5 % high, 15 % medium, 80 % low, and critical below 1 %."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit on one point. Limit and deadband in the quantity's canonical unit, times in µs of event time.

    HH and H are violated while value > limit and end at value <= limit - deadband; L and LL the other way round.
    STALE is violated when no reading came for `max_age`; it takes no limit and no delays. BAD_QUALITY is violated
    while readings are bad. `max_age` is how long a value holds: a pending delay restarts after a longer gap.
    A latched alarm stays after its condition ended until a person resets it.
    """

    rule: int
    point: int
    kind: RuleKind
    limit: float = 0.0
    deadband: float = 0.0
    on_delay: int = 0
    off_delay: int = 0
    max_age: int = FOREVER
    latch: bool = False


class Phase(IntEnum):
    """Where a rule stands. PENDING waits for its on-delay, RETURNING for its off-delay, LATCHED for a reset."""

    IDLE = 0
    PENDING = 1
    ACTIVE = 2
    RETURNING = 3
    LATCHED = 4


class Change(IntEnum):
    """What a transition says. A latched alarm whose condition ends is CLEARED first and RESET later."""

    RAISED = 1
    CLEARED = 2
    RESET = 3


@dataclass(frozen=True, slots=True)
class RuleTable:
    """r rules as arrays, sorted by (point, rule). Made by `RuleTable.of`."""

    rule: Int32s
    point: Int32s
    kind: NDArray[np.uint8]
    limit: Floats
    deadband: Floats
    on_delay: Int64s
    off_delay: Int64s
    max_age: Int64s
    latch: Bools

    def __len__(self) -> int:
        """How many rules."""
        return len(self.rule)

    @staticmethod
    def of(rules: Sequence[Rule]) -> "RuleTable":
        """The table of these rules."""
        ordered = sorted(rules, key=lambda rule: (rule.point, rule.rule))
        return RuleTable(
            rule=np.array([rule.rule for rule in ordered], np.int32),
            point=np.array([rule.point for rule in ordered], np.int32),
            kind=np.array([rule.kind for rule in ordered], np.uint8),
            limit=np.array([rule.limit for rule in ordered], np.float64),
            deadband=np.array([rule.deadband for rule in ordered], np.float64),
            on_delay=np.array([rule.on_delay for rule in ordered], np.int64),
            off_delay=np.array([rule.off_delay for rule in ordered], np.int64),
            max_age=np.array([rule.max_age for rule in ordered], np.int64),
            latch=np.array([rule.latch for rule in ordered], np.bool_),
        )


@dataclass(slots=True)
class RuleState:
    """The state of every rule of a table.

    phase: u8[r]. since: i64[r], the event time at which the phase began. due: i64[r], the event time at which its
    timer ends (FOREVER: none runs).
    """

    phase: NDArray[np.uint8]
    since: Int64s
    due: Int64s

    @staticmethod
    def idle(n: int) -> "RuleState":
        """N rules of which none is violated."""
        return RuleState(np.zeros(n, np.uint8), np.full(n, NEVER), np.full(n, FOREVER))

    def apply(self, changes: "StateChanges") -> None:
        """Take the changes over: after the commit, never before."""
        self.phase[changes.row] = changes.phase
        self.since[changes.row] = changes.since
        self.due[changes.row] = changes.due


@dataclass(frozen=True, slots=True)
class StateChanges:
    """Rows of a RuleState that are to change, ascending and unique, and what they become."""

    row: NDArray[np.intp]
    phase: NDArray[np.uint8]
    since: Int64s
    due: Int64s


@dataclass(frozen=True, slots=True)
class Transitions:
    """t transitions, ordered by (at, row). row: index into the rule table. at: event time in µs.

    value: f64[t], the reading that decided (NaN where none did, as for STALE). change: u8[t], a Change.
    """

    row: NDArray[np.intp]
    change: NDArray[np.uint8]
    at: Int64s
    value: Floats

    def __len__(self) -> int:
        """How many transitions."""
        return len(self.row)


NO_TRANSITIONS: Final = Transitions(
    np.empty(0, np.intp), np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, np.float64)
)
