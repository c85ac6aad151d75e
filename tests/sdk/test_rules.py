import numpy as np
import pytest

from park_sdk.frame import FOREVER, NEVER
from park_sdk.rules import (
    NO_TRANSITIONS,
    Change,
    Phase,
    Rule,
    RuleKind,
    RuleState,
    RuleTable,
    StateChanges,
    Transitions,
)
from park_sdk.spans import BLOCK, begins, block_minima, carry, ends, last_older, later, spread, united

RULES = [
    Rule(rule=2, point=9, kind=RuleKind.L, limit=-1.0),
    Rule(rule=1, point=9, kind=RuleKind.LL, limit=-4.0),
    Rule(rule=8, point=4, kind=RuleKind.STALE, max_age=50),
    Rule(rule=3, point=4, kind=RuleKind.HH, limit=20.0, deadband=1.0, on_delay=5, off_delay=6, latch=True),
    Rule(rule=7, point=4, kind=RuleKind.H, limit=10.0),
    Rule(rule=9, point=4, kind=RuleKind.STALE, max_age=30),
    Rule(rule=1, point=6, kind=RuleKind.BAD_QUALITY),
]


def changes_of(rows: list[int], phase: Phase, since: int, due: int) -> StateChanges:
    n = len(rows)
    none = np.empty(0, np.intp)
    return StateChanges(
        np.array(rows, np.intp), np.full(n, phase, np.uint8), np.full(n, since), np.full(n, due), none, none, none
    )


def test_table_is_sorted_by_point_and_rule() -> None:
    table = RuleTable.of(RULES)
    assert len(table) == 7
    assert list(zip(table.point.tolist(), table.rule.tolist(), strict=True)) == [
        (4, 3), (4, 7), (4, 8), (4, 9), (6, 1), (9, 1), (9, 2),
    ]  # fmt: skip
    assert table.kind.tolist() == [1, 2, 5, 5, 6, 4, 3]
    assert (table.limit[0], table.deadband[0], table.on_delay[0], table.off_delay[0]) == (20.0, 1.0, 5, 6)
    assert table.latch.tolist() == [True] + [False] * 6
    assert table.max_age.tolist() == [FOREVER, FOREVER, 50, 30, FOREVER, FOREVER, FOREVER]


def test_table_knows_what_a_quiet_point_looks_like() -> None:
    table = RuleTable.of(RULES)
    assert table.points.tolist() == [4, 6, 9]
    assert table.first.tolist() == [0, 4, 5, 7]
    assert table.place.tolist() == [0, 0, 0, 0, 1, 2, 2]
    assert table.stale.tolist() == [2, 3]
    assert table.ceiling.tolist() == [10.0, np.inf, np.inf]
    assert table.floor.tolist() == [-np.inf, -np.inf, -1.0]
    assert table.watched.tolist() == [False, True, False]
    assert table.stale_age.tolist() == [30, FOREVER, FOREVER]


def test_rows_of_points() -> None:
    rows, owner = RuleTable.of(RULES).rows_of(np.array([2, 0], np.intp))
    assert rows.tolist() == [5, 6, 0, 1, 2, 3]
    assert owner.tolist() == [0, 0, 1, 1, 1, 1]


def test_empty_table() -> None:
    table = RuleTable.of([])
    assert len(table) == 0
    assert table.points.tolist() == []
    assert table.first.tolist() == [0]


def test_apply_changes_the_named_rows_only() -> None:
    state = RuleState.idle(4)
    state.apply(changes_of([1, 3], Phase.PENDING, 100, 250))
    assert state.phase.tolist() == [0, 1, 0, 1]
    assert state.since.tolist() == [NEVER, 100, NEVER, 100]
    assert state.due.tolist() == [FOREVER, 250, FOREVER, 250]


def test_apply_keeps_the_bounds_at_or_below_every_due() -> None:
    state = RuleState.idle(3 * BLOCK + 5)
    assert state.wake.tolist() == [NEVER] * 4
    state.apply(changes_of([0, BLOCK + 1, BLOCK + 2, 3 * BLOCK + 4], Phase.PENDING, 100, 250))
    assert state.wake.tolist() == [250, 250, NEVER, 250]
    state.apply(changes_of([BLOCK + 1], Phase.PENDING, 100, 240))
    state.apply(changes_of([0], Phase.IDLE, NEVER, FOREVER))
    assert state.wake.tolist() == [FOREVER, 240, NEVER, 250]


def test_numbers_that_are_stored() -> None:
    assert [phase.name for phase in Phase] == ["IDLE", "PENDING", "ACTIVE", "RETURNING", "LATCHED", "RELAPSING"]
    assert [int(phase) for phase in Phase] == list(range(6))
    assert [int(change) for change in Change] == [1, 2, 3]


def test_joined_transitions() -> None:
    one = Transitions(np.array([3]), np.array([1], np.uint8), np.array([5]), np.array([1.5]))
    assert Transitions.joined([]) is NO_TRANSITIONS
    assert Transitions.joined([NO_TRANSITIONS, one]) is one
    joined = Transitions.joined([one, one])
    assert (joined.row.tolist(), joined.at.tolist(), joined.value.tolist()) == ([3, 3], [5, 5], [1.5, 1.5])


def test_spread_over_spans_in_any_order() -> None:
    index, owner = spread(np.array([10, 0, 5]), np.array([2, 0, 3]))
    assert index.tolist() == [10, 11, 5, 6, 7]
    assert owner.tolist() == [0, 0, 2, 2, 2]
    assert begins(owner).tolist() == [True, False, True, False, False]
    assert ends(owner).tolist() == [False, True, False, False, True]


def test_later_does_not_overflow() -> None:
    total = later(np.array([5, 5, 1]), np.array([7, FOREVER, FOREVER - 1]))
    assert total.tolist() == [12, FOREVER, FOREVER]


def test_carry_gives_the_last_mark() -> None:
    assert carry(np.array([True, False, False, True, False])).tolist() == [0, 0, 0, 3, 3]


@pytest.mark.parametrize(("at", "found"), [(0, 1), (10, 1), (11, 1), (20, 1), (21, 2), (35, 3), (99, 4)])
def test_last_older(at: int, found: int) -> None:
    time = np.array([99, 10, 20, 30, 40, 0])
    assert last_older(time, np.array([1]), np.array([4]), np.array([at])).tolist() == [found]


def test_united() -> None:
    assert united(np.array([4, 1, 4]), np.array([2, 1])).tolist() == [1, 2, 4]
    assert united(np.empty(0, np.intp)).tolist() == []


def test_block_minima_of_a_short_last_block() -> None:
    due = np.arange(2 * BLOCK + 3)[::-1].copy()
    assert block_minima(due, np.array([0, 2])).tolist() == [BLOCK + 3, 0]
