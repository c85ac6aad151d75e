"""Having a report built: its system's code runs here and nowhere else, and whatever it does, it ends in one error."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import BaseModel

from park_platform.reports.check import document_faults, need_fault, need_faults
from park_platform.reports.fetch import NeedWrong, Reading, fetch, park_zone
from park_platform.storage.connect import Connection
from park_platform.systems import Enabled
from park_sdk.report import Document, ReportDef
from park_wire.quantities import Text

_Made = TypeVar("_Made")


@dataclass(eq=False)
class ReportFailed(Exception):
    """A report's code raised, or gave what the contract does not promise. `reason` is for the log only."""

    reason: str

    def __str__(self) -> str:
        return self.reason


def run_report(
    connection: Connection, reading: Reading, each: Enabled, report: ReportDef, params: BaseModel
) -> Document:
    """The document of a report for these parameters. Runs inside `scoped`.

    Raises ReportFailed, EnterpriseUnknown and QueryTooLarge.
    """
    zone = park_zone(connection)
    needs = _guarded("needs", lambda: report.needs(params, zone))
    faults = need_faults(needs) or [fault for name, need in needs.items() if (fault := need_fault(name, need))]
    if faults:
        raise ReportFailed("; ".join(faults))
    try:
        fetched = fetch(connection, reading, needs, each.settings)
    except NeedWrong as error:
        raise ReportFailed(str(error)) from error
    document = _guarded("build", lambda: report.build(params, fetched.data))
    if faults := document_faults(document):
        raise ReportFailed("; ".join(faults))
    return (
        replace(document, notes=(*document.notes, _left_out(len(fetched.left_out)))) if fetched.left_out else document
    )


def _left_out(rows: int) -> Text:
    return Text(
        f"台账中有 {rows} 处内容不符合现行格式，相应的行未计入本报表。",
        f"{rows} entries of registers do not fit their present form; their rows are not part of this report.",
    )


def _guarded(what: str, call: Callable[[], _Made]) -> _Made:
    try:
        return call()
    except Exception as error:  # the boundary towards a system's code
        raise ReportFailed(f"{what} raises {type(error).__name__}: {error}") from error
