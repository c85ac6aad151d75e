"""The outbox: a hash chain per lane that only a matching ack of this run and epoch shortens."""

import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from park_gateway.outbox import Outbox, Verdict
from park_gateway.reading import Readings
from park_wire.batch import GENESIS, Lane, Origin
from park_wire.errors import StoreError
from park_wire.messages import Ack, Birth
from support.outboxes import (
    START_US,
    Clock,
    ack_up_to,
    birth_of,
    filled,
    open_outbox,
    readings_at,
    seal_values,
    values_in,
    waiting,
)

LIVE, BACKFILL = Lane.LIVE, Lane.BACKFILL
TESTS = Path(__file__).parents[1]


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
