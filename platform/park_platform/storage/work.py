"""What an intake worker wants to commit for one stream, and what it gets back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from park_platform.derivations import Derivations, Fenced, Progress
from park_platform.storage.readings import Copied
from park_platform.storage.resets import Reset
from park_platform.storage.streams import StreamRules
from park_platform.storage.workers import Claim
from park_sdk.frame import NEVER, Frame, Image
from park_sdk.rules import StateChanges, Transitions
from park_wire.batch import Event, Lane
from park_wire.messages import Hello

Notice: TypeAlias = Literal["gateway-gap", "gateway-conflict", "dead-letter", "system-fenced"]


@dataclass(frozen=True, slots=True)
class MarkMove:
    """A lane's mark goes from `before` to `mark`, whose sha256 is `head`; `until` in µs, None in the backfill lane.

    `lost`: the lane was given up, so an open-ended gap begins behind its mark.
    """

    epoch: bytes
    lane: Lane
    before: int
    mark: int
    head: bytes
    until: int | None
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """Batches that will not come. `to_seq` None: open-ended. Times in µs, None when unknown; `n` readings."""

    epoch: bytes
    lane: Lane
    from_seq: int
    to_seq: int | None
    reason: str
    from_ts: int | None = None
    to_ts: int | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A payload that can't be processed, with what is known of its identity."""

    reason: str
    payload: bytes
    epoch: bytes | None = None
    lane: Lane | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Ticked:
    """What row 6 made of the readings that were stored.

    shown: those that are not late, and the derived ones, by (point, time). derived: the derived ones alone. progress:
    what the derivations carry on.
    """

    shown: Frame
    derived: Frame
    progress: Progress
    changes: StateChanges
    transitions: Transitions


Tick: TypeAlias = Callable[[Frame, Image, StreamRules, int, Sequence[Reset], Derivations], Ticked]


@dataclass(slots=True)
class Work:
    """What one stream wants to commit. `frame` is sorted by point, those of a point as they came, late ones marked.

    until: event time before which nothing older will follow live, NEVER when no live batch is in it. filled: seqs of
    declared gaps that came after all. closed: open-ended gaps whose last seq is known now. recovered: lanes that were
    given up and are not lost. renewed: lanes that were given up, and when the outbox was made (µs) that took their
    place. tried: sha256 of batches that need no count of attempts any more. check_alarms: rules were loaded anew, so
    alarms may be open that no rule knows. pack: write the packed image. derivations: what is computed from the
    readings. fenced: derivations that raised before this commit.
    """

    claim: Claim
    gateway: int
    rules_seq: int
    image: Image
    rules: StreamRules
    frame: Frame = field(default_factory=Frame.empty)
    until: int = NEVER
    events: list[Event] = field(default_factory=list[Event])
    moves: list[MarkMove] = field(default_factory=list[MarkMove])
    gaps: list[Gap] = field(default_factory=list[Gap])
    filled: list[tuple[bytes, Lane, int]] = field(default_factory=list[tuple[bytes, Lane, int]])
    closed: list[tuple[bytes, Lane, int]] = field(default_factory=list[tuple[bytes, Lane, int]])
    recovered: list[tuple[bytes, Lane]] = field(default_factory=list[tuple[bytes, Lane]])
    renewed: list[tuple[bytes, Lane, int]] = field(default_factory=list[tuple[bytes, Lane, int]])
    letters: list[Letter] = field(default_factory=list[Letter])
    notices: list[tuple[Notice, str]] = field(default_factory=list[tuple[Notice, str]])
    hellos: list[Hello] = field(default_factory=list[Hello])
    tried: list[bytes] = field(default_factory=list[bytes])
    check_alarms: bool = False
    pack: bool = False
    derivations: Derivations = field(default_factory=Derivations)
    fenced: tuple[Fenced, ...] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """What is in the database of one stream now. `live_seq` numbers the values that are to be published."""

    ticked: Ticked
    live_seq: int


@dataclass(frozen=True, slots=True)
class Done:
    """What a transaction has done: by stream, for each reading, and how many events were there already."""

    streams: list[Committed]
    copied: Copied
    known_events: int
