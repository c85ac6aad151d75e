"""How readings become batches: what is too old for the live lane is set apart, the rest is cut to size."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from park_gateway.reading import Readings
from park_wire.batch import GENESIS, Event, Lane, Loss, seal
from park_wire.errors import WireError
from park_wire.topics import is_id

MOST_READINGS: Final = 5_000
"""Readings in one batch."""
MOST_EVENTS: Final = 64
"""Events in one batch: at 4 kB each they weigh more than the readings."""
REFUSED_EVENT: Final = "refused-event"
"""The kind of the event that stands for one which does not travel."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pack:
    """What one batch will hold, with the earliest and the latest time in it (µs UTC)."""

    readings: Readings
    earliest: int
    latest: int

    @property
    def n(self) -> int:
        """How many readings and events."""
        return len(self.readings) + len(self.readings.events)


@dataclass(frozen=True, slots=True)
class Draft:
    """What will be one row: a pack, an empty live batch (neither), or a tombstone."""

    lane: Lane
    until: int
    pack: Pack | None = None
    loss: Loss | None = None


def divide(chunks: Iterable[Readings], since: int) -> tuple[list[Readings], list[Readings]]:
    """The part of the chunks at or after `since` (µs UTC), and the part before it. Empty chunks vanish."""
    fresh: list[Readings] = []
    late: list[Readings] = []
    for chunk in chunks:
        span = _span(chunk)
        if span is None:
            continue
        if span[0] >= since:
            fresh.append(chunk)
        elif span[1] < since:
            late.append(chunk)
        else:
            rows = range(len(chunk))
            times = chunk.time
            events = chunk.events
            old = _take(chunk, [row for row in rows if times[row] < since])
            old.events.extend(event for event in events if event.time < since)
            new = _take(chunk, [row for row in rows if times[row] >= since])
            new.events.extend(event for event in events if event.time >= since)
            new.samples.extend(chunk.samples)
            late.append(old)
            fresh.append(new)
    return fresh, late


def _take(chunk: Readings, rows: list[int]) -> Readings:
    taken = Readings()
    for row in rows:
        taken.add(chunk.index[row], chunk.time[row], chunk.value[row], chunk.quality[row], chunk.mark[row])
    return taken


def _span(chunk: Readings) -> tuple[int, int] | None:
    times: list[int] = [event.time for event in chunk.events]
    if len(chunk.time):
        times += (min(chunk.time), max(chunk.time))
    return (min(times), max(times)) if times else None


def pack(chunks: Iterable[Readings]) -> list[Pack]:
    """Join chunks, in order, into packs of at most MOST_READINGS and MOST_EVENTS; a chunk is cut only if it must be.

    Takes the chunks over: they may be appended to.
    """
    joined: list[Readings] = []
    for chunk in chunks:
        for piece in _cut(chunk):
            if joined and _fits(joined[-1], piece):
                joined[-1].extend(piece)
            else:
                joined.append(piece)
    packs: list[Pack] = []
    for readings in joined:
        span = _span(readings)
        if span is not None:
            packs.append(Pack(readings, *span))
    return packs


def _fits(readings: Readings, piece: Readings) -> bool:
    return len(readings) + len(piece) <= MOST_READINGS and len(readings.events) + len(piece.events) <= MOST_EVENTS


def _cut(chunk: Readings) -> Sequence[Readings]:
    if len(chunk) <= MOST_READINGS and len(chunk.events) <= MOST_EVENTS:
        return (chunk,)
    pieces = [
        Readings(
            chunk.index[start : start + MOST_READINGS],
            chunk.time[start : start + MOST_READINGS],
            chunk.value[start : start + MOST_READINGS],
            chunk.quality[start : start + MOST_READINGS],
            chunk.mark[start : start + MOST_READINGS],
        )
        for start in range(0, len(chunk), MOST_READINGS)
    ]
    pieces += [Readings(events=_slice(chunk.events, start)) for start in range(0, len(chunk.events), MOST_EVENTS)]
    # A sample counts as accepted with its last reading.
    pieces[-1].samples.extend(chunk.samples)
    return pieces


def _slice(events: list[Event], start: int) -> list[Event]:
    return events[start : start + MOST_EVENTS]


def promises(packs: Sequence[Pack], until: int) -> list[int]:
    """The `until` of each of several live batches sealed together: nothing older than it is in those behind it."""
    untils = [until] * len(packs)
    for at in range(len(packs) - 1, 0, -1):
        untils[at - 1] = min(untils[at], packs[at].earliest)
    return untils


def add_loss(was: Loss | None, chunk: Readings, reason: str) -> Loss | None:
    """What was lost with a further chunk; None when there was nothing in it either."""
    span = _span(chunk)
    if span is None:
        return was
    n = len(chunk) + len(chunk.events)
    if was is None:
        return Loss(n, *span, reason)
    return Loss(was.n + n, min(was.from_ts, span[0]), max(was.to_ts, span[1]), reason)


def travelling(event: Event) -> Event:
    """The event; or, for one that the wire refuses, an event that says so in its place."""
    try:
        seal(Readings().columns(), [event], config_version=GENESIS, until=0, sealed_at=0)
    except WireError as error:
        reason = str(error).replace("\0", "")[:200]
        device = event.device if is_id(event.device) else "unknown"
        _log.error("event_refused", device=device, reason=reason)
        return Event(device, event.time, REFUSED_EVENT, {"reason": reason})
    return event
