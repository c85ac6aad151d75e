"""What the next transaction of one stream is to do, and what is to be said once it is done."""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from park_platform.sensing.link import Arrived
from park_platform.storage.work import Gap, Letter, Notice
from park_sdk.frame import NEVER, Frame
from park_wire.batch import Batch, Event, Lane, Tombstone
from park_wire.messages import Ack, Hello

Message: TypeAlias = Batch | Tombstone
LaneKey: TypeAlias = tuple[bytes, Lane]
"""Epoch and lane of one gateway."""
RunKey: TypeAlias = tuple[bytes, bytes]
"""Run and epoch: whom an ack answers."""

# The years 1 to 9999 in µs: what a timestamptz and a calendar both hold.
_FIRST_US: Final = -62_135_596_800_000_000
_LAST_US: Final = 253_402_300_799_999_999


def storable(time: int | None) -> int | None:
    """A gateway's statement of time in µs, None when no clock can have shown it."""
    return time if time is not None and _FIRST_US <= time <= _LAST_US else None


@dataclass(slots=True)
class Need:
    """What an ack asks for besides saying where the lanes stand."""

    birth: bytes | None = None
    epoch: bool = False
    hello: bool = False


@dataclass(slots=True)
class Answers:
    """What is to be said once the plan is committed: one ack for each run concerned, and the PUBACKs."""

    acks: list[Ack] = field(default_factory=list[Ack])
    pubacks: list[Arrived] = field(default_factory=list[Arrived])


@dataclass(slots=True)
class Plan:
    """Collected message by message, then committed or thrown away as a whole."""

    frames: list[Frame] = field(default_factory=list[Frame])
    rows: int = 0
    until: int = NEVER
    events: list[Event] = field(default_factory=list[Event])
    first_mark: dict[LaneKey, int] = field(default_factory=dict[LaneKey, int])
    untils: dict[LaneKey, int] = field(default_factory=dict[LaneKey, int])
    gaps: list[Gap] = field(default_factory=list[Gap])
    filled: list[tuple[bytes, Lane, int]] = field(default_factory=list[tuple[bytes, Lane, int]])
    closed: list[tuple[bytes, Lane, int]] = field(default_factory=list[tuple[bytes, Lane, int]])
    recovered: list[LaneKey] = field(default_factory=list[LaneKey])
    renewed: list[tuple[bytes, Lane, int]] = field(default_factory=list[tuple[bytes, Lane, int]])
    letters: list[Letter] = field(default_factory=list[Letter])
    notices: list[tuple[Notice, str]] = field(default_factory=list[tuple[Notice, str]])
    hellos: list[Hello] = field(default_factory=list[Hello])
    tried: list[bytes] = field(default_factory=list[bytes])
    needs: dict[RunKey, Need] = field(default_factory=dict[RunKey, Need])
    pubacks: list[Arrived] = field(default_factory=list[Arrived])
    greeted: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be committed or answered."""
        return not self.pubacks and not self.needs

    def need(self, run: bytes, epoch: bytes) -> Need:
        """The answer that this run will get."""
        return self.needs.setdefault((run, epoch), Need())

    def answer(self, message: Message, arrived: Arrived) -> Need:
        """Acknowledge a message to the broker and to the run that sent it."""
        self.pubacks.append(arrived)
        return self.need(message.envelope.run, message.envelope.epoch)

    def add_gap(self, gap: Gap, gateway: str) -> None:
        """Batches that will not come: a row and an alarm."""
        self.gaps.append(gap)
        self.notices.append(("gateway-gap", gateway))

    def add_letter(self, letter: Letter, gateway: str, notice: Notice = "dead-letter") -> None:
        """A payload that is kept aside: a row and an alarm."""
        self.letters.append(letter)
        self.notices.append((notice, gateway))

    def recover(self, key: LaneKey) -> None:
        """A lane that was given up is not lost."""
        self.gaps = [gap for gap in self.gaps if (gap.epoch, gap.lane) != key or gap.to_seq is not None]
        self.recovered.append(key)

    def note_until(self, key: LaneKey, until: int) -> None:
        """Nothing older will follow in this live lane."""
        self.until = max(self.until, until)
        self.untils[key] = max(self.untils.get(key, NEVER), until)
