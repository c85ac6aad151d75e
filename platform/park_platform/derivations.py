"""The stream derivations of one stream as its owner holds them. A system that raises is fenced; the others run on.

Only readings before `until` are computed, because nothing older follows them; the rest waits in `pending`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from park_sdk.bind import NO_POINT, Bound
from park_sdk.derive import Carry, derive, fresh_carry
from park_sdk.frame import Frame, Int32s, Int64s

# What waits for its `until`: more than an hour of it is a gateway whose clock stands.
_MOST_PENDING: Final = 500_000


@dataclass(frozen=True, slots=True)
class Fenced:
    """A derivation that raised: it runs no more until its stream is loaded anew."""

    system: str
    derivation: str
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """What a frame made of the derivations, to be installed after the commit. `fenced`: those that raised just now."""

    carries: tuple[Carry | None, ...] = ()
    pending: Frame = field(default_factory=Frame.empty)
    fenced: tuple[Fenced, ...] = ()


@dataclass(frozen=True, slots=True)
class Derivations:
    """Derivations with what they carry, None for one that is fenced. Never changed: `after` gives the next value.

    points: i32, ascending, all that they read. unsaid: what was fenced before the first run.
    """

    bounds: tuple[Bound, ...] = ()
    carries: tuple[Carry | None, ...] = ()
    points: Int32s = field(default_factory=lambda: np.empty(0, np.int32))
    pending: Frame = field(default_factory=Frame.empty)
    unsaid: tuple[Fenced, ...] = ()

    @staticmethod
    def begin(bounds: Sequence[Bound], past: Frame, until: int) -> "Derivations":
        """Derivations whose state is made anew from past readings, sorted by (point, time), without late ones."""
        carries: list[Carry | None] = []
        unsaid: list[Fenced] = []
        for bound in bounds:
            try:
                carries.append(fresh_carry(bound))
            except Exception as error:  # noqa: BLE001 - a system's own code: the others run on
                unsaid.append(_fenced(bound, error))
                carries.append(None)
        inputs = [bound.inputs.ravel() for bound in bounds]
        points = np.unique(np.concatenate(inputs)) if inputs else np.empty(0, np.int32)
        blank = Derivations(tuple(bounds), tuple(carries), points[points != NO_POINT], Frame.empty(), tuple(unsaid))
        progress = blank.run(past, until)[1]
        return Derivations(blank.bounds, progress.carries, blank.points, progress.pending, progress.fenced)

    def run(self, shown: Frame, until: int) -> tuple[Frame, Progress]:
        """The derived readings before `until`, sorted by (point, time), and what is carried on then.

        `shown` is sorted by (point, time) and holds no late row.
        """
        if not self.bounds:
            return Frame.empty(), Progress()
        waiting = shown.take(np.isin(shown.point, self.points)) if len(shown) else shown
        if len(self.pending):
            waiting = Frame.joined([self.pending, waiting])
            waiting = waiting.take(np.lexsort((waiting.time, waiting.point)))
        # Not those of `until` itself: what follows live may be as old as that.
        ready = waiting.time < until
        if len(waiting) > _MOST_PENDING:
            ready[:] = True
        now = waiting if ready.all() else waiting.take(ready)
        derived: list[Frame] = []
        carries: list[Carry | None] = []
        fenced = list(self.unsaid)
        for bound, carry in zip(self.bounds, self.carries, strict=True):
            following = carry
            if carry is not None and len(now):
                try:
                    frame, following = derive(bound, carry, now)
                except Exception as error:  # noqa: BLE001 - a system's own code: the others run on
                    fenced.append(_fenced(bound, error))
                    following = None
                else:
                    derived.append(frame)
            carries.append(following)
        joined = Frame.joined(derived) if derived else Frame.empty()
        joined = joined.take(np.lexsort((joined.time, joined.point)))
        left = Frame.empty() if ready.all() else waiting.take(~ready)
        return joined, Progress(tuple(carries), left, tuple(fenced))

    def after(self, progress: Progress) -> "Derivations":
        """These derivations once `progress` is committed."""
        return Derivations(self.bounds, progress.carries, self.points, progress.pending) if self.bounds else self


def without_known(derived: Frame, point: Int32s, time: Int64s) -> Frame:
    """The derived readings that are newer than what is known of their points (ascending `point`, their `time`)."""
    if not len(derived):
        return derived
    return derived.take(derived.time > time[np.searchsorted(point, derived.point)])


def _fenced(bound: Bound, error: Exception) -> Fenced:
    return Fenced(bound.system, bound.derivation.id, f"{type(error).__name__}: {error}")
