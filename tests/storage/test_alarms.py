"""The life of alarms: what transitions and people make of them, and that none stays open for ever."""

from collections.abc import Generator
from typing import Literal

import pytest
from hypothesis import example, given, settings

from park_platform.storage.alarms import Happening, acknowledge, record, request_reset, store_chain
from park_platform.storage.journal import Chain, verify
from park_platform.storage.scope import WHOLE_PARK, scoped
from park_sdk.rules import Change, RuleKind
from park_sdk.rules import Rule as KernelRule
from park_wire.messages import Birth
from support.alarm_stories import Chapter, Story, stories, told_by_kernel
from support.database import ParkDatabase
from support.intake import Rule, apply, park_file
from support.outlet import SECOND, now_us, points
from support.planted import Owner, own, plant, table

RULES: tuple[Rule, ...] = (
    {"id": "high", "kind": "H", "on": {"quantity": "pressure"}, "limit": 1.0},
    {"id": "latched", "kind": "HH", "on": {"quantity": "pressure"}, "limit": 3.0, "latch": True},
    {"id": "delayed", "kind": "L", "on": {"quantity": "pressure"}, "limit": 0.1, "on_delay_s": 1, "off_delay_s": 100},
    {"id": "stale", "kind": "STALE", "on": {"quantity": "pressure"}},
)
_KINDS: dict[Change, Literal["raised", "cleared", "reset"]] = {
    Change.RAISED: "raised",
    Change.CLEARED: "cleared",
    Change.RESET: "reset",
}
# Event time runs ahead of the point, whose next readings then end the alarm at the very instant of the reset.
RESET_TWICE_AT_ONE_INSTANT = Story(
    tuple(KernelRule(rule, 1, RuleKind.L, limit=5.0, max_age=2, latch=True) for rule in (1, 2, 3)),
    (
        Chapter(((4, 3.0), (1, 5.5)), 2, (0, 0), None),
        Chapter((), None, (0, 0), 3),
        Chapter(((1, 3.0), (1, 5.5)), None, (0, 0), 3),
    ),
)
NORMAL, HIGH, VERY_HIGH, LOW = 0.5, 1.5, 3.5, 0.05


@pytest.fixture
def owner(fresh_park_database: ParkDatabase) -> Generator[Owner]:
    plant(fresh_park_database, "edge", rules=RULES)
    with fresh_park_database.connection("ingest") as connection:
        owner = own(connection, "edge")
        yield owner
        assert verify(connection, owner.claim.stream) is None


@pytest.fixture
def start() -> int:
    return now_us() - 60 * SECOND


def act(park: ParkDatabase, owner: Owner, rule: str, kind: str) -> str | None:
    """Acknowledge or reset the newest alarm of a rule as the API does: the state after it, None when refused."""
    [(alarm,)] = table(
        owner.connection,
        "SELECT max(a.id) FROM alarm a JOIN rule r ON r.id = a.rule_id WHERE r.key = %s",
        rule,
    )
    with park.connection("api") as connection, scoped(connection, WHOLE_PARK, read_only=False):
        if kind == "acknowledge":
            answer = acknowledge(connection, alarm, "wang", "seen", now_us())
        else:
            answer = request_reset(connection, alarm, "wang", "closed the valve")
    assert answer is not None
    return answer.state if answer.done else None


def states(owner: Owner, rule: str) -> list[tuple[str, int]]:
    return [(state, times) for key, state, times in owner.alarms() if key == rule]


# the life cycle -----------------------------------------------------------------------------------------------------


def test_acknowledged_then_returned_is_closed(owner: Owner, fresh_park_database: ParkDatabase, start: int) -> None:
    owner.feed([(0, start, HIGH)])
    assert states(owner, "high") == [("unacknowledged", 1)]
    assert act(fresh_park_database, owner, "high", "acknowledge") == "acknowledged"
    assert act(fresh_park_database, owner, "high", "acknowledge") is None
    owner.feed([(0, start + SECOND, NORMAL)])
    assert states(owner, "high") == [("normal", 1)]
    owner.feed([(0, start + 2 * SECOND, HIGH)])
    assert states(owner, "high") == [("normal", 1), ("unacknowledged", 1)]


def test_returned_and_raised_again_is_one_alarm(owner: Owner, fresh_park_database: ParkDatabase, start: int) -> None:
    for number, value in enumerate((HIGH, NORMAL, HIGH, NORMAL)):
        owner.feed([(0, start + number * SECOND, value)])
    assert states(owner, "high") == [("returned", 2)]
    assert act(fresh_park_database, owner, "high", "acknowledge") == "normal"


@pytest.mark.parametrize("acknowledged_first", [True, False])
def test_a_latched_alarm_is_closed_by_reset_and_acknowledgement(
    owner: Owner, fresh_park_database: ParkDatabase, start: int, acknowledged_first: bool
) -> None:
    owner.feed([(0, start, VERY_HIGH)])
    assert act(fresh_park_database, owner, "latched", "reset") is None
    owner.feed([(0, start + SECOND, NORMAL)], until=start + SECOND)
    if acknowledged_first:
        assert act(fresh_park_database, owner, "latched", "acknowledge") == "latched_acknowledged"
    assert act(fresh_park_database, owner, "latched", "reset") is not None
    owner.feed()
    if not acknowledged_first:
        assert states(owner, "latched") == [("returned", 1)]
        assert act(fresh_park_database, owner, "latched", "acknowledge") == "normal"
    assert states(owner, "latched") == [("normal", 1)]


def test_a_reset_stands_at_event_time_with_who_and_why(
    owner: Owner, fresh_park_database: ParkDatabase, start: int
) -> None:
    owner.feed([(0, start, VERY_HIGH), (0, start + SECOND, NORMAL)], until=start + 2 * SECOND)
    act(fresh_park_database, owner, "latched", "reset")
    owner.feed()
    # The gateway's readings lie a minute behind the wall clock; so does the reset, or readings after it came before it.
    assert table(owner.connection, "SELECT us_of(at), actor, note FROM journal WHERE kind = 'reset'") == [
        (start + 2 * SECOND, "wang", "closed the valve")
    ]
    owner.feed([(0, start + 3 * SECOND, VERY_HIGH)])
    assert states(owner, "latched") == [("unacknowledged", 2)]


def test_notices_repeat_within_one_instant(owner: Owner) -> None:
    now = now_us()
    for _ in range(3):
        owner.feed(now=now, notices=[("gateway-gap", "edge"), ("gateway-gap", "edge"), ("dead-letter", "edge")])
    rows = table(
        owner.connection,
        "SELECT r.key, a.state, a.times_raised FROM alarm a JOIN rule r ON r.id = a.rule_id ORDER BY r.key",
    )
    assert rows == [("dead-letter", "returned", 3), ("gateway-gap", "returned", 3)]
    [(lines, instants)] = table(owner.connection, "SELECT count(*), count(DISTINCT (rule_id, kind, at)) FROM journal")
    assert lines == instants == 12


# rules that change --------------------------------------------------------------------------------------------------


def change(park: ParkDatabase, *rules: Rule) -> None:
    apply(park, park_file("edge", rules=rules))


@pytest.mark.parametrize("value", [HIGH, VERY_HIGH])
def test_a_disabled_rule_leaves_no_alarm_open(
    owner: Owner, fresh_park_database: ParkDatabase, start: int, value: float
) -> None:
    owner.feed([(0, start, value)])
    if value == VERY_HIGH:
        owner.feed([(0, start + SECOND, NORMAL)])
    change(fresh_park_database, *({**rule, "enabled": False} for rule in RULES))
    owner.reload()
    owner.feed()
    assert {state for _, state, _ in owner.alarms()} == {"returned"}
    assert table(owner.connection, "SELECT * FROM rule_state") == []
    [(note,)] = table(owner.connection, "SELECT DISTINCT note FROM journal WHERE note IS NOT NULL")
    assert "no rule holds this alarm" in note
    # Switched on again it begins anew.
    change(fresh_park_database, *RULES)
    owner.reload()
    owner.feed([(0, start + 2 * SECOND, HIGH)])
    owner.feed([(0, start + 3 * SECOND, NORMAL)])
    assert ("high", "returned") in {(rule, state) for rule, state, _ in owner.alarms()}


def test_a_new_limit_ends_or_keeps_the_alarm_with_the_next_reading(
    owner: Owner, fresh_park_database: ParkDatabase, start: int
) -> None:
    owner.feed([(0, start, HIGH), (1, start, 1.1)])
    change(fresh_park_database, {**RULES[0], "limit": 1.2}, *RULES[1:])
    owner.reload()
    owner.feed([(0, start + SECOND, HIGH), (1, start + SECOND, 1.1)])
    assert states(owner, "high") == [("unacknowledged", 1), ("returned", 1)]


@pytest.mark.parametrize("kind", ["STALE", "BAD_QUALITY", "L"])
def test_a_rule_of_another_kind_strands_no_alarm(
    owner: Owner, fresh_park_database: ParkDatabase, start: int, kind: str
) -> None:
    # The alarm is in its off-delay, which a STALE rule does not know.
    owner.feed([(0, start, LOW), (0, start + 1_100_000, LOW), (0, start + 1_500_000, NORMAL)])
    assert states(owner, "delayed") == [("unacknowledged", 1)]
    limit = {"limit": 0.1} if kind == "L" else {}
    changed: Rule = {"id": "delayed", "kind": kind, "on": {"quantity": "pressure"}, **limit}
    change(fresh_park_database, *RULES[:2], changed, RULES[3])
    owner.reload()
    owner.feed([(0, start + 2 * SECOND, NORMAL)], until=start + 2 * SECOND)
    assert states(owner, "delayed") == [("returned", 1)]


def test_a_point_that_left_the_gateway_leaves_no_alarm_open(owner: Owner, start: int) -> None:
    owner.feed([(3, start, HIGH)], until=start + 10 * SECOND)
    assert sorted(owner.alarms()) == [("high", "unacknowledged", 1), ("stale", "unacknowledged", 1)]
    smaller = Birth.of(points(2))
    owner.births.save(smaller, smaller.encode())
    owner.births.put_in_force(smaller.config_version)
    owner.reload()
    owner.feed()
    assert sorted(owner.alarms()) == [("high", "returned", 1), ("stale", "returned", 1)]
    # Nothing watches it any more, not even its age.
    owner.feed(until=start + 40 * SECOND)
    assert len(owner.alarms()) == 2


# what does not fit --------------------------------------------------------------------------------------------------


def test_an_alarm_that_somebody_closed_by_hand_does_not_stop_the_stream(
    owner: Owner, fresh_park_database: ParkDatabase, start: int
) -> None:
    owner.feed([(0, start, HIGH)])
    with fresh_park_database.connection() as connection:
        connection.execute("UPDATE alarm SET state = 'normal', closed_at = now()")
    owner.feed([(0, start + SECOND, NORMAL)])
    assert states(owner, "high") == [("normal", 1)]
    assert [(rule, kind) for rule, kind, _, _ in owner.journal()] == [("high", "raised"), ("high", "cleared")]
    assert table(owner.connection, "SELECT note FROM journal ORDER BY seq") == [
        (None,),
        ("no alarm was open for this change",),
    ]


def test_a_change_without_any_alarm_stands_in_the_journal(owner: Owner) -> None:
    rule = int(owner.config.rules.table.rule[0])
    line = Happening(5, "cleared", rule, "high", owner.points[0])
    with owner.connection.transaction():
        end = record(owner.connection, owner.claim.stream, Chain(0, bytes(32)), [line], 6)
        store_chain(owner.connection, owner.claim.stream, end)
    assert [(state, times) for _, state, times in owner.alarms()] == [("normal", 0)]


def test_an_alarm_that_the_kernel_forgot_is_ended(owner: Owner, fresh_park_database: ParkDatabase, start: int) -> None:
    owner.feed([(0, start, HIGH), (1, start, VERY_HIGH), (1, start + 1, NORMAL)])
    with fresh_park_database.connection() as connection:
        connection.execute("DELETE FROM rule_state")
    owner.reload()
    owner.feed()
    assert {state for _, state, _ in owner.alarms()} == {"returned"}


# the kernel's own stories -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kernel_stream(park_database: ParkDatabase) -> Generator[Owner]:
    plant(park_database, "edge", rules=RULES)
    with park_database.connection("ingest") as connection:
        yield own(connection, "edge")


@settings(max_examples=80)
@given(story=stories())
@example(story=RESET_TWICE_AT_ONE_INSTANT)
def test_whatever_the_kernel_says_is_recorded(kernel_stream: Owner, story: Story) -> None:
    """Also when a gateway breaks the promise of its `until`, and delays change on the way."""
    connection, stream = kernel_stream.connection, kernel_stream.claim.stream
    rules = [number for (number,) in table(connection, "SELECT id FROM rule WHERE kind <> 'SYSTEM' ORDER BY id")]
    with connection.transaction(force_rollback=True):
        [(seq, head)] = table(connection, "SELECT journal_seq, journal_head FROM stream WHERE id = %s", stream)
        chain, told = Chain(seq, bytes(head)), 0
        for lines in told_by_kernel(story):
            happenings = [
                Happening(at, _KINDS[change], rules[rule], "high", kernel_stream.points[0], latch=latch)
                for rule, change, at, latch in lines
            ]
            chain = record(connection, stream, chain, happenings, 1)
            told += len(lines)
        store_chain(connection, stream, chain)
        assert chain.seq - seq == told
        assert verify(connection, stream) is None
