"""What the outbox seals: how readings become batches, in which lane, and what each promises."""

from pathlib import Path

import pytest

from park_gateway.outbox import Outbox
from park_gateway.pack import MOST_EVENTS, MOST_READINGS, REFUSED_EVENT
from park_wire.batch import GENESIS, Batch, Event, Lane
from support.outboxes import (
    BIRTH,
    SECOND_US,
    START_US,
    Clock,
    ack_up_to,
    filled,
    open_outbox,
    readings_at,
    seal_values,
    values_in,
    waiting,
)

LIVE, BACKFILL = Lane.LIVE, Lane.BACKFILL


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
