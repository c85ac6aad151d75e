"""Go-back-N: the window, the timer and what resets it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_gateway.flow import FIRST_TIMEOUT_S, MOST_TIMEOUT_S, Flow


def test_the_window_bounds_what_is_on_its_way() -> None:
    flow = Flow(window=4, oldest=11, next=11)
    assert flow.room(next_seq=13) == 2
    assert flow.room(next_seq=100) == 4
    flow.send(14, now=0.0)
    assert flow.room(next_seq=100) == 0
    flow.acknowledge(13, now=0.1)
    assert flow.room(next_seq=100) == 2


def test_a_window_that_shrinks_takes_nothing_back_and_a_closed_one_sends_nothing() -> None:
    flow = Flow(window=4, oldest=1, next=1)
    flow.send(4, now=0.0)
    flow.window = 0
    assert flow.room(next_seq=100) == 0
    assert flow.expire(now=FIRST_TIMEOUT_S)
    assert flow.room(next_seq=100) == 0
    flow.window = 1
    assert flow.room(next_seq=100) == 1


def test_the_timer_runs_from_the_first_and_goes_back_to_the_oldest() -> None:
    flow = Flow(window=32, oldest=1, next=1)
    flow.send(1, now=0.0)
    flow.send(5, now=0.9)
    assert not flow.expire(now=0.99)
    assert flow.expire(now=1.0)
    assert flow.next == 1


def test_an_ack_that_moves_nothing_resets_nothing() -> None:
    flow = Flow(window=32, oldest=1, next=1)
    flow.send(5, now=0.0)
    flow.acknowledge(1, now=0.9)
    assert flow.expire(now=1.0)


def test_an_ack_that_moves_the_mark_resets_timer_and_back_off() -> None:
    flow = Flow(window=32, oldest=1, next=1)
    for _ in range(6):
        flow.send(5, now=0.0)
        assert flow.expire(now=1_000.0)
    assert flow.timeout_s > 10
    flow.send(5, now=0.0)
    flow.acknowledge(3, now=0.5)
    assert flow.due == 0.5 + FIRST_TIMEOUT_S
    flow.acknowledge(6, now=0.6)
    assert flow.due is None


def test_the_back_off_doubles_with_jitter_up_to_thirty_seconds() -> None:
    flow = Flow(window=32, oldest=1, next=1)
    waits: list[float] = []
    for _ in range(12):
        flow.send(5, now=0.0)
        assert flow.due is not None
        waits.append(flow.due)
        assert flow.expire(flow.due)
    assert waits[0] == FIRST_TIMEOUT_S
    assert all(later > before for before, later in pairwise(waits[:5]))
    assert max(waits) <= MOST_TIMEOUT_S
    assert waits[-1] > MOST_TIMEOUT_S * 0.7
    assert len(set(waits[-4:])) > 1, "two gateways must not stay in step"


@given(
    st.integers(0, 64),
    st.lists(
        st.tuples(st.sampled_from(["send", "ack", "expire", "restart", "credit"]), st.integers(0, 9), st.floats(0, 5)),
        max_size=60,
    ),
)
def test_never_more_than_the_window_and_never_stuck(window: int, steps: list[tuple[str, int, float]]) -> None:
    flow = Flow(window=window, oldest=1, next=1)
    now, sent_to = 0.0, 1
    for what, number, wait_s in steps:
        now += wait_s
        if what == "send":
            room = min(flow.room(1_000), number)
            if room:
                flow.send(flow.next + room - 1, now)
                assert flow.next <= flow.oldest + flow.window
        elif what == "ack":
            flow.acknowledge(min(flow.oldest + number, sent_to), now)
        elif what == "restart":
            was_sent = flow.next > flow.oldest
            assert flow.restart() == was_sent
            assert (flow.next, flow.timeout_s) == (flow.oldest, FIRST_TIMEOUT_S)
        elif what == "credit":
            flow.window = number
        else:
            flow.expire(now)
        # An ack may cover what was sent before the lane was begun again.
        sent_to = max(sent_to, flow.next)
        assert flow.oldest <= flow.next <= sent_to
        assert (flow.due is not None) == (flow.next > flow.oldest)
        assert flow.due is None or flow.due <= now + MOST_TIMEOUT_S


@pytest.mark.parametrize("window", [1, 32])
def test_an_acknowledged_lane_has_no_timer(window: int) -> None:
    flow = Flow(window=window, oldest=1, next=1)
    flow.send(1, now=0.0)
    flow.acknowledge(2, now=0.1)
    assert not flow.expire(now=1e9)
