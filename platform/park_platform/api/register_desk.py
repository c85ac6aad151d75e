"""A register as its caller has it before them: what they may do with it, and how its rows are shown."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from park_platform.access.policy import Reach, Route
from park_platform.api.answers import Answer, Time, iso, micros
from park_platform.api.door import Visit
from park_platform.api.problems import Problem
from park_platform.api.systems import enabled_system, open_part
from park_platform.storage.people import Role
from park_platform.storage.register_changes import Act, Known
from park_platform.storage.register_rows import Place, StoredRow
from park_sdk.register import Register, Row, Step
from park_sdk.register_form import FieldFault, Record, key_words, read_stored
from park_wire.clock import wall_us
from park_wire.quantities import Text

ADDING: Final[Route] = ("POST", "/api/v1/registers/{system}/{register}")


class RowAnswer(Answer):
    """A version of a row. `editable` and `steps` say what the caller may do with it now.

    `valid_from` is from when on it is true, `recorded_at` since when it is known. `actor` is told within the park, and
    to the enterprise whose people it was.
    """

    id: int
    key: str = Field(examples=["T-01"])
    version: int
    state: str | None
    valid_from: Time
    recorded_at: Time
    action: str = Field(examples=["changed"])
    actor: str | None
    note: str | None
    deleted: bool
    record: dict[str, Any]
    due: Time | None
    enterprise: str | None
    editable: bool
    steps: list[str]


@dataclass(frozen=True, slots=True)
class Desk:
    """A register of an enabled system, opened by somebody whose role may read it. zone: the park's."""

    visit: Visit
    place: Place
    register: Register
    settings: BaseModel
    zone: ZoneInfo

    @property
    def role(self) -> Role:
        """The caller's."""
        return self.visit.caller.person.role

    @property
    def own(self) -> str | None:
        """The enterprise whose rows alone the caller may write; None for people of the park."""
        return self.visit.caller.person.enterprise

    @property
    def path(self) -> str:
        """How the audit trail calls the register."""
        return f"register/{self.place.system}/{self.place.register}"

    @property
    def may_write(self) -> bool:
        """Whether the caller may add rows. Rows of a register without owners are the park's."""
        return self.role.value in self.register.writers and self._has_part

    @property
    def _has_part(self) -> bool:
        is_refused = self.visit.shared.policy.reach(ADDING, self.role) is Reach.REFUSED
        return not is_refused and (self.role is not Role.ENTERPRISE or self.register.enterprise is not None)

    def for_writing(self) -> "Desk":
        """The same, for somebody who may add rows. Raises Problem."""
        if not self.may_write:
            raise Problem("not-allowed", {"role": self.role.value})
        return self

    @property
    def first_state(self) -> str | None:
        """The state of a new row."""
        return self.register.states[0][0] if self.register.states else None

    def act(self, note: str | None, valid_from: datetime | None) -> Act:
        """What the caller does, true from `valid_from` on or from now."""
        moment = wall_us() if valid_from is None else micros(valid_from)
        return Act(self.visit.caller.person.name, note, moment)

    def is_editable_in(self, state: str | None) -> bool:
        """Whether a row in this state may be changed by anybody."""
        return not self.register.states or state in self.register.editable

    def owns(self, row: StoredRow) -> bool:
        """Whether the row is the caller's to write: an enterprise's own, or any for people of the park."""
        return self._has_part and (self.role is not Role.ENTERPRISE or row.enterprise == self.own)

    def may_edit(self, row: StoredRow) -> bool:
        """Whether the caller may change the row as it is."""
        return self.may_write and self.owns(row) and not row.is_deleted and self.is_editable_in(row.state)

    def may_step(self, row: StoredRow, step: Step) -> bool:
        """Whether the caller may move the row as it is."""
        is_theirs = self.role.value in step.roles and self.owns(row)
        return is_theirs and not row.is_deleted and row.state in step.from_

    def answer(self, row: StoredRow, *, is_newest: bool = True) -> RowAnswer:
        """A row as it is shown; only the newest version can be changed."""
        due = None if row.is_deleted else self._due(row)
        return RowAnswer(
            id=row.id,
            key=key_words(row.key),
            version=row.version,
            state=row.state,
            valid_from=iso(row.valid_from),
            recorded_at=iso(row.recorded_at),
            action=row.action,
            actor=row.actor,
            note=row.note,
            deleted=row.is_deleted,
            record=dict(row.record),
            due=None if due is None else iso(micros(due)),
            enterprise=row.enterprise,
            editable=is_newest and self.may_edit(row),
            steps=[step.id for step in self.register.steps if is_newest and self.may_step(row, step)],
        )

    def _due(self, row: StoredRow) -> datetime | None:
        due = self.register.due
        record, _ = read_stored(self.register, row.record)
        if due is None or record is None:
            return None
        try:
            read = Row(record, row.state, row.valid_from, row.recorded_at, row.enterprise)
            found = due(read, self.settings, self.zone)
            return None if found is None else found if found.tzinfo else found.replace(tzinfo=self.zone)
        except Exception as error:  # noqa: BLE001 - a system's own code: the row is shown without it
            self._say_failed("due", error)
            return None

    def against(self, step: Step, record: BaseModel) -> list[FieldFault]:
        """What the step's own check has against it."""
        try:
            said: Sequence[Text] = step.check(record, datetime.now(self.zone))
            return [FieldFault("", text) for text in said]
        except Exception as error:  # noqa: BLE001 - a system's own code: the step is refused, and the log says why
            self._say_failed(f"check of step {step.id}", error)
            return [FieldFault("", _CHECK_FAILED)]

    def _say_failed(self, what: str, error: Exception) -> None:
        where = f"{self.place.system}.{self.place.register}: {what}"
        self.visit.shared.systems.say_failed("register", where, str(error), error)

    def owner(self, record: Record) -> str | None:
        """Whose row a record says that it is; None for the park."""
        return None if self.register.enterprise is None else record.get(self.register.enterprise) or None

    def reference_faults(self, record: Record, known: Known) -> list[FieldFault]:
        """What is wrong with the enterprise and the assets that a record names, as far as it could be read.

        An enterprise writes for itself, others for enterprises that exist; nobody names an asset that they can't see.
        """
        owner, field = self.owner(record), self.register.enterprise
        faults: list[FieldFault] = []
        if field is not None and self.role is Role.ENTERPRISE and owner != self.own:
            faults.append(FieldFault(field, _NOT_YOURS))
        elif field is not None and self.role is not Role.ENTERPRISE and _is_unknown(owner, known.enterprises):
            faults.append(FieldFault(field, _NO_ENTERPRISE))
        unknown = [name for name in self.register.assets if _is_unknown(record.get(name), known.assets)]
        return faults + [FieldFault(name, _NO_ASSET) for name in unknown]

    def given(self) -> dict[str, Any]:
        """What an enterprise need not fill in: that the row is its own."""
        return {self.register.enterprise: self.own} if self.own and self.register.enterprise else {}


def _is_unknown(named: Any, known: Container[str]) -> bool:
    """Whether a name is of nothing; what is no name at all, the model refuses."""
    return isinstance(named, str) and named != "" and named not in known


TAKEN: Final = Text("已有相同的记录", "there is already a row like this")
_CHECK_FAILED: Final = Text(
    "系统的校验出错，已记录；请联系系统的维护者", "the system's check failed; it is logged, tell whoever maintains it"
)
_NOT_YOURS: Final = Text("只能登记本企业的记录", "you can only keep rows of your own enterprise")
_NO_ENTERPRISE: Final = Text("园区没有此企业", "the park has no such enterprise")
_NO_ASSET: Final = Text("没有此资产，或您无权查看", "there is no such asset, or you may not see it")


def open_desk(visit: Visit, system: str, register: str) -> Desk:
    """The register that a request names. Raises Problem. Call it before `visit.read()` and `visit.write()`."""
    each = enabled_system(visit, system)
    declared = open_part(visit, each.system.registers, register)
    return Desk(visit, Place(system, register), declared, each.settings, visit.shared.systems.zone())


def faults_problem(faults: Sequence[FieldFault]) -> Problem:
    """Everything that is wrong with what somebody entered."""
    told = [{"field": fault.field, "message": {"zh": fault.message.zh, "en": fault.message.en}} for fault in faults]
    return Problem("register-faults", {"faults": told})
