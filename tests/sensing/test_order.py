"""The order of a lane under loss, repetition, disorder and restarts, against the simplest model: a list."""

from collections import OrderedDict
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from park_platform.sensing.order import KEPT_HASHES, LaneOrder, Verdict
from park_wire.batch import GENESIS, Batch, Envelope, Lane, Loss, Sealed, Tombstone

_LAST = 12


def sha_of(seq: int, outbox: int = 0) -> bytes:
    return GENESIS if seq == 0 else bytes([outbox]) * 16 + seq.to_bytes(16, "big")


def batch(seq: int, *, outbox: int = 0, prev: bytes | None = None) -> Batch:
    envelope = Envelope(bytes(8), bytes(16), Lane.LIVE, seq, sha_of(seq - 1, outbox) if prev is None else prev)
    return Batch(envelope, Sealed(bytes(32), 0, 0, False, sha_of(seq, outbox), b"", b""))


def tombstone(first: int, last: int) -> Tombstone:
    envelope = Envelope(bytes(8), bytes(16), Lane.LIVE, first, sha_of(first - 1))
    return Tombstone(envelope, last, sha_of(last), Loss(1, 0, 0, "disk full"))


@dataclass
class Store:
    """What is committed, as a database would keep it: each seq once, mark, head and gaps."""

    order: LaneOrder = field(default_factory=LaneOrder)
    stored: list[int] = field(default_factory=list[int])
    late: list[int] = field(default_factory=list[int])

    def take(self, message: Batch | Tombstone) -> Verdict:
        verdict = self.order.judge(message)
        match verdict:
            case Verdict.NEXT:
                if isinstance(message, Tombstone):
                    self.order.bury(message.envelope.seq, message.last_seq)
                else:
                    self.stored.append(message.last_seq)
                self.order.advance(message.last_seq, message.sha256)
            case Verdict.MISSED:
                self.late.append(message.last_seq)
                self.order.fill(message.last_seq, message.sha256)
            case _:
                pass
        return verdict

    def restart(self) -> None:
        """A takeover: the hashes are forgotten, the rest comes from the database."""
        order = self.order
        kept = OrderedDict({order.mark: order.head}) if order.mark else OrderedDict[int, bytes]()
        self.order = LaneOrder(order.mark, order.head, kept, list(order.gaps))

    def missing(self) -> set[int]:
        return {seq for first, last in self.order.gaps for seq in range(first, last + 1)}

    def check(self) -> None:
        """Every seq up to the mark is stored once or declared missing, never both, never neither."""
        assert len(set(self.stored + self.late)) == len(self.stored + self.late)
        assert set(self.stored) | set(self.late) | self.missing() == set(range(1, self.order.mark + 1))
        assert not (set(self.stored) | set(self.late)) & self.missing()
        assert self.order.head == sha_of(self.order.mark)


seqs = st.integers(1, _LAST)
ranges = st.tuples(seqs, seqs).map(sorted).map(tuple)
steps = st.lists(st.one_of(seqs, st.just("restart")), max_size=60)
steps_with_loss = st.lists(st.one_of(seqs, ranges, st.just("restart")), max_size=60)


@given(steps)
def test_an_honest_lane_is_stored_once_and_without_a_hole(trace: list[int | str]) -> None:
    store = Store()
    for step in trace:
        if isinstance(step, str):
            store.restart()
            continue
        expected = (
            Verdict.DONE
            if step <= store.order.mark
            else Verdict.NEXT
            if step == store.order.mark + 1
            else Verdict.EARLY
        )
        assert store.take(batch(step)) is expected
        assert store.stored == list(range(1, store.order.mark + 1))
        store.check()
    for seq in range(1, _LAST + 1):
        store.take(batch(seq))
    assert store.stored == list(range(1, _LAST + 1))


@given(steps_with_loss)
def test_what_tombstones_stand_for_is_missing_until_it_comes_after_all(
    trace: list[int | tuple[int, int] | str],
) -> None:
    store = Store()
    for step in trace:
        if isinstance(step, str):
            store.restart()
            continue
        message = batch(step) if isinstance(step, int) else tombstone(*step)
        # An honest gateway has no conflict. It may have to move a range whose beginning nobody can check any more.
        verdict = store.take(message)
        assert verdict is not Verdict.CONFLICT
        if verdict is Verdict.BROKEN:
            assert isinstance(message, Tombstone)
            assert message.envelope.seq <= store.order.mark
        store.check()
    for seq in range(1, _LAST + 1):
        store.take(batch(seq))
    store.check()
    assert sorted(store.stored + store.late) == list(range(1, _LAST + 1))


@given(st.integers(0, 6), st.integers(1, _LAST), st.booleans())
def test_another_outbox_never_gets_in(committed: int, seq: int, restarted: bool) -> None:
    """A copy of the outbox that went its own way after `committed` batches."""
    store = Store()
    for number in range(1, 7):
        store.take(batch(number))
    if restarted:
        store.restart()
    prev = sha_of(seq - 1, 0 if seq - 1 <= committed else 1)
    foreign = replace(batch(seq, outbox=1), envelope=replace(batch(seq).envelope, prev=prev))
    before = list(store.stored)
    verdict = store.take(foreign)
    assert store.stored == before or (committed == 6 and seq == 7)
    if seq <= 6:
        # Without the hashes it is taken for a repetition; the next one of its chain gives it away.
        assert verdict is (Verdict.DONE if restarted and seq < 6 else Verdict.CONFLICT)
    elif seq == 7:
        assert verdict is (Verdict.NEXT if committed == 6 else Verdict.BROKEN)


@given(st.integers(0, 5), st.integers(1, 5), st.permutations(range(1, _LAST + 1)), st.booleans())
def test_a_declared_gap_shrinks_with_what_comes_after_all(
    mark: int, missing: int, late: list[int], restarted: bool
) -> None:
    store = Store()
    for seq in range(1, mark + 1):
        store.take(batch(seq))
    assert store.order.declare_gap(mark + missing, sha_of(mark + missing)) == (mark + 1, mark + missing)
    if restarted:
        store.restart()
    store.check()
    assert store.take(batch(mark + missing + 1)) is Verdict.NEXT
    for seq in late:
        verdict = store.take(batch(seq))
        assert verdict is not Verdict.CONFLICT
        assert verdict is not Verdict.BROKEN
        store.check()
    assert store.missing() == set()


def test_hashes_are_kept_for_the_last_thousand() -> None:
    store = Store()
    for seq in range(1, KEPT_HASHES + 3):
        store.take(batch(seq))
    assert store.take(batch(2, outbox=1)) is Verdict.DONE
    assert store.take(batch(3, outbox=1)) is Verdict.CONFLICT


def test_a_tombstone_from_the_first_batch_on_is_known_by_its_zero() -> None:
    store = Store()
    store.take(batch(1))
    store.restart()
    assert store.take(tombstone(1, 3)) is Verdict.NEXT
    assert store.order.gaps == [(2, 3)]
