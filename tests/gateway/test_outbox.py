"""The outbox: a hash chain per lane that only a matching ack of this run and epoch shortens."""

import subprocess
import sys
import textwrap
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from park_gateway.outbox import Outbox, Verdict
from park_gateway.pack import MOST_EVENTS, MOST_READINGS, REFUSED_EVENT
from park_gateway.reading import Readings
from park_wire.batch import GENESIS, Batch, Event, Lane, Origin
from park_wire.errors import StoreError
from park_wire.messages import Ack, Birth
from support.outboxes import (
    BIRTH,
    SECOND_US,
    START_US,
    Clock,
    ack_up_to,
    birth_of,
    close_outboxes,
    open_outbox,
    readings_at,
    seal_values,
    values_in,
    waiting,
)

LIVE, BACKFILL = Lane.LIVE, Lane.BACKFILL
TESTS = Path(__file__).parents[1]


@pytest.fixture
def clock() -> Generator[Clock]:
    yield Clock()
    close_outboxes()


@pytest.fixture
def outbox(tmp_path: Path, clock: Clock) -> Outbox:
    return open_outbox(tmp_path / "outbox", clock)


def filled(outbox: Outbox, clock: Clock, batches: int) -> list[Any]:
    """Live batches that hold 0, 1, 2, ..."""
    for value in range(batches):
        seal_values(outbox, clock, float(value))
        clock.wait(0.1)
    return waiting(outbox)


# What is sealed


def test_a_lane_is_a_hash_chain_from_seq_1(outbox: Outbox, clock: Clock) -> None:
    messages = filled(outbox, clock, 4)
    envelopes = [message.envelope for message in messages]
    assert [envelope.seq for envelope in envelopes] == [1, 2, 3, 4]
    assert [envelope.prev for envelope in envelopes] == [GENESIS, *(message.sha256 for message in messages[:-1])]
    assert {(envelope.run, envelope.epoch, envelope.lane) for envelope in envelopes} == {
        (outbox.run, outbox.epoch, LIVE)
    }
    assert all(envelope.origin is None for envelope in envelopes)
    assert values_in(messages) == [0, 1, 2, 3]
    assert {message.sealed.config_version for message in messages} == {BIRTH.config_version}


def test_a_part_of_a_lane_has_the_same_chain(outbox: Outbox, clock: Clock) -> None:
    messages = filled(outbox, clock, 6)
    assert outbox.unacknowledged(LIVE, 2) == messages[:2]
    assert outbox.unacknowledged(LIVE, 3, from_seq=3) == messages[2:5]
    assert outbox.unacknowledged(LIVE, 3, from_seq=7) == []


def test_what_was_put_together_is_one_batch(outbox: Outbox, clock: Clock) -> None:
    for value in range(20):
        outbox.put(readings_at(clock(), float(value)))
    assert outbox.seal(clock()) == 1
    assert values_in(waiting(outbox)) == [float(value) for value in range(20)]


def test_batches_of_one_commit_promise_no_more_than_those_behind_them_keep(outbox: Outbox, clock: Clock) -> None:
    for step in range(3):
        outbox.put(readings_at(clock() + step * SECOND_US, *([1.0] * (MOST_READINGS - 1))))
    clock.wait(5)
    assert outbox.seal(clock()) == 3
    batches = [message for message in waiting(outbox) if isinstance(message, Batch)]
    assert [len(batch.content().columns) for batch in batches] == [MOST_READINGS - 1] * 3
    assert [batch.sealed.until for batch in batches] == [START_US + SECOND_US, START_US + 2 * SECOND_US, clock()]


def test_a_large_read_is_cut_and_its_sample_counts_with_the_last_part(outbox: Outbox, clock: Clock) -> None:
    large = readings_at(clock(), *map(float, range(2 * MOST_READINGS + 10)))
    large.events = [Event("gate", clock(), "pass", {"n": n}) for n in range(MOST_EVENTS + 1)]
    outbox.put(large)
    outbox.seal(clock())
    messages = [message for message in waiting(outbox) if isinstance(message, Batch)]
    assert values_in([*messages]) == [float(value) for value in range(2 * MOST_READINGS + 10)]
    assert [event.body["n"] for message in messages for event in message.content().events] == [*range(MOST_EVENTS + 1)]
    assert all(len(message.content().columns) <= MOST_READINGS for message in messages)
    assert all(len(message.content().events) <= MOST_EVENTS for message in messages)


def test_an_empty_live_batch_is_sealed_when_one_is_due(outbox: Outbox, clock: Clock) -> None:
    assert outbox.seal(clock()) == 1
    clock.wait(0.5)
    assert outbox.seal(clock()) == 0
    clock.wait(0.4)
    assert outbox.seal(clock()) == 1
    first, second = waiting(outbox)
    outbox.acknowledge(ack_up_to(outbox, second))
    clock.wait(-3600)
    assert outbox.seal(clock()) == 1, "time that steps back must not silence the lane"
    assert waiting(outbox)[0].envelope.seq == 3
    untils = [message.sealed.until for message in (first, second, *waiting(outbox)) if isinstance(message, Batch)]
    assert untils == [START_US, START_US + 900_000, START_US + 900_000], "a promise is never taken back"


def test_what_is_older_than_a_promise_goes_to_backfill(outbox: Outbox, clock: Clock) -> None:
    seal_values(outbox, clock, 1.0)
    mixed = readings_at(clock() - 1, 2.0, 3.0)
    mixed.extend(readings_at(clock(), 4.0))
    mixed.events = [Event("gate", clock() - 5, "pass", {}), Event("gate", clock(), "pass", {})]
    outbox.put(mixed)
    outbox.put(readings_at(clock() - 7, 5.0))
    clock.wait(0.1)
    assert outbox.seal(clock()) == 2
    assert values_in(waiting(outbox)) == [1.0, 4.0]
    assert values_in(waiting(outbox, BACKFILL)) == [2.0, 3.0, 5.0]
    late = waiting(outbox, BACKFILL)[0]
    assert isinstance(late, Batch)
    assert [event.time for event in late.content().events] == [START_US - 5]
    assert late.envelope.seq == 1


def test_an_event_that_does_not_travel_leaves_a_word_and_holds_nothing_up(outbox: Outbox, clock: Clock) -> None:
    readings = readings_at(clock(), 1.0)
    readings.events = [
        Event("gate", clock(), "pass", {"weight": float("nan")}),
        Event("Nicht ein Name", clock(), "pass", {}),
        Event("gate", clock(), "pass", {"plate": "A 1"}),
    ]
    outbox.put(readings)
    outbox.seal(clock())
    (batch,) = waiting(outbox)
    assert isinstance(batch, Batch)
    assert values_in([batch]) == [1.0]
    assert [(event.device, event.kind) for event in batch.content().events] == [
        ("gate", REFUSED_EVENT),
        ("unknown", REFUSED_EVENT),
        ("gate", "pass"),
    ]


def test_nothing_is_sealed_without_a_birth(tmp_path: Path, clock: Clock) -> None:
    outbox = Outbox.open(tmp_path, quota_bytes=1 << 20, now=clock)
    with pytest.raises(ValueError, match="birth"):
        outbox.seal(clock())


def test_a_promise_is_not_taken_back_by_a_lower_one(outbox: Outbox, clock: Clock) -> None:
    seal_values(outbox, clock, 1.0)
    outbox.put(readings_at(clock(), 2.0))
    outbox.seal(clock() - SECOND_US)
    untils = [message.sealed.until for message in waiting(outbox) if isinstance(message, Batch)]
    assert untils == [START_US, START_US]


# Lanes


def test_the_lane_is_decided_when_a_batch_is_sealed(outbox: Outbox, clock: Clock) -> None:
    seal_values(outbox, clock, 1.0)
    clock.wait(59.9)
    seal_values(outbox, clock, 2.0)
    clock.wait(0.1)
    seal_values(outbox, clock, 3.0)
    clock.wait(30)
    assert outbox.seal(clock()) == 0, "no empty batch while the lane is not live"
    assert values_in(waiting(outbox)) == [1.0, 2.0]
    assert values_in(waiting(outbox, BACKFILL)) == [3.0]
    outbox.acknowledge(ack_up_to(outbox, waiting(outbox)[0]))
    seal_values(outbox, clock, 4.0)
    assert values_in(waiting(outbox)) == [2.0, 4.0]
    assert values_in(waiting(outbox, BACKFILL)) == [3.0]


def test_a_negative_age_counts_as_sixty_seconds(outbox: Outbox, clock: Clock) -> None:
    seal_values(outbox, clock, 1.0)
    clock.wait(-1)
    outbox.put(readings_at(START_US, 2.0))
    outbox.seal(clock())
    assert values_in(waiting(outbox, BACKFILL)) == [2.0]


def test_the_lane_is_remembered_over_a_restart(tmp_path: Path, clock: Clock) -> None:
    outbox = open_outbox(tmp_path, clock)
    seal_values(outbox, clock, 1.0)
    outbox.close()
    clock.wait(61)
    outbox = open_outbox(tmp_path, clock)
    seal_values(outbox, clock, 2.0)
    assert values_in(waiting(outbox, BACKFILL)) == [2.0]


# Acks


def test_an_ack_deletes_what_it_covers(outbox: Outbox, clock: Clock) -> None:
    messages = filled(outbox, clock, 5)
    assert outbox.acknowledge(ack_up_to(outbox, messages[2])) is Verdict.MOVED
    assert waiting(outbox) == messages[3:]
    assert outbox.lanes[LIVE].readings == 2
    assert outbox.lanes[LIVE].delivered == 3


def test_a_long_ack_deletes_in_small_steps_to_its_mark(outbox: Outbox, clock: Clock) -> None:
    messages = filled(outbox, clock, 200)
    assert outbox.acknowledge(ack_up_to(outbox, messages[180])) is Verdict.MOVED
    assert waiting(outbox) == messages[181:]


@pytest.mark.parametrize("change", [{"run": b"another!"}, {"epoch": b"another epoch!!!"}])
def test_an_ack_of_another_run_or_epoch_does_nothing(outbox: Outbox, clock: Clock, change: dict[str, bytes]) -> None:
    messages = filled(outbox, clock, 3)
    epoch = outbox.epoch
    assert outbox.acknowledge(replace(ack_up_to(outbox, messages[2]), **change)) is Verdict.FOREIGN
    assert waiting(outbox) == messages
    assert outbox.epoch == epoch


def test_a_lower_mark_than_the_last_is_ignored_whatever_its_head(outbox: Outbox, clock: Clock) -> None:
    messages = filled(outbox, clock, 4)
    outbox.acknowledge(ack_up_to(outbox, messages[2]))
    stale = Ack(outbox.run, outbox.epoch, {LIVE: (1, b"?" * 32)}, 1, START_US)
    assert outbox.acknowledge(stale) is Verdict.NOTHING
    assert outbox.acknowledge(ack_up_to(outbox, messages[2])) is Verdict.NOTHING
    assert waiting(outbox) == messages[3:]


@pytest.mark.parametrize(
    ("mark", "case"),
    [(2, "a head that is not ours"), (0, "a head where there is none"), (4, "a mark that was never given"), (99, "")],
)
def test_a_contradiction_deletes_nothing_and_begins_an_epoch(
    outbox: Outbox, clock: Clock, mark: int, case: str
) -> None:
    messages = filled(outbox, clock, 3)
    epoch = outbox.epoch
    ack = Ack(outbox.run, epoch, {LIVE: (mark, b"?" * 32)}, 1, START_US)
    assert outbox.acknowledge(ack) is Verdict.DIVERGED, case
    assert outbox.epoch != epoch
    assert values_in(waiting(outbox)) == [0, 1, 2]
    assert outbox.acknowledge(ack) is Verdict.FOREIGN, "it is obeyed once"
    assert [message.sha256 for message in waiting(outbox)] == [message.sha256 for message in messages]
    assert [message.envelope.origin for message in waiting(outbox)] == [Origin(epoch, LIVE, seq) for seq in (1, 2, 3)]


def test_a_contradiction_in_one_lane_spares_the_other_too(outbox: Outbox, clock: Clock) -> None:
    messages = filled(outbox, clock, 3)
    marks = {LIVE: (3, messages[2].sha256), BACKFILL: (1, b"?" * 32)}
    assert outbox.acknowledge(Ack(outbox.run, outbox.epoch, marks, 1, START_US)) is Verdict.DIVERGED
    assert values_in(waiting(outbox)) == [0, 1, 2]


def test_a_mark_of_next_seq_is_a_contradiction_even_in_an_empty_outbox(outbox: Outbox) -> None:
    honest = Ack(outbox.run, outbox.epoch, {LIVE: (0, GENESIS), BACKFILL: (0, GENESIS)}, 1, START_US)
    assert outbox.acknowledge(honest) is Verdict.NOTHING
    assert outbox.acknowledge(replace(honest, marks={LIVE: (1, GENESIS)})) is Verdict.DIVERGED


def test_a_drained_outbox_keeps_counting(tmp_path: Path, clock: Clock) -> None:
    outbox = open_outbox(tmp_path, clock)
    messages = filled(outbox, clock, 3)
    outbox.acknowledge(ack_up_to(outbox, messages[-1]))
    assert waiting(outbox) == []
    outbox.close()
    outbox = open_outbox(tmp_path, clock)
    seal_values(outbox, clock, 9.0)
    (message,) = waiting(outbox)
    assert (message.envelope.seq, message.envelope.prev) == (4, messages[-1].sha256)
    assert outbox.hello().lanes[LIVE].before == messages[-1].sha256


# Epochs


def test_a_new_epoch_counts_from_1_in_order_and_remembers(outbox: Outbox, clock: Clock) -> None:
    first_epoch = outbox.epoch
    messages = filled(outbox, clock, 5)
    clock.wait(60)
    seal_values(outbox, clock, 10.0)
    seal_values(outbox, clock, 11.0)
    outbox.acknowledge(ack_up_to(outbox, messages[1]))
    outbox.new_epoch()
    moved = waiting(outbox)
    assert [message.envelope.seq for message in moved] == [1, 2, 3]
    assert [message.envelope.prev for message in moved] == [GENESIS, moved[0].sha256, moved[1].sha256]
    assert [message.sha256 for message in moved] == [message.sha256 for message in messages[2:]]
    assert [message.envelope.origin for message in moved] == [Origin(first_epoch, LIVE, seq) for seq in (3, 4, 5)]
    assert [message.envelope.origin for message in waiting(outbox, BACKFILL)] == [
        Origin(first_epoch, BACKFILL, seq) for seq in (1, 2)
    ]
    hello = outbox.hello()
    assert hello.epoch == outbox.epoch != first_epoch
    assert hello.made_at == clock()
    assert (hello.lanes[LIVE].oldest_seq, hello.lanes[LIVE].next_seq, hello.lanes[LIVE].before) == (1, 4, GENESIS)
    assert [(was.epoch, was.live_next, was.backfill_next) for was in hello.former] == [(first_epoch, 6, 3)]


def test_a_batch_that_moves_twice_keeps_its_first_identity(tmp_path: Path, clock: Clock) -> None:
    outbox = open_outbox(tmp_path, clock)
    first_epoch = outbox.epoch
    filled(outbox, clock, 2)
    outbox.new_epoch()
    second_epoch = outbox.epoch
    seal_values(outbox, clock, 2.0)
    outbox.acknowledge(ack_up_to(outbox, waiting(outbox)[0]))
    outbox.new_epoch()
    outbox.close()
    outbox = open_outbox(tmp_path, clock)
    moved = waiting(outbox)
    assert [message.envelope.origin for message in moved] == [
        Origin(first_epoch, LIVE, 2),
        Origin(second_epoch, LIVE, 3),
    ]
    assert [message.envelope.seq for message in moved] == [1, 2]
    assert [(was.epoch, was.live_next) for was in outbox.hello().former] == [(first_epoch, 3), (second_epoch, 4)]


def test_a_drained_lane_begins_an_epoch_with_no_predecessor(outbox: Outbox, clock: Clock) -> None:
    outbox.acknowledge(ack_up_to(outbox, *filled(outbox, clock, 2)))
    outbox.new_epoch()
    seal_values(outbox, clock, 1.0)
    (message,) = waiting(outbox)
    assert (message.envelope.seq, message.envelope.prev, message.envelope.origin) == (1, GENESIS, None)


def test_run_is_new_and_epoch_is_kept_at_each_start(tmp_path: Path, clock: Clock) -> None:
    outbox = open_outbox(tmp_path, clock)
    run, epoch, made_at = outbox.run, outbox.epoch, outbox.hello().made_at
    outbox.close()
    clock.wait(10)
    outbox = open_outbox(tmp_path, clock)
    assert outbox.run != run
    assert (outbox.epoch, outbox.hello().made_at) == (epoch, made_at)


def test_hello_says_where_each_lane_stands(outbox: Outbox, clock: Clock) -> None:
    lanes = outbox.hello().lanes
    assert all((at.next_seq, at.oldest_seq, at.before) == (1, 1, GENESIS) for at in lanes.values())
    messages = filled(outbox, clock, 3)
    outbox.acknowledge(ack_up_to(outbox, messages[0]))
    at = outbox.hello().lanes[LIVE]
    assert (at.next_seq, at.oldest_seq, at.before) == (4, 2, messages[0].sha256)


# Births


def test_births_are_kept_while_a_batch_names_them(tmp_path: Path, clock: Clock) -> None:
    old, new = birth_of("a"), birth_of("a", "b")
    outbox = open_outbox(tmp_path, clock, birth=old)
    seal_values(outbox, clock, 1.0)
    outbox.close()
    outbox = open_outbox(tmp_path, clock, birth=new)
    seal_values(outbox, clock, 2.0)
    assert set(outbox.births()) == {old.config_version, new.config_version}
    payload = outbox.birth(old.config_version)
    assert payload is not None
    assert Birth.decode(payload) == old
    outbox.acknowledge(ack_up_to(outbox, waiting(outbox)[0]))
    outbox.close()
    outbox = open_outbox(tmp_path, clock, birth=new)
    assert outbox.births() == (new.config_version,)
    assert outbox.birth(old.config_version) is None


# One process


def test_a_second_process_is_refused_and_the_kernel_frees_what_was_killed(tmp_path: Path, clock: Clock) -> None:
    open_outbox(tmp_path, clock).close()
    script = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from support.outboxes import Clock, open_outbox
        held = open_outbox(Path(sys.argv[1]), Clock())
        print("open", flush=True)
        time.sleep(60)
    """)
    holder = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, cwd=TESTS)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StoreError, match="in use by another process"):
            open_outbox(tmp_path, clock)
    finally:
        holder.kill()
        holder.communicate()
    open_outbox(tmp_path, clock).close()


def test_put_only_collects(outbox: Outbox, clock: Clock) -> None:
    outbox.put(readings_at(clock(), 1.0))
    outbox.put(Readings())
    assert waiting(outbox) == []
    outbox.seal(clock())
    assert values_in(waiting(outbox)) == [1.0]
