"""The outbox when the disk is full, fails, was killed over, or has lost what it was given."""

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from park_gateway.outbox import GIVEN_UP, MOST_WAITING, Outbox
from park_gateway.reading import SampleSpan
from park_gateway.trace import Trace
from park_wire.batch import GENESIS, Batch, Lane, Tombstone
from park_wire.errors import StoreError, StoreFull
from support.failing_disk import failing_syncs, small_disk
from support.outboxes import Clock, ack_up_to, close_outboxes, open_outbox, readings_at, seal_values, values_in, waiting

LIVE, BACKFILL = Lane.LIVE, Lane.BACKFILL
TESTS = Path(__file__).parents[1]
SMALL_QUOTA = 512 * 1024


def noise(n: int) -> list[float]:
    """Values that do not compress."""
    return [random.random() for _ in range(n)]


def fill(outbox: Outbox, clock: Clock, step_s: float = 1.0) -> tuple[list[float], list[float]]:
    """Seal batches until there is no room: what was sealed, and what found none."""
    sealed: list[float] = []
    for _ in range(1_000):
        values = noise(500)
        try:
            seal_values(outbox, clock, *values)
        except StoreFull:
            return sealed, values
        sealed += values
        clock.wait(step_s)
    raise AssertionError("it never became full")


def fill_file(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def drain(outbox: Outbox) -> list[float]:
    """Acknowledge everything as an honest centre does, in windows; what it was."""
    delivered: list[float] = []
    for lane in (LIVE, BACKFILL):
        while window := outbox.unacknowledged(lane, 32):
            delivered += values_in(window)
            outbox.acknowledge(ack_up_to(outbox, window[-1]))
    return delivered


def test_a_full_outbox_says_so_keeps_what_it_has_and_drains_to_zero(tmp_path: Path, clock: Clock) -> None:
    outbox = open_outbox(tmp_path, clock, quota_bytes=SMALL_QUOTA)
    sealed, refused = fill(outbox, clock)
    assert outbox.free_bytes() < 64 * 1024
    held = waiting(outbox) + waiting(outbox, BACKFILL)
    assert values_in(held) == sealed, "the batch that did not fit left nothing behind"
    assert drain(outbox) == sealed
    assert waiting(outbox) == waiting(outbox, BACKFILL) == []
    assert outbox.free_bytes() > SMALL_QUOTA * 3 // 4
    outbox.seal(clock())
    assert drain(outbox) == refused, "it waited in memory while there was no room"


def test_what_is_given_up_is_told_by_a_tombstone(tmp_path: Path, clock: Clock) -> None:
    outbox = open_outbox(tmp_path, clock, quota_bytes=SMALL_QUOTA)
    fill(outbox, clock)
    first_missing = clock()
    held = waiting(outbox)
    lost = MOST_WAITING // 5_000 + 2
    for _ in range(lost):
        outbox.put(readings_at(clock(), *noise(5_000)))
        with pytest.raises(StoreFull):
            outbox.seal(clock())
        clock.wait(1)
    drain(outbox)
    outbox.seal(clock())
    messages = waiting(outbox)
    tombstone = messages[0]
    assert isinstance(tombstone, Tombstone)
    assert tombstone.loss.reason == GIVEN_UP
    assert tombstone.loss.from_ts == first_missing
    assert (tombstone.envelope.seq, tombstone.envelope.prev) == (held[-1].envelope.seq + 1, held[-1].sha256)
    kept = values_in(messages)
    assert len(kept) <= MOST_WAITING
    assert tombstone.loss.n + len(kept) == lost * 5_000 + 500
    assert messages[1].envelope.prev == tombstone.sha256
    outbox.acknowledge(ack_up_to(outbox, tombstone))
    assert waiting(outbox) == messages[1:]


def test_deletion_finds_room_on_a_full_disk(tmp_path: Path, clock: Clock) -> None:
    with small_disk(tmp_path / "disk", 9) as disk, contextlib.ExitStack() as opened:
        opened.callback(close_outboxes)
        outbox = open_outbox(disk / "outbox", clock)
        before = noise(500)
        seal_values(outbox, clock, *before)
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space"):
            fill_file(filler)
        assert shutil.disk_usage(disk).free == 0
        sealed, refused = fill(outbox, clock, 0.1)
        newest = waiting(outbox)[-1]
        assert drain(outbox) == before + sealed
        assert not (disk / "outbox" / "ballast").exists(), "without the ballast there was no room to delete"
        filler.unlink()
        outbox.tidy()
        assert (disk / "outbox" / "ballast").stat().st_size >= 2 * 1024 * 1024
        outbox.seal(clock())
        assert [message.envelope.seq for message in waiting(outbox)] == [newest.envelope.seq + 1]
        assert drain(outbox) == refused
        outbox.close()
        open_outbox(disk / "outbox", clock)


def test_the_log_stays_small_and_the_ballast_is_twice_its_size(tmp_path: Path, clock: Clock) -> None:
    outbox = open_outbox(tmp_path, clock)
    largest = 0
    for _ in range(20):
        for _ in range(8):
            outbox.put(readings_at(clock(), *noise(5_000)))
        outbox.seal(clock())
        clock.wait(0.1)
        largest = max(largest, (tmp_path / "outbox.db-wal").stat().st_size)
    drain(outbox)
    largest = max(largest, (tmp_path / "outbox.db-wal").stat().st_size)
    assert (tmp_path / "ballast").stat().st_size >= 2 * largest


# Failing disks


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_failed_fsync_ends_every_claim(tmp_path: Path, clock: Clock, nth: int) -> None:
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from park_wire.batch import Lane
        from park_wire.errors import StoreError, StoreFull
        from support.outboxes import Clock, open_outbox, seal_values
        clock = Clock()
        outbox = open_outbox(Path(sys.argv[1]), clock)
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            for value in range(50):
                seal_values(outbox, clock, float(value))
                print(value, flush=True)
        except StoreError as error:
            assert not isinstance(error, StoreFull) and not error.retryable, error
            for call in (lambda: seal_values(outbox, clock, 1.0), outbox.new_epoch):
                try:
                    call()
                except StoreError as again:
                    assert again is error
                else:
                    sys.exit("worked after a failed fsync")
            sys.exit(7)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=TESTS,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        with failing_syncs(child.pid, when=str(nth)):
            out, err = child.communicate(b"go\n", timeout=30)
    assert child.returncode == 7, err.decode()
    confirmed = [float(line) for line in out.split()]
    outbox = open_outbox(tmp_path, clock)
    assert values_in(waiting(outbox))[: len(confirmed)] == confirmed


@pytest.mark.parametrize("damage", ["garbage", "another database", "torn pages", "empty file"])
def test_a_damaged_file_is_moved_aside_and_a_new_epoch_begins(tmp_path: Path, clock: Clock, damage: str) -> None:
    outbox = open_outbox(tmp_path, clock)
    epoch = outbox.epoch
    for _ in range(20):
        seal_values(outbox, clock, *noise(500))
    outbox.close()
    file = tmp_path / "outbox.db"
    match damage:
        case "garbage":
            file.write_bytes(os.urandom(100_000))
        case "another database":
            file.unlink()
            connection = sqlite3.connect(file)
            connection.execute("CREATE TABLE something (else_ INTEGER)")
            connection.commit()
            connection.close()
        case "torn pages":
            content = bytearray(file.read_bytes())
            content[4096:-4096] = os.urandom(len(content) - 8192)
            file.write_bytes(content)
        case _:
            file.write_bytes(b"")
    outbox = open_outbox(tmp_path, clock)
    assert outbox.epoch != epoch
    assert outbox.hello().former == ()
    seal_values(outbox, clock, 1.0)
    assert (waiting(outbox)[0].envelope.seq, waiting(outbox)[0].envelope.prev) == (1, GENESIS)
    assert (tmp_path / "outbox.damaged.db").exists() == (damage != "empty file")


def test_damage_that_shows_in_use_is_moved_aside_at_the_next_start(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = open_outbox(tmp_path, clock)
    epoch = outbox.epoch
    for _ in range(16):
        seal_values(outbox, clock, *noise(5_000))
    outbox.close()
    file = tmp_path / "outbox.db"
    # As with a file that is too large to be read at every start.
    monkeypatch.setattr("park_gateway.outbox_file._QUICK_CHECK_BYTES", 0)
    with file.open("r+b") as content:
        content.seek(40 * 4096)
        content.write(b"\xff" * (file.stat().st_size - 50 * 4096))
    outbox = open_outbox(tmp_path, clock)
    assert outbox.epoch == epoch
    with pytest.raises(StoreError, match="start the gateway again"):
        drain(outbox)
    with pytest.raises(StoreError, match="start the gateway again"):
        seal_values(outbox, clock, 1.0)
    outbox.close()
    outbox = open_outbox(tmp_path, clock)
    assert outbox.epoch != epoch
    assert (tmp_path / "outbox.damaged.db").exists()


def test_a_newer_layout_is_left_alone(tmp_path: Path, clock: Clock) -> None:
    open_outbox(tmp_path, clock).close()
    connection = sqlite3.connect(tmp_path / "outbox.db")
    connection.execute("PRAGMA user_version=9")
    connection.close()
    with pytest.raises(StoreError, match="layout 9"):
        open_outbox(tmp_path, clock)
    assert not (tmp_path / "outbox.damaged.db").exists()


# Kill


def test_what_was_sealed_survives_kill_9_with_the_same_identities(tmp_path: Path, clock: Clock) -> None:
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from support.outboxes import Clock, ack_up_to, open_outbox, seal_values, waiting
        clock = Clock()
        outbox = open_outbox(Path(sys.argv[1]), clock)
        value = int(sys.argv[2])
        while True:
            seal_values(outbox, clock, float(value))
            newest = outbox.unacknowledged("live", 1, outbox.lanes["live"].next_seq - 1)[0]
            print(value, newest.envelope.seq, newest.sha256.hex(), flush=True)
            value += 1
    """)
    confirmed: list[tuple[float, int, str]] = []
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), str(len(confirmed) + 1_000)],
            stdout=subprocess.PIPE,
            cwd=TESTS,
        )
        assert child.stdout is not None
        for _ in range(random.randint(1, 30)):
            value, seq, sha256 = child.stdout.readline().decode().split()
            confirmed.append((float(value), int(seq), sha256))
        os.kill(child.pid, signal.SIGKILL)
        for line in child.communicate()[0].decode().splitlines(keepends=True):
            if line.endswith("\n"):
                value, seq, sha256 = line.split()
                confirmed.append((float(value), int(seq), sha256))
    outbox = open_outbox(tmp_path, clock)
    kept = {
        message.envelope.seq: (message.content().columns.value[0], message.sha256.hex())
        for message in waiting(outbox)
        if isinstance(message, Batch)
    }
    assert sorted(kept) == list(range(1, len(kept) + 1))
    assert [kept[seq] for _, seq, _ in confirmed] == [(value, sha256) for value, _, sha256 in confirmed]


# Trace


def test_the_trace_names_each_accepted_sample_once(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "trace.jsonl"
    outbox = open_outbox(tmp_path / "outbox", clock, trace=Trace(path))
    for ordinal in (1, 2, 3, 5, 6):
        readings = readings_at(clock(), 1.0)
        readings.samples += [SampleSpan("meter", "a", ordinal), SampleSpan("meter", "b", 70)]
        outbox.put(readings)
    outbox.seal(clock())
    seal_values(outbox, clock, 2.0)
    outbox.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["block"], line["first"], line["last"]) for line in lines][:2] == [("a", 1, 3), ("a", 5, 6)]
    assert {(line["lane"], line["seq"], line["device"], line["epoch"]) for line in lines} == {
        ("live", 1, "meter", outbox.epoch.hex())
    }


def test_a_torn_line_of_the_trace_swallows_no_other(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b'{"epoch": "00", "la')
    outbox = open_outbox(tmp_path / "outbox", clock, trace=Trace(path))
    readings = readings_at(clock(), 1.0)
    readings.samples.append(SampleSpan("meter", "a", 1))
    outbox.put(readings)
    outbox.seal(clock())
    torn, whole = path.read_text().splitlines()
    assert torn == '{"epoch": "00", "la'
    assert json.loads(whole)["first"] == 1


def test_a_trace_that_finds_no_room_is_a_sentence(tmp_path: Path, clock: Clock) -> None:
    outbox = open_outbox(tmp_path / "outbox", clock, trace=Trace(Path("/dev/full")))
    readings = readings_at(clock(), 1.0)
    readings.samples.append(SampleSpan("meter", "a", 1))
    outbox.put(readings)
    with pytest.raises(StoreError, match="trace /dev/full: No space left on device; make room there, or run without"):
        outbox.seal(clock())
    outbox.close()


def test_nothing_is_traced_that_was_not_committed(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "trace.jsonl"
    outbox = open_outbox(tmp_path / "outbox", clock, quota_bytes=SMALL_QUOTA, trace=Trace(path))
    fill(outbox, clock)
    before = path.read_text()
    readings = readings_at(clock(), *noise(5_000))
    readings.samples.append(SampleSpan("meter", "a", 1))
    outbox.put(readings)
    with pytest.raises(StoreFull):
        outbox.seal(clock())
    assert path.read_text() == before
    drain(outbox)
    outbox.seal(clock())
    assert json.loads(path.read_text().splitlines()[-1])["first"] == 1
