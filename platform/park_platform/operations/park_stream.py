"""The `park` stream: derivations that span streams, on committed minutes, through the same commit as readings.

`advance` computes the steps that are due and lets the rules judge them; `renew` computes again what late minutes
changed. Whoever holds the operate lock owns the stream.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid4

from park_platform.derivations import Fenced
from park_platform.operations.duties import Duty, Owned, compute, due_steps, load_owned
from park_platform.sensing.tick import arrange, tick
from park_platform.storage.commit import RulesChanged, commit
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.engines.store import AHEAD_US
from park_platform.storage.park_stream import (
    changed_minutes,
    claim_park_stream,
    config_seq,
    derived_until,
    forget_changed,
    replace_derived,
    rolled_until,
    save_derived_until,
)
from park_platform.storage.resets import streams_with_resets
from park_platform.storage.streams import rules_seq
from park_platform.storage.work import Work
from park_platform.storage.workers import db_incarnation
from park_sdk.frame import NEVER, Frame, Int64s
from park_sdk.system import System

PATIENCE_US: Final = 120_000_000
"""How long the minutes of a gateway are waited for; what comes later is computed again."""
_SECOND: Final = 1_000_000


@dataclass(slots=True)
class _Steps:
    """What a round has computed: readings to commit, and how far each derivation got (µs)."""

    frames: list[Frame] = field(default_factory=list[Frame])
    reached: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    more: bool = False


@dataclass(slots=True)
class ParkStream:
    """The stream as its owner holds it; thrown away with the database connection.

    clock: the database's, µs. `_checked`: a commit has looked for alarms that no rule holds since the last reload.
    """

    connection: Connection
    systems: Mapping[str, System]
    clock: Callable[[Connection], int]
    worker: UUID = field(default_factory=uuid4)
    _owned: Owned | None = None
    _checked: bool = False
    _unsaid: list[Fenced] = field(default_factory=list[Fenced])

    def advance(self) -> bool:
        """Compute and commit what is due; returns whether there is more to do at once.

        Raises OwnershipLost when somebody else has taken the stream, StoreUnavailable and StoreError.
        """
        with database_errors():
            owned = self._own()
            now = self.clock(self.connection)
            until = rolled_until(self.connection, now, PATIENCE_US)
            steps = _Steps() if until is None else self._steps(owned, until)
            waiting = streams_with_resets(self.connection, [owned.claim.stream])
            if steps.reached or self._unsaid or waiting or not self._checked:
                self._commit(owned, steps, NEVER if until is None else until, now)
            return steps.more

    def renew(self) -> bool:
        """Compute again what minutes changed that were used already; returns whether there may be more of it.

        Raises as `advance` does.
        """
        with database_errors():
            again = changed_minutes(self.connection)
            if again is None:
                return False
            owned = self._own()
            done = derived_until(self.connection)
            for duty in owned.duties:
                derivation = duty.derivation
                # A step may be an hour longer than others where clocks change.
                reach = again.end + (derivation.window_s + derivation.every_s + 3_600) * _SECOND
                ends = duty.ends(again.start, min(done.get(duty.key, again.start), reach))
                for first in range(0, len(ends), duty.most_steps):
                    self._replace(owned, duty, ends[first : first + duty.most_steps])
            forget_changed(self.connection, again)
            return True

    # within -----------------------------------------------------------------------------------------------------

    def _own(self) -> Owned:
        """Own the stream, and know the park as it is now."""
        owned = self._owned
        if owned is None:
            claim, incarnation = claim_park_stream(self.connection, self.worker), db_incarnation(self.connection)
        elif owned.config_seq == config_seq(self.connection) and owned.config.rules_seq == rules_seq(self.connection):
            return owned
        else:
            claim, incarnation = owned.claim, owned.incarnation
        owned = load_owned(self.connection, claim, incarnation, self.systems, self.clock(self.connection))
        self._owned, self._checked = owned, False
        # What raised is tried again, and said again if it raises again.
        self._unsaid = list(owned.unsaid)
        return owned

    def _steps(self, owned: Owned, until: int) -> _Steps:
        """Compute a run of each derivation. A backlog longer than one is history, which no rule judges."""
        done = derived_until(self.connection)
        steps = _Steps()
        for duty in owned.duties:
            ends, over = due_steps(self.connection, duty, done.get(duty.key), until)
            if not len(ends):
                continue
            if over:
                with self.connection.transaction():
                    self._replace(owned, duty, ends)
                    if not duty.failed:
                        save_derived_until(self.connection, {duty.key: int(ends[-1])})
                steps.more = steps.more or not duty.failed
                continue
            frame = self._computed(owned, duty, ends)
            if frame is not None:
                steps.frames.append(frame)
                steps.reached[duty.key] = int(ends[-1])
        return steps

    def _replace(self, owned: Owned, duty: Duty, ends: Int64s) -> None:
        """Compute steps behind the rules' back; of a derivation that raises, what was there stays."""
        frame = None if duty.failed else self._computed(owned, duty, ends)
        if frame is not None:
            span = (duty.begin(ends), int(ends[-1]))
            replace_derived(self.connection, owned.claim, owned.incarnation, duty.outputs.ravel(), span, frame)

    def _computed(self, owned: Owned, duty: Duty, ends: Int64s) -> Frame | None:
        found = compute(self.connection, owned, duty, ends)
        if isinstance(found, Frame):
            return found
        self._unsaid.append(Fenced(duty.system, duty.derivation.id, found))
        return None

    def _commit(self, owned: Owned, steps: _Steps, until: int, now: int) -> None:
        """Commit a round. Rules that have changed meanwhile let it all be computed anew the next time."""
        frame = Frame.joined(steps.frames) if steps.frames else Frame.empty()
        work = Work(
            claim=owned.claim,
            gateway=0,
            rules_seq=owned.config.rules_seq,
            image=owned.image,
            rules=owned.config.rules,
            frame=arrange(frame, owned.image, now + AHEAD_US),
            until=until,
            check_alarms=not self._checked,
            pack=True,
            fenced=tuple(self._unsaid),
        )
        try:
            with self.connection.transaction():
                done = commit(self.connection, [work], incarnation=owned.incarnation, tick=tick, now=now)
                save_derived_until(self.connection, steps.reached)
        except RulesChanged:
            return
        ticked = done.streams[0].ticked
        owned.image.show(ticked.shown)
        owned.config.rules.state.apply(ticked.changes)
        self._checked, self._unsaid = True, []
