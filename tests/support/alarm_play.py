"""Random stories about points with rules, told to the kernel in random pieces and to the oracle event by event."""

import math
from dataclasses import dataclass

from park_sdk.frame import NEVER
from park_sdk.rules import Change, Phase, Rule
from park_sdk.testing import Stand, frame_of
from park_wire.quality import is_bad
from support.alarm_oracle import Oracle, Step

Reading = tuple[int, float, int]
"""Time, value, quality."""


@dataclass(frozen=True, slots=True)
class Event:
    """A reading of a point, or a reset of one of its rules (`row` of the rule table)."""

    point: int
    at: int
    reading: tuple[float, int] | None = None
    row: int = -1

    @property
    def order(self) -> tuple[int, bool]:
        """Events of one point follow each other so: a reading comes before a reset of the same instant."""
        return self.at, self.reading is None


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a rule: its transitions as text (NaN equals NaN), phase, since and due."""

    steps: list[str]
    phase: Phase
    since: int
    due: int


@dataclass(frozen=True, slots=True)
class Piece:
    """What one call of the kernel is told. slack: how far `until` stays behind what it could be; None: not told."""

    events: list[Event]
    slack: int | None


def written(steps: list[Step]) -> list[str]:
    return [f"{change.name} at {at} with {value:g}" for change, at, value in steps]


def by_oracle(rules: list[Rule], events: list[Event], until: int) -> list[Ending]:
    endings: list[Ending] = []
    for row, rule in enumerate(rules):
        oracle = Oracle(rule)
        for event in sorted((event for event in events if event.point == rule.point), key=lambda event: event.order):
            if event.reading is not None:
                value, quality = event.reading
                oracle.read(event.at, value, is_bad(quality) or math.isnan(value))
            elif event.row == row:
                oracle.reset(event.at)
        if until != NEVER:
            oracle.wait(until)
        endings.append(Ending(written(oracle.steps), oracle.phase, oracle.since, oracle.due))
    return endings


def by_kernel(rules: list[Rule], pieces: list[Piece], until: int) -> list[Ending]:
    """Only the last piece is told `until` itself; the others what their `slack` leaves of the truth."""
    stand = Stand(rules)
    assert stand.rules.rule.tolist() == [rule.rule for rule in rules]
    steps: list[list[Step]] = [list[Step]() for _ in rules]
    for n, piece in enumerate(pieces):
        following = [event.at for later in pieces[n + 1 :] for event in later.events]
        known = min([*following, until])
        told = until if n == len(pieces) - 1 else NEVER if piece.slack is None else max(known - piece.slack, NEVER)
        frame = frame_of((event.point, event.at, *event.reading) for event in piece.events if event.reading is not None)
        resets = [(event.row, event.at) for event in piece.events if event.reading is None]
        found = stand.feed(frame, told, resets)
        order: list[tuple[int, int]] = list(zip(found.at.tolist(), found.row.tolist(), strict=True))
        assert order == sorted(order)
        for (at, row), change, value in zip(order, found.change.tolist(), found.value.tolist(), strict=True):
            steps[row].append((Change(change), at, value))
    state = stand.state
    return [
        Ending(written(steps[row]), Phase(int(state.phase[row])), int(state.since[row]), int(state.due[row]))
        for row in range(len(rules))
    ]
