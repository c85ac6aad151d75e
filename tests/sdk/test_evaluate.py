import numpy as np
import pytest

from park_sdk.evaluate import evaluate
from park_sdk.frame import FOREVER, NEVER, Frame, Image
from park_sdk.rules import Change, Phase, Rule, RuleKind, RuleState, RuleTable, Transitions
from park_sdk.spans import BLOCK
from park_sdk.testing import Stand, frame_of

HIGH = Rule(rule=1, point=5, kind=RuleKind.H, limit=10.0, on_delay=3, off_delay=4, max_age=20)
STALE = Rule(rule=2, point=5, kind=RuleKind.STALE, max_age=20)


def told(transitions: Transitions) -> list[tuple[int, str, int]]:
    return [
        (row, Change(change).name, at)
        for row, change, at in zip(
            transitions.row.tolist(), transitions.change.tolist(), transitions.at.tolist(), strict=True
        )
    ]


def test_neither_image_nor_state_is_written() -> None:
    stand = Stand([HIGH, STALE])
    stand.feed(frame_of([(5, 0, 12.0, 0)]), until=2)
    kept = [stand.image.time, stand.image.value, stand.image.quality, stand.image.point]
    kept += [stand.state.phase, stand.state.since, stand.state.due, stand.state.wake, stand.state.stale_wake]
    copies = [array.copy() for array in kept]
    for array in kept:
        array.flags.writeable = False
    changes, transitions = evaluate(
        stand.rules,
        frame_of([(5, 50, 12.0, 0), (5, 51, 9.0, 0)]),
        stand.image,
        stand.state,
        until=99,
        resets=np.array([0]),
        reset_at=np.array([99]),
    )
    assert len(changes.row) > 0
    assert len(transitions) > 0
    assert all(
        np.array_equal(array, copy, equal_nan=array.dtype == float) for array, copy in zip(kept, copies, strict=True)
    )


def test_a_result_that_is_not_applied_leaves_no_trace() -> None:
    stand = Stand([HIGH])
    frame = frame_of([(5, 0, 12.0, 0)])
    evaluate(stand.rules, frame, stand.image, stand.state, until=3)
    assert told(stand.feed(frame, until=3)) == [(0, "RAISED", 3)]


def test_without_rules_nothing_happens() -> None:
    changes, transitions = evaluate(
        RuleTable.of([]), frame_of([(5, 0, 12.0, 0)]), Image.blank(np.array([5], np.int32)), RuleState.idle(0), until=9
    )
    assert len(changes.row) == len(transitions) == 0


def test_without_readings_delays_still_end() -> None:
    stand = Stand([HIGH])
    stand.feed(frame_of([(5, 0, 12.0, 0)]))
    assert told(stand.feed(Frame.empty(), until=2)) == []
    assert told(stand.feed(Frame.empty(), until=3)) == [(0, "RAISED", 3)]
    assert told(stand.feed(Frame.empty(), until=9)) == []


def test_without_until_delays_wait_for_the_next_reading() -> None:
    stand = Stand([HIGH])
    assert told(stand.feed(frame_of([(5, 0, 12.0, 0)]))) == []
    assert told(stand.feed(Frame.empty())) == []
    assert told(stand.feed(frame_of([(5, 8, 12.0, 0)]))) == [(0, "RAISED", 3)]


def test_points_without_rules_are_passed_over() -> None:
    stand = Stand([HIGH])
    frame = frame_of([(4, 0, 99.0, 0), (4, 1, 99.0, 0), (5, 0, 12.0, 0), (6, 7, -99.0, 0x80), (9, 8, 99.0, 0)])
    assert told(stand.feed(frame, until=3)) == [(0, "RAISED", 3)]
    assert told(stand.feed(frame_of([(4, 50, 99.0, 0)]))) == []


def test_a_point_that_is_missing_in_the_image_is_named() -> None:
    table = RuleTable.of([HIGH])
    image = Image.blank(np.array([1, 9], np.int32))
    with pytest.raises(ValueError, match=r"points \[5\] have rules but are not in the image"):
        evaluate(table, frame_of([(5, 0, 1.0, 0)]), image, RuleState.idle(1))
    with pytest.raises(ValueError, match="are not in the image"):
        evaluate(table, frame_of([(5, 0, 1.0, 0)]), Image.blank(np.empty(0, np.int32)), RuleState.idle(1))


def test_every_reset_needs_a_time() -> None:
    stand = Stand([HIGH])
    with pytest.raises(ValueError, match="2 rules to reset but 1 times"):
        evaluate(stand.rules, Frame.empty(), stand.image, stand.state, resets=np.array([0, 0]), reset_at=np.array([1]))


def test_transitions_are_ordered_by_time_then_row() -> None:
    rules = [
        Rule(rule=n, point=point, kind=kind, limit=10.0, latch=True, max_age=30)
        for point in (3, 4)
        for n, kind in ((1, RuleKind.H), (2, RuleKind.STALE), (3, RuleKind.HH))
    ]
    stand = Stand(rules)
    readings = [(point, time, value, 0) for point in (3, 4) for time, value in ((0, 11.0), (5, 9.0), (50, 11.0))]
    found = told(stand.feed(frame_of(readings), until=50, resets=[(3, 7), (0, 5)]))
    assert found == [
        (0, "RAISED", 0), (2, "RAISED", 0), (3, "RAISED", 0), (5, "RAISED", 0),
        (0, "CLEARED", 5), (0, "RESET", 5), (2, "CLEARED", 5), (3, "CLEARED", 5), (5, "CLEARED", 5),
        (3, "RESET", 7),
        (1, "RAISED", 35), (4, "RAISED", 35),
        (0, "RAISED", 50), (1, "CLEARED", 50), (2, "RAISED", 50),
        (3, "RAISED", 50), (4, "CLEARED", 50), (5, "RAISED", 50),
    ]  # fmt: skip


def test_changes_are_ascending_and_only_what_changes() -> None:
    kinds = [RuleKind.H, RuleKind.STALE, RuleKind.H, RuleKind.H, RuleKind.BAD_QUALITY]
    limits = [5.0, 0.0, 3.0, 99.0, 0.0]
    rules = zip(kinds, limits, strict=True)
    stand = Stand([Rule(rule=n, point=5, kind=kind, limit=limit, max_age=20) for n, (kind, limit) in enumerate(rules)])
    stand.feed(frame_of([(5, 0, 2.0, 0)]), until=0)
    changes, _ = evaluate(stand.rules, frame_of([(5, 30, 4.0, 0)]), stand.image, stand.state, until=55)
    assert changes.row.tolist() == [1, 2]
    assert changes.phase.tolist() == [Phase.ACTIVE, Phase.ACTIVE]
    assert changes.since.tolist() == [50, 30]


def test_a_state_that_was_loaded_goes_on() -> None:
    """Arrays filled from a database, as after a takeover: the running delay ends at its instant."""
    table = RuleTable.of([HIGH, STALE])
    state = RuleState.idle(2)
    state.phase[0], state.since[0], state.due[0] = Phase.PENDING, 0, 3
    image = Image.blank(table.points)
    image.show(frame_of([(5, 1, 12.0, 0)]))
    changes, transitions = evaluate(table, Frame.empty(), image, state, until=30)
    assert told(transitions) == [(0, "RAISED", 3), (1, "RAISED", 21)]
    assert transitions.value[0] == 12.0
    assert changes.phase.tolist() == [Phase.ACTIVE, Phase.ACTIVE]


@pytest.mark.parametrize(("on_delay", "raised"), [(3, 3), (5, 5), (25, None)])
def test_a_delay_that_was_changed_counts_from_the_next_look(on_delay: int, raised: int | None) -> None:
    """Loaded with due NEVER, a pending rule follows its rule as it is now, not as it was when it began to wait."""
    table = RuleTable.of([Rule(rule=1, point=5, kind=RuleKind.H, limit=10.0, on_delay=on_delay, max_age=20)])
    state = RuleState.idle(1)
    state.phase[0], state.since[0], state.due[0] = Phase.PENDING, 0, NEVER
    image = Image.blank(table.points)
    image.show(frame_of([(5, 1, 12.0, 0)]))
    changes, transitions = evaluate(table, Frame.empty(), image, state, until=8)
    assert told(transitions) == ([] if raised is None else [(0, "RAISED", raised)])
    assert changes.due.tolist() == [FOREVER]


def test_time_never_runs_backwards_for_a_rule() -> None:
    """A slow point's reading arrives by the backfill lane after the live lane promised that nothing older follows."""
    stand = Stand([HIGH, STALE])
    stand.feed(frame_of([(5, 0, 12.0, 0)]), until=25)
    assert stand.state.phase.tolist() == [Phase.ACTIVE, Phase.ACTIVE]
    found = told(stand.feed(frame_of([(5, 2, 9.0, 0), (5, 18, 9.0, 0)]), until=25))
    assert found == [(0, "CLEARED", 7), (1, "CLEARED", 20)]


def test_a_broken_promise_without_a_new_one() -> None:
    stand = Stand([Rule(rule=1, point=5, kind=RuleKind.H, limit=10.0, on_delay=3)])
    assert told(stand.feed(frame_of([(5, 0, 12.0, 0)]), until=3)) == [(0, "RAISED", 3)]
    assert told(stand.feed(frame_of([(5, 2, 9.0, 0)]))) == [(0, "CLEARED", 3)]


def test_delays_beyond_the_end_of_time() -> None:
    stand = Stand([Rule(rule=1, point=5, kind=RuleKind.H, limit=10.0, on_delay=FOREVER, max_age=FOREVER)])
    assert told(stand.feed(frame_of([(5, 1_700_000_000_000_000, 12.0, 0)]), until=FOREVER - 1)) == []
    assert stand.state.phase.tolist() == [Phase.PENDING]


@pytest.mark.parametrize("value", [np.inf, 1e308])
def test_infinite_values_are_values(value: float) -> None:
    stand = Stand([HIGH, Rule(rule=2, point=5, kind=RuleKind.L, limit=-10.0)])
    assert told(stand.feed(frame_of([(5, 0, value, 0)]), until=3)) == [(0, "RAISED", 3)]
    assert told(stand.feed(frame_of([(5, 4, -value, 0)]), until=8)) == [(1, "RAISED", 4), (0, "CLEARED", 8)]


def quiet_plant(points: int) -> Stand:
    rules = [Rule(rule=1, point=p, kind=RuleKind.H, limit=10.0, on_delay=5, max_age=30) for p in range(points)]
    rules += [Rule(rule=2, point=p, kind=RuleKind.STALE, max_age=30) for p in range(points)]
    stand = Stand(rules)
    stand.feed(frame_of([(p, p % 7, 1.0, 0) for p in range(points)]), until=7)
    return stand


def test_only_blocks_whose_time_has_come_are_looked_at() -> None:
    points = 3 * BLOCK
    stand = quiet_plant(points)
    changes, _ = evaluate(stand.rules, Frame.empty(), stand.image, stand.state, until=29)
    assert (len(changes.awake), len(changes.stale_block), len(changes.row)) == (0, 0, 0)
    stand.feed(frame_of([(0, 8, 11.0, 0)]), until=8)
    changes, transitions = evaluate(stand.rules, Frame.empty(), stand.image, stand.state, until=13)
    assert changes.awake.tolist() == [0]
    assert changes.row.tolist() == [0]
    assert told(transitions) == [(0, "RAISED", 13)]


def test_stale_points_in_many_blocks() -> None:
    """The bounds are looked at late and often, and every silence is still raised at its own instant."""
    points = 3 * BLOCK
    stand = quiet_plant(points)
    silent = set(range(0, points, 50))
    seen: dict[int, int] = {}
    for now in range(8, 90):
        frame = frame_of([(p, now, 1.0, 0) for p in range(points) if p % 7 == now % 7 and p not in silent])
        for row, change, at in told(stand.feed(frame, until=now)):
            assert change == "RAISED"
            assert at == now
            seen[int(stand.rules.point[row])] = at
    assert seen == {p: p % 7 + 30 for p in silent}
    back = stand.feed(frame_of([(p, 95, 1.0, 0) for p in sorted(silent)]), until=95)
    assert {int(stand.rules.point[row]) for row, change, at in told(back) if (change, at) == ("CLEARED", 95)} == silent
    again = told(stand.feed(Frame.empty(), until=126))
    assert {(int(stand.rules.point[row]), at) for row, _, at in again if int(stand.rules.point[row]) in silent} == {
        (p, 125) for p in silent
    }


def test_a_point_that_starts_later_becomes_stale_too() -> None:
    stand = Stand([STALE, Rule(rule=1, point=6, kind=RuleKind.STALE, max_age=1_000)])
    assert told(stand.feed(frame_of([(6, 0, 1.0, 0)]), until=500)) == []
    assert told(stand.feed(frame_of([(5, 600, 1.0, 0)]), until=600)) == []
    assert told(stand.feed(Frame.empty(), until=620)) == [(0, "RAISED", 620)]


def test_thousands_of_readings_of_one_point_in_one_frame() -> None:
    n = 20_000
    rule = Rule(rule=1, point=5, kind=RuleKind.H, limit=0.5, max_age=20)
    stand = Stand([rule, HIGH])
    frame = Frame(
        np.full(n, 5, np.int32), np.arange(n, dtype=np.int64), np.arange(n, dtype=np.float64) % 2, np.zeros(n, np.int16)
    )  # fmt: skip
    found = stand.feed(frame)
    assert np.array_equal(found.at, np.arange(1, n))
    assert found.change.tolist() == [Change.RAISED, Change.CLEARED] * (n // 2 - 1) + [Change.RAISED]
    assert np.array_equal(found.value, frame.value[1:])


@pytest.mark.parametrize("until", [NEVER, 40])
def test_ignored_resets_leave_no_transition(until: int) -> None:
    stand = Stand([Rule(rule=1, point=5, kind=RuleKind.H, limit=10.0, latch=True)])
    assert told(stand.feed(frame_of([(5, 0, 12.0, 0)]), until=until, resets=[(0, 40)])) == [(0, "RAISED", 0)]
    assert told(stand.feed(frame_of([(5, 41, 9.0, 0)]), until=until, resets=[(0, 42), (0, 43)])) == [
        (0, "CLEARED", 41),
        (0, "RESET", 42),
    ]
    assert told(stand.feed(Frame.empty(), until=until, resets=[(0, 50)])) == []
