"""What a system must keep to, looked at before it runs: every fault as a sentence. Pure.

`park_sdk.testing.check_system` also runs it; the platform refuses at start what has a fault here.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import BaseModel, PydanticUserError, ValidationError

from park_sdk.derivation import EventInput, ParkDerivation, StreamDerivation
from park_sdk.page import Map, Page, Points, RegisterTable, ReportForm
from park_sdk.register import Register, label_of
from park_sdk.register_form import form_schema
from park_sdk.system import CONTRACT, System
from park_wire.quantities import QUANTITIES, Text

_ID: Final = re.compile(r"[a-z0-9-]{1,32}")
_LONGEST_WINDOW_S: Final = 3_600.0
_LONGEST_GRID_S: Final = 92 * 86_400


def contract_faults(system: object) -> list[str]:
    """What of a system does not keep to the contract; empty when all does."""
    if not isinstance(system, System):
        return [f"the entry point gives a {type(system).__name__}; it must give a park_sdk.system.System"]
    if system.contract != CONTRACT:
        return [f"contract {system.contract}; this release has contract {CONTRACT}: update the system"]
    return [
        *_bad_ids([system.id], "the system"),
        *_bad_text(system.name, "the system"),
        *_settings_faults(system),
        *_derivation_faults(system),
        *_register_faults(system),
        *_report_faults(system),
        *_page_faults(system),
    ]


def claims(system: System) -> Iterator[tuple[str, str]]:
    """What a system gives points to: (asset kind, quantity) of every output."""
    for derivation in system.derivations:
        for kind in derivation.kinds:
            for quantity in derivation.outputs:
                yield kind, quantity


def needed_registers(system: System) -> set[str]:
    """The registers, as "system.register", that its derivations and reports can't do without."""
    return {name for derivation in system.derivations for name in derivation.registers} | {
        name for report in system.reports for name in report.registers
    }


def _bad_ids(ids: Iterable[str], what: str) -> Iterator[str]:
    for id_, times in Counter(ids).items():
        if not _ID.fullmatch(id_):
            yield f"{what} is called {id_!r}; use 1 to 32 characters of a-z, 0-9 and -"
        if times > 1:
            yield f"{what} {id_!r} stands {times} times; give each its own id"


def _bad_text(text: Text, what: str) -> Iterator[str]:
    if not text.zh.strip() or not text.en.strip():
        yield f"{what} has no name in both languages"


def _settings_faults(system: System) -> Iterator[str]:
    required = [name for name, field in system.settings.model_fields.items() if field.is_required()]
    if required:
        yield f"settings {', '.join(required)} have no default; a system must run as it is installed"
        return
    try:
        settings = system.settings()
        rules = system.rules(settings)
    except ValidationError as error:
        yield f"rules of the default settings are wrong: {'; '.join(item['msg'] for item in error.errors())}"
        return
    yield from _bad_ids((f"{system.id}-{rule.id}" for rule in rules), "rule")
    for rule in rules:
        if rule.on.quantity is not None and rule.on.quantity not in QUANTITIES:
            yield f"rule {rule.id!r} watches quantity {rule.on.quantity!r}, which the catalogue does not have"


def _derivation_faults(system: System) -> Iterator[str]:
    yield from _bad_ids((derivation.id for derivation in system.derivations), "derivation")
    for derivation in system.derivations:
        what = f"derivation {derivation.id!r}"
        if not derivation.kinds or not derivation.outputs:
            yield f"{what} needs asset kinds and outputs"
        if not derivation.inputs and (isinstance(derivation, StreamDerivation) or not derivation.registers):
            yield f"{what} needs inputs, or a register where it is one of the park"
        yield from _bad_ids((each.name.replace("_", "-") for each in derivation.inputs), f"{what}: input")
        names = [*derivation.outputs, *derivation.design]
        names += [each.quantity for each in derivation.inputs if not isinstance(each, EventInput)]
        for name in names:
            if name not in QUANTITIES:
                yield f"{what} names quantity {name!r}, which the catalogue does not have"
        match derivation:
            case StreamDerivation() if derivation.inputs and derivation.inputs[0].optional:
                yield f"{what}: its first input is the clock and can't be optional"
            case StreamDerivation() if not 0 <= derivation.window_s <= _LONGEST_WINDOW_S or derivation.every_s < 0:
                yield f"{what}: window_s is at most {_LONGEST_WINDOW_S:g}; for longer use a ParkDerivation"
            case ParkDerivation() if derivation.every_s <= 0 or derivation.every_s % 60 or 86_400 % derivation.every_s:
                yield f"{what}: every_s is {derivation.every_s}; use whole minutes that divide a day"
            case ParkDerivation() if not 0 <= derivation.window_s <= _LONGEST_GRID_S:
                yield f"{what}: window_s is at most {_LONGEST_GRID_S}"
            case _:
                pass
    for (kind, quantity), times in Counter(claims(system)).items():
        if times > 1:
            yield f"{times} derivations give {quantity!r} to assets of kind {kind!r}"


def _register_faults(system: System) -> Iterator[str]:
    yield from _bad_ids((register.id for register in system.registers), "register")
    for register in system.registers:
        what = f"register {register.id!r}"
        yield from _bad_text(register.name, what)
        fields = register.model.model_fields
        yield from _form_faults(register.model, what)
        named = [*register.key, *register.assets, *([register.enterprise] if register.enterprise else [])]
        if not register.key:
            yield f"{what} has no key"
        for name in named:
            if name not in fields:
                yield f"{what} names the field {name!r}, which its model does not have"
        yield from _state_faults(register, what)
        for row in register.first:
            if not isinstance(row, register.model):
                yield f"{what} brings a row that is a {type(row).__name__}, not a {register.model.__name__}"


def _state_faults(register: Register, what: str) -> Iterator[str]:
    states = [state for state, _ in register.states]
    yield from _bad_ids(states, f"{what}: state")
    yield from _bad_ids((step.id for step in register.steps), f"{what}: step")
    for step in register.steps:
        for state in [*step.from_, step.to]:
            if state not in states:
                yield f"{what}: step {step.id!r} names the state {state!r}, which is not among its states"
    for state in register.editable:
        if state not in states:
            yield f"{what} is editable in {state!r}, which is not among its states"


def _form_faults(model: type[BaseModel], what: str) -> Iterator[str]:
    try:
        form_schema(model)
    except PydanticUserError as error:
        reason = str(error).partition("\n")[0]
        yield f"{what}: no JSON schema can be made of {model.__name__}, so no form: {type(error).__name__}: {reason}"
    for name, field in model.model_fields.items():
        label = label_of(field)
        if label is None or not label.zh or not label.en:
            yield f"{what}: field {name!r} has no Label in both languages"


def _report_faults(system: System) -> Iterator[str]:
    yield from _bad_ids((report.id for report in system.reports), "report")
    for report in system.reports:
        yield from _bad_text(report.name, f"report {report.id!r}")
        yield from _form_faults(report.params, f"report {report.id!r}")


def _page_faults(system: System) -> Iterator[str]:
    yield from _bad_ids((page.id for page in system.pages), "page")
    registers = {register.id for register in system.registers}
    reports = {report.id for report in system.reports}
    for page in system.pages:
        yield from _bad_text(page.name, f"page {page.id!r}")
        for widget in page.widgets:
            yield from _bad_text(widget.title, f"a widget of page {page.id!r}")
            match widget:
                case RegisterTable() if widget.register not in registers:
                    yield f"page {page.id!r} shows the register {widget.register!r}, which the system does not have"
                case ReportForm() if widget.report not in reports:
                    yield f"page {page.id!r} shows the report {widget.report!r}, which the system does not have"
                case _:
                    yield from _unknown_quantities(page, widget)


def _unknown_quantities(page: Page, widget: Any) -> Iterator[str]:
    points = getattr(widget, "points", None)
    quantities = points.quantities if isinstance(points, Points) else getattr(widget, "quantities", ())
    if isinstance(widget, Map):
        return
    for quantity in quantities:
        if quantity not in QUANTITIES:
            yield f"page {page.id!r} names quantity {quantity!r}, which the catalogue does not have"
