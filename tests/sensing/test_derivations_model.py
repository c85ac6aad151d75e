"""The derivations of a stream, whatever way its readings are delivered, with takeovers in between. No database."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_platform import derivations as module
from park_platform.derivations import Derivations, Fenced, without_known
from park_sdk.bind import Bound
from park_sdk.derivation import State
from park_sdk.frame import NEVER, Frame
from support.derived_oracle import LAST_TIME, Row, by_hand, frame_of, readings, rows_of, watched

END = LAST_TIME + 1


@dataclass(frozen=True)
class Delivery:
    """What comes in one commit, and the event time before which nothing older follows it."""

    rows: list[Row]
    until: int


@st.composite
def delivered(draw: st.DrawFn, rows: list[Row]) -> list[Delivery]:
    """A delivery of rows that keeps its promises: those of a point in order, nothing older than an earlier `until`."""
    # A promise as new as a reading is what the code could get wrong.
    promised = st.sampled_from(sorted({row[1] for row in rows}) or [0])
    untils = [*sorted(draw(st.lists(promised, max_size=8))), END]
    parts: list[list[Row]] = [[] for _ in untils]
    newest: dict[int, int] = {}
    for row in sorted(rows):
        # The promise of the part before may be as new as the row itself: what is of that instant may still follow.
        last = max(number for number in range(len(untils)) if number == 0 or untils[number - 1] <= row[1])
        part = max(newest.get(row[0], 0), last - draw(st.sampled_from([0, 0, 1, 2])))
        newest[row[0]] = part
        parts[part].append(row)
    return [Delivery(part, until) for part, until in zip(parts, untils, strict=True)]


def play(bound: Bound, deliveries: list[Delivery], taken_over: set[int]) -> tuple[list[Row], Frame]:
    """All that was delivered and all that was derived; before some deliveries another worker takes over."""
    known: list[Row] = []
    derived: list[Frame] = []
    owned, until = Derivations.begin([bound], Frame.empty(), NEVER), NEVER
    for number, delivery in enumerate(deliveries):
        if number in taken_over:
            owned = Derivations.begin([bound], frame_of(known), until)
        known += delivery.rows
        until = max(until, delivery.until)
        frame, progress = owned.run(frame_of(delivery.rows), until)
        owned = owned.after(progress)
        derived.append(frame)
    return known, Frame.joined(derived)


@given(readings(), st.sampled_from([0, 4]), st.data())
def test_what_is_derived_does_not_depend_on_the_delivery(rows: list[Row], every_us: int, data: st.DataObject) -> None:
    _, derived = play(watched(every_us), data.draw(delivered(rows)), set())
    assert rows_of(derived) == by_hand(rows, every_us)


@given(readings(), st.sampled_from([0, 4]), st.data())
def test_nor_on_who_owns_the_stream(rows: list[Row], every_us: int, data: st.DataObject) -> None:
    deliveries = data.draw(delivered(rows))
    taken_over = data.draw(st.sets(st.integers(0, len(deliveries))))
    _, derived = play(watched(every_us, counts=False), deliveries, taken_over)
    assert rows_of(derived) == by_hand(rows, every_us, counts=False)


def test_what_waits_too_long_is_computed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_PENDING", 3)
    owned = Derivations.begin([watched()], Frame.empty(), NEVER)
    frame, progress = owned.run(frame_of([(11, time, 1.0, 0) for time in range(3)]), NEVER)
    assert (len(frame), len(progress.pending)) == (0, 3)
    frame, progress = owned.after(progress).run(frame_of([(11, 3, 1.0, 0)]), NEVER)
    assert (len(frame), len(progress.pending)) == (8, 0)


def fails(n: int) -> State:
    raise ZeroDivisionError("at the start")


def test_one_that_can_not_begin_is_fenced_and_said_once() -> None:
    sound = watched()
    broken = replace(sound, system="broken", derivation=replace(sound.derivation, new_state=fails))
    owned = Derivations.begin([broken, sound], Frame.empty(), NEVER)
    frame, progress = owned.run(frame_of([(11, 1, 1.0, 0)]), END)
    assert progress.fenced == (Fenced("broken", "watched", "ZeroDivisionError: at the start"),)
    assert len(frame) == 2, "of the sound one"
    _, progress = owned.after(progress).run(frame_of([(11, 2, 1.0, 0)]), END)
    assert progress.fenced == ()


def test_without_derivations_nothing_is_kept() -> None:
    owned = Derivations.begin([], Frame.empty(), NEVER)
    frame, progress = owned.run(frame_of([(11, 1, 1.0, 0)]), NEVER)
    assert (len(frame), len(progress.pending)) == (0, 0)
    assert owned.after(progress) is owned


def test_what_is_known_is_not_derived_again() -> None:
    derived = frame_of([(1, 5, 0.0, 0), (1, 6, 0.0, 0), (3, 5, 0.0, 0)])
    left = without_known(derived, np.array([1, 2, 3], np.int32), np.array([5, 9, NEVER], np.int64))
    assert left.time.tolist() == [6, 5]


def test_what_is_as_old_as_the_promise_may_still_be_followed() -> None:
    first, second = Delivery([(11, 5, 1.0, 0)], 5), Delivery([(13, 5, 2.0, 0)], 6)
    _, derived = play(watched(), [first, second], set())
    assert rows_of(derived) == by_hand(first.rows + second.rows)
