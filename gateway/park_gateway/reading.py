"""Readings on their way from the field to the outbox: growing columns, no object per reading."""

from array import array
from dataclasses import dataclass, field
from typing import Protocol

from park_wire.batch import Columns, Event
from park_wire.quality import Mark, Quality


def _unsigned() -> "array[int]":
    return array("I")


def _times() -> "array[int]":
    return array("q")


def _doubles() -> "array[float]":
    return array("d")


def _codes() -> "array[int]":
    return array("B")


@dataclass(frozen=True, slots=True)
class SampleSpan:
    """A simulated block's ordinal as it was read: what the trace of accepted samples is made of."""

    device: str
    block: str
    ordinal: int


class Sink(Protocol):
    """Where readings go: the outbox."""

    def put(self, readings: "Readings") -> None:
        """Take over these readings."""
        ...


@dataclass(slots=True)
class Readings:
    """Columns of one length: point index u32, time µs UTC i64, value f64, quality u8, mark u8; and what came with them.

    Times rise within a point; between points they need not. Whoever is handed a `Readings` owns it.
    """

    index: "array[int]" = field(default_factory=_unsigned)
    time: "array[int]" = field(default_factory=_times)
    value: "array[float]" = field(default_factory=_doubles)
    quality: "array[int]" = field(default_factory=_codes)
    mark: "array[int]" = field(default_factory=_codes)
    events: list[Event] = field(default_factory=list[Event])
    samples: list[SampleSpan] = field(default_factory=list[SampleSpan])

    def __len__(self) -> int:
        """How many readings."""
        return len(self.index)

    def add(self, index: int, time: int, value: float, quality: int, mark: int = Mark.NONE) -> None:
        """Append one reading; for sources that deliver one by one."""
        self.index.append(index)
        self.time.append(time)
        self.value.append(value)
        self.quality.append(quality)
        self.mark.append(mark)

    def add_bad(self, indices: "array[int]", time: int, quality: Quality) -> None:
        """Append a reading without a value for each point: the last good value is never repeated."""
        n = len(indices)
        self.index.extend(indices)
        self.time.extend([time] * n)
        self.value.extend([float("nan")] * n)
        self.quality.frombytes(bytes((quality,)) * n)
        self.mark.frombytes(bytes(n))

    def add_block(self, indices: "array[int]", time: int, value: list[float], quality: bytes, mark: bytes) -> None:
        """Append columns of one length that were read at one time."""
        self.index.extend(indices)
        self.time.extend([time] * len(indices))
        self.value.extend(value)
        self.quality.frombytes(quality)
        self.mark.frombytes(mark)

    def extend(self, other: "Readings") -> None:
        """Append all of another."""
        self.index.extend(other.index)
        self.time.extend(other.time)
        self.value.extend(other.value)
        self.quality.extend(other.quality)
        self.mark.extend(other.mark)
        self.events.extend(other.events)
        self.samples.extend(other.samples)

    def columns(self) -> Columns:
        """The columns as they go on the wire; the mark only where one of them says something.

        They are views: nothing may be appended while they are in use.
        """
        return Columns(
            index=memoryview(self.index),
            time=memoryview(self.time),
            value=memoryview(self.value),
            quality=memoryview(self.quality),
            mark=memoryview(self.mark) if any(self.mark) else None,
        )
