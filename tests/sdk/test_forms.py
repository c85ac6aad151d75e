"""What the author of a system is told of registers and reports that no form could show."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from park_sdk.check import check_system
from park_sdk.contract import contract_faults
from park_sdk.register import Label, Register
from park_sdk.report import ReportDef
from park_wire.quantities import Text
from support.ledger_system import LEDGER

_LABEL = Label("某", "Some")


class _Inner(BaseModel):
    x: float = 0.0


class _Colour(Enum):
    RED = 1


class _Shown(BaseModel):
    name: Annotated[str, _LABEL]
    kind: Annotated[Literal["a", "b"] | None, _LABEL] = None
    parts: Annotated[tuple[str, ...], _LABEL] = ()
    mass: Annotated[float | None, Field(gt=0), _LABEL] = None


class _NoForm(BaseModel):
    name: Annotated[str, _LABEL]
    place: Annotated[_Inner, _LABEL] = _Inner()
    either: Annotated[int | str, _LABEL] = 1
    price: Annotated[Decimal, _LABEL] = Decimal(1)
    colour: Annotated[_Colour, _LABEL] = _Colour.RED
    level: Annotated[Literal[1, 2], _LABEL] = 1
    numbers: Annotated[tuple[float, ...], _LABEL] = ()
    anything: Annotated[Any, _LABEL] = None


class _NoSchema(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: Annotated[str, _LABEL]
    call: Annotated[Callable[[], int] | None, _LABEL] = None


def with_register(model: type[BaseModel], **fields: Any) -> Any:
    return replace(LEDGER, registers=(Register("r", Text("某", "Some"), model, ("name",), **fields),))


def with_report(model: type[BaseModel]) -> Any:
    report = ReportDef("r", Text("某", "Some"), model, lambda params, zone: {}, lambda params, data: data)  # pyright: ignore[reportArgumentType]
    return replace(LEDGER, registers=(), reports=(report,))


@pytest.mark.parametrize(("make", "what"), [(with_register, "register 'r'"), (with_report, "report 'r'")])
def test_a_model_without_a_schema_is_named(make: Callable[[type[BaseModel]], Any], what: str) -> None:
    assert check_system(make(_Shown)) == []
    [fault] = contract_faults(make(_NoSchema))
    assert fault.startswith(f"{what}: no JSON schema can be made of _NoSchema")
    assert check_system(make(_NoSchema)) == [fault]


@pytest.mark.parametrize(("make", "what"), [(with_register, "register 'r'"), (with_report, "report 'r'")])
def test_fields_that_no_form_shows_are_named(make: Callable[[type[BaseModel]], Any], what: str) -> None:
    faults = check_system(make(_NoForm))
    assert [fault.split(" is ")[0] for fault in faults] == [
        f"{what}: field {name!r}" for name in list(_NoForm.model_fields)[1:]
    ]
    # People could still write them as JSON: no reason to refuse the system.
    assert contract_faults(make(_NoForm)) == []


def test_a_field_of_assets_must_exist() -> None:
    [fault] = contract_faults(with_register(_Shown, assets=("place",)))
    assert "'place'" in fault
