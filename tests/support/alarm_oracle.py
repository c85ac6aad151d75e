"""The alarm rules once more: one rule, one event after the other, as slow and as plain as possible."""

import math
from dataclasses import dataclass, field

from park_sdk.frame import FOREVER, NEVER
from park_sdk.rules import Change, Phase, Rule, RuleKind

Step = tuple[Change, int, float]
"""A transition: what, when, and the value that held."""


@dataclass
class Oracle:
    """One rule. Tell it the readings and resets of its point in order of time, a reading before a reset."""

    rule: Rule
    phase: Phase = Phase.IDLE
    since: int = NEVER
    latched: bool = False
    last: tuple[int, float] | None = None
    steps: list[Step] = field(default_factory=list[Step])

    def enter(self, phase: Phase, at: int) -> None:
        self.phase = phase
        self.since = NEVER if phase is Phase.IDLE else at

    def rest(self, at: int) -> None:
        self.enter(Phase.LATCHED if self.latched else Phase.IDLE, at)

    def raise_alarm(self, at: int, value: float) -> None:
        self.steps.append((Change.RAISED, at, value))
        self.latched = self.rule.latch
        self.enter(Phase.ACTIVE, at)

    def clear_alarm(self, at: int, value: float) -> None:
        self.steps.append((Change.CLEARED, at, value))
        self.rest(at)

    @property
    def due(self) -> int:
        """When the running delay ends if nothing more is read."""
        if self.last is None or self.phase in (Phase.IDLE, Phase.ACTIVE, Phase.LATCHED):
            return FOREVER
        delay = self.rule.off_delay if self.phase is Phase.RETURNING else self.rule.on_delay
        ends = self.since + delay
        return ends if ends <= self.last[0] + self.rule.max_age else FOREVER

    def wait(self, now: int) -> None:
        """Let the time pass up to `now`, which is included."""
        if self.last is None:
            return
        seen, value = self.last
        if self.rule.kind is RuleKind.STALE:
            if self.phase is not Phase.ACTIVE and seen + self.rule.max_age <= now:
                self.raise_alarm(seen + self.rule.max_age, math.nan)
        elif self.due <= now and self.due != FOREVER:
            if self.phase is Phase.RETURNING:
                self.clear_alarm(self.due, value)
            else:
                self.raise_alarm(self.due, value)

    def read(self, at: int, value: float, bad: bool) -> None:
        self.wait(at)
        gap = self.last is not None and at > self.last[0] + self.rule.max_age
        self.last = (at, value)
        if self.rule.kind is RuleKind.STALE:
            if self.phase is Phase.ACTIVE:
                self.clear_alarm(at, value)
            return
        if gap:
            self.cancel(at)
        if self.rule.kind is RuleKind.BAD_QUALITY:
            violated, ended = bad, not bad
        elif bad or math.isnan(value):
            self.cancel(at)
            return
        elif self.rule.kind in (RuleKind.HH, RuleKind.H):
            violated, ended = value > self.rule.limit, value <= self.rule.limit - self.rule.deadband
        else:
            violated, ended = value < self.rule.limit, value >= self.rule.limit + self.rule.deadband
        if violated:
            self.violate(at)
        if ended:
            self.end(at)
        self.wait(at)

    def cancel(self, at: int) -> None:
        """The condition is not known: a running delay is void."""
        if self.phase in (Phase.PENDING, Phase.RELAPSING):
            self.rest(at)
        if self.phase is Phase.RETURNING:
            self.enter(Phase.ACTIVE, at)

    def violate(self, at: int) -> None:
        if self.phase is Phase.IDLE:
            self.enter(Phase.PENDING, at)
        if self.phase is Phase.LATCHED:
            self.enter(Phase.RELAPSING, at)
        if self.phase is Phase.RETURNING:
            self.enter(Phase.ACTIVE, at)

    def end(self, at: int) -> None:
        if self.phase in (Phase.PENDING, Phase.RELAPSING):
            self.rest(at)
        if self.phase is Phase.ACTIVE:
            self.enter(Phase.RETURNING, at)

    def reset(self, at: int) -> None:
        self.wait(at)
        if self.phase not in (Phase.LATCHED, Phase.RELAPSING):
            return
        self.steps.append((Change.RESET, at, math.nan))
        self.latched = False
        if self.phase is Phase.LATCHED:
            self.enter(Phase.IDLE, at)
        else:
            self.phase = Phase.PENDING
