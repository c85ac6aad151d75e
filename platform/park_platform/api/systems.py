"""The systems that the park has enabled, and their pages: data that the console draws."""

from typing import Annotated, Literal, TypeAlias, TypeVar

import structlog
from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import Field
from starlette.requests import Request

from park_platform.api.answers import Answer, AskedText, Both, answer
from park_platform.api.door import SignedIn, Visit
from park_platform.api.problems import Problem
from park_platform.api.widgets import WidgetAnswer, WidgetWrong, fault_of, widget_answer
from park_platform.storage.connect import Connection
from park_platform.storage.park_view import FencedRow, fenced_derivations
from park_platform.storage.people import Role
from park_platform.systems import Enabled
from park_sdk.page import Page
from park_sdk.register import Register
from park_sdk.report import ReportDef

router = APIRouter(tags=["systems"])
log = structlog.get_logger()

Id: TypeAlias = Annotated[AskedText, Path(max_length=32, pattern="^[a-z0-9-]{1,32}$")]
"""The id of a system, and of a page, a register or a report of it."""

_Part = TypeVar("_Part", Page, Register, ReportDef)
_PARKS_PEOPLE = (Role.ADMINISTRATOR, Role.OPERATOR, Role.SAFETY, Role.AUDITOR)


class PartAnswer(Answer):
    """A page, a register or a report."""

    id: str = Field(examples=["overview"])
    name: Both


class SystemAnswer(Answer):
    """An enabled system with what the reader may open of it. `fenced`: something of it is computed no more.

    Why is told within the park only.
    """

    id: str = Field(examples=["energy"])
    name: Both
    state: Literal["running", "fenced"]
    fault: Both | None
    pages: list[PartAnswer]
    registers: list[PartAnswer]
    reports: list[PartAnswer]


class SystemsAnswer(Answer):
    """The enabled systems, by id."""

    systems: list[SystemAnswer]


class PageAnswer(Answer):
    """A page: its widgets from top to bottom."""

    system: str
    id: str
    name: Both
    widgets: list[WidgetAnswer]


@router.get("/api/v1/systems", response_model=SystemsAnswer)
def list_systems(request: Request, visit: SignedIn) -> Response:
    """Enabled systems, with the pages, registers and reports that the caller may open 业务系统."""
    enabled, faults = visit.shared.systems.now(), visit.shared.systems.faults()
    role = visit.caller.person.role
    is_of_park = role in _PARKS_PEOPLE
    with visit.read() as connection:
        fenced = fenced_derivations(connection)
    shown: list[SystemAnswer] = []
    for id_ in sorted({*enabled, *faults}):
        reasons = [_fenced(one) for one in fenced if one.system == id_]
        if id_ in faults:
            reasons.insert(0, Both(zh=f"配置有误：{faults[id_]}", en=f"Wrong configuration: {faults[id_]}"))
        each = _system(id_, enabled.get(id_), role, reasons, is_of_park=is_of_park)
        if is_of_park or each.pages or each.registers or each.reports:
            shown.append(each)
    return answer(request, SystemsAnswer(systems=shown))


def _system(id_: str, each: Enabled | None, role: Role, reasons: list[Both], *, is_of_park: bool) -> SystemAnswer:
    fault: Both | None = None
    if reasons and is_of_park:
        fault = Both(zh="；".join(one.zh for one in reasons), en="; ".join(one.en for one in reasons))
    elif reasons:
        fault = Both(
            zh="部分计算已停止，园区管理方可查看原因。", en="Part of it is stopped; the park's people see why."
        )
    return SystemAnswer(
        id=id_,
        name=Both(zh=id_, en=id_) if each is None else Both.model_validate(each.system.name),
        state="fenced" if reasons else "running",
        fault=fault,
        pages=[] if each is None else _open_to(role, each.system.pages),
        registers=[] if each is None else _open_to(role, each.system.registers),
        reports=[] if each is None else _open_to(role, each.system.reports),
    )


def _open_to(role: Role, parts: tuple[_Part, ...]) -> list[PartAnswer]:
    return [PartAnswer(id=part.id, name=Both.model_validate(part.name)) for part in parts if role.value in part.readers]


def _fenced(one: FencedRow) -> Both:
    return Both(
        zh=f"计算 {one.derivation}（{one.stream}）已停止：{one.reason}",
        en=f"derivation {one.derivation} ({one.stream}) is stopped: {one.reason}",
    )


@router.get("/api/v1/systems/{system}/pages/{page}", response_model=PageAnswer)
def show_page(request: Request, visit: SignedIn, system: Id, page: Id) -> Response:
    """A page of a system, with the points that its widgets show to the caller 系统页面."""
    each = enabled_system(visit, system)
    declared = open_part(visit, each.system.pages, page)
    with visit.read() as connection:
        widgets = [
            _widget(visit, connection, f"{system}/{page}/{number}", widget)
            for number, widget in enumerate(declared.widgets, 1)
        ]
    name = Both.model_validate(declared.name)
    return answer(request, PageAnswer(system=system, id=page, name=name, widgets=widgets))


def _widget(visit: Visit, connection: Connection, where: str, widget: object) -> WidgetAnswer:
    try:
        return widget_answer(connection, visit.caller.scope, widget)
    except WidgetWrong as error:
        visit.shared.systems.say_failed("widget", where, str(error))
        return fault_of(widget)


def enabled_system(visit: Visit, system: str) -> Enabled:
    """An enabled system. Raises Problem. Reads the database now and then, so call it before `visit.read()`."""
    each = visit.shared.systems.now().get(system)
    if each is None:
        raise Problem("not-found")
    return each


def open_part(visit: Visit, parts: tuple[_Part, ...], id_: str) -> _Part:
    """The page, register or report of that id, if the caller's role may open it. Raises Problem."""
    part = next((part for part in parts if part.id == id_), None)
    if part is None:
        raise Problem("not-found")
    role = visit.caller.person.role
    if role.value not in part.readers:
        log.warning("access_refused", person=visit.caller.person.name, role=role, part=id_)
        raise Problem("not-allowed", {"role": role.value})
    return part
