"""The board against a plain dictionary, whatever order values come in and however slow its readers are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from park_platform.api.board import Board
from park_platform.api.hub import MOST_LINES, Client, Hub
from park_platform.storage.alarm_queries import TailLine
from park_platform.storage.scope import NOTHING, WHOLE_PARK, Scope
from park_sdk.frame import Int32s
from park_wire.messages import LiveValues
from park_wire.quantities import Text

READINGS = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 20)), max_size=12)


def ids(points: set[int]) -> Int32s:
    return np.array(sorted(points), np.int32)


@settings(max_examples=100)
@given(st.lists(st.tuples(READINGS, st.booleans()), max_size=12), st.sets(st.integers(1, 14)))
def test_a_reader_ends_up_with_the_newest_of_its_points(
    steps: list[tuple[list[tuple[int, int]], bool]], visible: set[int]
) -> None:
    board = Board()
    truth: dict[int, int] = {}
    seen: dict[int, int] = {}
    change = 0
    for readings, reads in steps:
        board.show(
            np.array([point for point, _ in readings], np.int32),
            np.array([time for _, time in readings], np.int64),
            np.array([point * 1000 + time for point, time in readings], np.float64),
            np.zeros(len(readings), np.int16),
        )
        for point, time in readings:
            truth[point] = max(truth.get(point, 0), time)
        if reads:
            values, change = board.since(ids(visible), change)
            assert values.point.tolist() == sorted(values.point.tolist())
            for point, time, value in zip(
                values.point.tolist(), values.time.tolist(), values.value.tolist(), strict=True
            ):
                assert value == point * 1000 + time
                assert time > seen.get(point, 0), "only what is new"
                seen[point] = time
    values, change = board.since(ids(visible), change)
    seen |= dict(zip(values.point.tolist(), values.time.tolist(), strict=True))
    assert seen == {point: time for point, time in truth.items() if point in visible}
    assert len(board.since(ids(visible), change)[0]) == 0


def live(seq: int, point: int, time: int, stream: str = "gw-a") -> LiveValues:
    return LiveValues(
        stream=stream,
        seq=seq,
        point=memoryview(np.array([point], np.int32).tobytes()).cast("i"),
        time=memoryview(np.array([time], np.int64).tobytes()).cast("q"),
        value=memoryview(np.array([1.0]).tobytes()).cast("d"),
        quality=memoryview(np.array([0x85 | 1 << 12], np.int32).tobytes()).cast("i"),
    )


def test_a_hole_is_wanted_until_latest_covers_it() -> None:
    hub = Hub()
    first = hub.wanted()
    assert first.all, "at the start everything is read"
    hub.satisfy(first, {})
    hub.receive(live(5, 1, 1))
    assert hub.wanted().streams == {"gw-a": 4}, "what came before the first message is not known"
    hub.satisfy(hub.wanted(), {"gw-a": 5})
    hub.receive(live(6, 1, 2))
    assert hub.wanted().streams == {}
    hub.receive(live(9, 1, 3))
    assert hub.wanted().streams == {"gw-a": 8}
    hub.satisfy(hub.wanted(), {"gw-a": 7})
    assert hub.wanted().streams == {"gw-a": 8}, "the pack is a second behind"
    hub.satisfy(hub.wanted(), {"gw-a": 8})
    assert not hub.wanted().streams
    hub.receive(live(3, 1, 4))
    assert hub.wanted().streams == {"gw-a": 2}, "a restored database counts anew"


def test_an_outage_during_the_reading_of_latest_is_not_forgotten() -> None:
    hub = Hub()
    wanted = hub.wanted()
    hub.want_all()
    hub.satisfy(wanted, {})
    assert hub.wanted().all
    hub.satisfy(hub.wanted(), {})
    assert not hub.wanted().all


def test_quality_keeps_its_bits() -> None:
    hub = Hub()
    hub.receive(live(1, 7, 1))
    values, _ = hub.board.since(ids({7}), 0)
    assert values.quality.tolist() == [0x85 | 1 << 12]


def line(seq: int, enterprise: int | None) -> TailLine:
    return TailLine(1, "gw-a", seq, 0, "raised", 1, "unacknowledged", "high", "r", Text("", ""), 1, "", None, None,
                    False, "li", "note", 0, enterprise)  # fmt: skip


async def test_a_slow_client_costs_no_memory_and_is_told() -> None:
    client = Client("li", WHOLE_PARK, ids(set()))
    client.offer([line(seq, 1) for seq in range(MOST_LINES)])
    lines, missed = client.take_lines()
    assert (len(lines), missed) == (MOST_LINES, False)
    client.offer([line(1, 1)])
    client.offer([line(seq, 1) for seq in range(MOST_LINES)])
    lines, missed = client.take_lines()
    assert (len(lines), missed) == (MOST_LINES, True)
    assert client.take_lines() == ([], False)


async def test_lines_go_to_those_who_may_see_them() -> None:
    for scope, expected in ((WHOLE_PARK, [1, 2, 3]), (Scope.of([7]), [1]), (NOTHING, [])):
        client = Client("li", scope, ids(set()))
        client.offer([line(1, 7), line(2, 8), line(3, None)])
        assert [shown.seq for shown in client.take_lines()[0]] == expected


def test_a_watch_that_hangs_is_a_database_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    assert not hub.database_up
    hub.looked(found=True)
    assert hub.database_up
    monkeypatch.setattr("park_platform.api.hub.LOOKED_WITHIN_S", 0.0)
    assert not hub.database_up, "nobody has looked for too long"
