"""Alarm rules as data, and as the table of arrays that the kernel reads."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from park_sdk.frame import FOREVER, NEVER, Bools, Floats, Int32s, Int64s, Rows
from park_sdk.spans import BLOCK, block_minima, spread, united


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
    """Where a rule stands. The numbers are stored.

    PENDING waits for its on-delay, RETURNING for its off-delay, LATCHED for a reset.
    RELAPSING is LATCHED while the on-delay of the next violation runs: it can go back to LATCHED, never to IDLE.
    """

    IDLE = 0
    PENDING = 1
    ACTIVE = 2
    RETURNING = 3
    LATCHED = 4
    RELAPSING = 5


class Change(IntEnum):
    """What a transition says. A latched alarm whose condition ends is CLEARED first and RESET later."""

    RAISED = 1
    CLEARED = 2
    RESET = 3


@dataclass(frozen=True, slots=True)
class RuleTable:
    """r rules as arrays, sorted by (point, rule). Made by `RuleTable.of`.

    What follows from them is worked out once: points: i32[p], the points with a rule, ascending. first: the rules of
    points[i] are rows first[i] to first[i + 1]. place: intp[r], the rule's index in points. stale: rows of the STALE
    rules. ceiling, floor: f64[p], the limits that every value of a quiet point lies between (infinite: none).
    watched: bool[p], has a BAD_QUALITY rule. stale_age: i64[p], the shortest age of its STALE rules (FOREVER: none).
    """

    rule: Int32s
    point: Int32s
    kind: NDArray[np.uint8]
    limit: Floats
    deadband: Floats
    on_delay: Int64s
    off_delay: Int64s
    max_age: Int64s
    latch: Bools
    points: Int32s = field(init=False, repr=False)
    first: Rows = field(init=False, repr=False)
    place: Rows = field(init=False, repr=False)
    stale: Rows = field(init=False, repr=False)
    ceiling: Floats = field(init=False, repr=False)
    floor: Floats = field(init=False, repr=False)
    watched: Bools = field(init=False, repr=False)
    stale_age: Int64s = field(init=False, repr=False)

    def __post_init__(self) -> None:
        starts = np.ones(len(self.point), np.bool_)
        starts[1:] = self.point[1:] != self.point[:-1]
        start = np.flatnonzero(starts)
        upper = (self.kind == RuleKind.HH) | (self.kind == RuleKind.H)
        lower = (self.kind == RuleKind.L) | (self.kind == RuleKind.LL)
        stale = self.kind == RuleKind.STALE
        derived = {
            "points": self.point[start],
            "first": np.append(start, len(self.point)),
            "place": np.cumsum(starts) - 1,
            "stale": np.flatnonzero(stale),
            "ceiling": np.minimum.reduceat(np.where(upper, self.limit, np.inf), start),
            "floor": np.maximum.reduceat(np.where(lower, self.limit, -np.inf), start),
            "watched": np.logical_or.reduceat(self.kind == RuleKind.BAD_QUALITY, start),
            "stale_age": np.minimum.reduceat(np.where(stale, self.max_age, FOREVER), start),
        }
        for name, array in derived.items():
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        """How many rules."""
        return len(self.rule)

    def rows_of(self, places: Rows) -> tuple[Rows, Rows]:
        """The rows of the rules of points[places], and for each the position in `places` that it comes from."""
        return spread(self.first[places], self.first[places + 1] - self.first[places])

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
    """The state of every rule of a table. Filled when it is loaded, and from then on changed by `apply` only.

    phase: u8[r]. since: i64[r], the event time at which the phase began (NEVER while IDLE). due: i64[r], the event
    time at which the running delay ends if nothing more is read (FOREVER: none runs, or the value stops holding
    before; NEVER: not known, the kernel works it out). A STALE rule has no due: its instant follows from the image.

    wake and stale_wake: lower bounds of the next due of each BLOCK rows, and of each BLOCK entries of the table's
    `stale`. They save the kernel from looking at rules whose time has not come, and never decide anything.
    """

    phase: NDArray[np.uint8]
    since: Int64s
    due: Int64s
    wake: Int64s = field(init=False, repr=False)
    stale_wake: Int64s = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # NEVER makes the first call look at every rule.
        blocks = -(-len(self.due) // BLOCK)
        self.wake = np.full(blocks, NEVER)
        self.stale_wake = np.full(blocks, NEVER)

    @staticmethod
    def idle(n: int) -> "RuleState":
        """N rules of which none is violated."""
        return RuleState(np.zeros(n, np.uint8), np.full(n, NEVER), np.full(n, FOREVER))

    def apply(self, changes: "StateChanges") -> None:
        """Take the changes over: after the commit, never before."""
        self.phase[changes.row] = changes.phase
        self.since[changes.row] = changes.since
        self.due[changes.row] = changes.due
        if len(changes.row) or len(changes.awake):
            blocks = united(changes.row // BLOCK, changes.awake)
            self.wake[blocks] = block_minima(self.due, blocks)
        self.stale_wake[changes.stale_block] = changes.stale_wake


@dataclass(frozen=True, slots=True)
class StateChanges:
    """Rows of a RuleState that are to change, ascending and unique, and what they become.

    awake: blocks whose `wake` has passed. stale_block, stale_wake: blocks of the state's stale_wake, ascending and
    unique, and their new bounds. These three are bookkeeping in memory: nothing in a database corresponds to them.
    """

    row: Rows
    phase: NDArray[np.uint8]
    since: Int64s
    due: Int64s
    awake: Rows
    stale_block: Rows
    stale_wake: Int64s

    def __len__(self) -> int:
        """How many rules change."""
        return len(self.row)

    @staticmethod
    def of_no_rule(awake: Rows, stale_block: Rows, stale_wake: Int64s) -> "StateChanges":
        """No rule changes; only what was looked at is remembered."""
        times = np.empty(0, np.int64)
        return StateChanges(times, np.empty(0, np.uint8), times, times, awake, stale_block, stale_wake)


@dataclass(frozen=True, slots=True)
class Transitions:
    """t transitions, ordered by (at, row), and those of one row as they followed each other.

    row: index into the rule table. at: event time in µs. value: f64[t], the value that held when the delay ended, and
    NaN where none did: STALE raised, and every reset. change: u8[t], a Change.
    """

    row: Rows
    change: NDArray[np.uint8]
    at: Int64s
    value: Floats

    def __len__(self) -> int:
        """How many transitions."""
        return len(self.row)

    def take(self, rows: Rows) -> "Transitions":
        """Some of them, in the order given."""
        return Transitions(self.row[rows], self.change[rows], self.at[rows], self.value[rows])

    @staticmethod
    def joined(parts: "list[Transitions]") -> "Transitions":
        """Several after each other."""
        parts = [part for part in parts if len(part)] or [NO_TRANSITIONS]
        if len(parts) == 1:
            return parts[0]
        return Transitions(
            np.concatenate([part.row for part in parts]),
            np.concatenate([part.change for part in parts]),
            np.concatenate([part.at for part in parts]),
            np.concatenate([part.value for part in parts]),
        )


NO_TRANSITIONS: Final = Transitions(
    np.empty(0, np.intp), np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, np.float64)
)
