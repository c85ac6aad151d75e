"""Registers through the API, in the words of tests: the register of devices of support.ledger_system.

The fixture `empty` is a server whose park uses the system and has no row of it.
"""

from itertools import count
from typing import Any

import httpx

from support.serving import Served

ROOT = "/api/v1/registers/ledger"
DEVICES = f"{ROOT}/devices"
HEAD = "code,enterprise,kind,pressure,inspected,units,in_use,remark"
_codes = count(1)


def clear_devices(served: Served) -> None:
    """Forget every row, as nobody but a test can."""
    with served.park.connection() as admin:
        admin.execute("ALTER TABLE register_version DISABLE TRIGGER register_append_only")
        for table, column in (("register_version", "row_id"), ("register_row", "id")):
            rows_of_devices = "SELECT id FROM register_row WHERE register = 'devices'"
            admin.execute(f"DELETE FROM {table} WHERE {column} IN ({rows_of_devices})".encode())
        admin.execute("ALTER TABLE register_version ENABLE TRIGGER register_append_only")


def device(code: str | None = None, **fields: Any) -> dict[str, Any]:
    """A sound record."""
    sound = {"code": code or f"T-{next(_codes)}", "kind": "tank", "pressure": 1.6, "inspected": "2026-05-01"}
    return {**sound, **fields}


def add(served: Served, role: str, record: dict[str, Any], path: str = DEVICES, **body: Any) -> httpx.Response:
    """POST a record."""
    return served.client(role).post(path, json={"record": record, **body})


def added(served: Served, role: str = "operator", **fields: Any) -> dict[str, Any]:
    """A row that was added."""
    answer = add(served, role, device(**fields))
    assert answer.status_code == 201, answer.text
    return answer.json()


def put(served: Served, role: str, row: dict[str, Any], **fields: Any) -> httpx.Response:
    """PUT a row's record with these fields changed."""
    record = {**row["record"], **fields}
    return served.client(role).put(
        f"{DEVICES}/{row['id']}", json={"record": record}, headers={"If-Match": f'"{row["version"]}"'}
    )


def step(served: Served, role: str, row: dict[str, Any], name: str, note: str | None = None) -> httpx.Response:
    """Take a step."""
    return served.client(role).post(f"{DEVICES}/{row['id']}/steps/{name}", json={"note": note})


def rows(served: Served, role: str, path: str = DEVICES, **asked: Any) -> list[dict[str, Any]]:
    """The rows of a list."""
    answer = served.client(role).get(path, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


def fault_fields(answer: httpx.Response, code: str = "register-faults") -> list[str]:
    """The fields that a refusal names."""
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    for fault in answer.json()["faults"]:
        assert fault["message"].keys() == {"zh", "en"}
    return [fault["field"] for fault in answer.json()["faults"]]


def load(served: Served, role: str, content: str | bytes, **asked: Any) -> httpx.Response:
    """Import a file."""
    headers = {"Content-Type": "text/csv"}
    return served.client(role).post(f"{DEVICES}/import", content=content, params=asked, headers=headers)
