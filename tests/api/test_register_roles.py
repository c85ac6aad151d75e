"""Registers through the API: who sees, writes and moves whose rows."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.ledger_api import DEVICES, HEAD, ROOT, add, added, device, fault_fields, put, rows, step
from support.serving import Served

ROLES = ("administrator", "operator", "safety", "enterprise", "regulator", "auditor")


@pytest.fixture
def planted(empty: Served) -> dict[str, dict[str, Any]]:
    """A row of each owner."""
    return {owner: added(empty, code=f"of-{owner}", enterprise=owner if owner != "park" else None) for owner in OWNERS}


OWNERS = ("alpha", "beta", "park")
# By hand what the register says of each role: whose rows it sees, and whose it may write, and step.
ALL = {"alpha", "beta", "park"}
SEES = {
    "administrator": ALL,
    "operator": ALL,
    "safety": ALL,
    "enterprise": {"alpha", "park"},
    "regulator": {"alpha", "park"},
}
WRITES: dict[str, set[str]] = {"administrator": ALL, "operator": ALL, "enterprise": {"alpha"}}
FILES: dict[str, set[str]] = {"operator": ALL, "enterprise": {"alpha"}}


@pytest.mark.parametrize("role", ROLES)
def test_who_sees_what(empty: Served, planted: dict[str, dict[str, Any]], role: str) -> None:
    client = empty.client(role)
    if role not in SEES:
        for path in (DEVICES, f"{DEVICES}/schema", f"{DEVICES}/{planted['park']['id']}/versions"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")
            assert "of-" not in answer.text
        return
    for answer in (client.get(DEVICES), client.get(DEVICES, headers={"Accept": "text/csv"})):
        for owner in OWNERS:
            assert (f"of-{owner}" in answer.text) == (owner in SEES[role]), owner
    assert {row["key"] for row in rows(empty, role, text="of-")} == {f"of-{owner}" for owner in SEES[role]}
    for owner, row in planted.items():
        answer = client.get(f"{DEVICES}/{row['id']}/versions")
        assert answer.status_code == (200 if owner in SEES[role] else 404)
        assert (f"of-{owner}" in answer.text) == (owner in SEES[role])
    shown = {row["key"]: (row["editable"], bool(row["steps"])) for row in rows(empty, role)}
    assert shown == {
        f"of-{owner}": (owner in WRITES.get(role, set()), owner in FILES.get(role, set())) for owner in SEES[role]
    }


@pytest.mark.parametrize("role", ROLES)
def test_who_writes_what(empty: Served, planted: dict[str, dict[str, Any]], role: str) -> None:
    client = empty.client(role)
    before = rows(empty, "operator")
    for owner, row in planted.items():
        may = owner in WRITES.get(role, set())
        # What somebody does not see does not exist for them.
        refused = 404 if role in WRITES and owner not in SEES[role] else 403
        new = device(f"new-{role}-{owner}", enterprise=None if owner == "park" else owner)
        answer = add(empty, role, new)
        if role == "enterprise" and owner == "park":
            assert answer.json()["enterprise"] == "alpha", "what says nothing is theirs"
        elif role == "enterprise" and not may:
            assert fault_fields(answer) == ["enterprise"]
        else:
            assert answer.status_code == (201 if may else 403), (owner, answer.text)
        assert put(empty, role, row, remark=role).status_code == (200 if may else refused)
        deleted = client.delete(f"{DEVICES}/{row['id']}", headers={"If-Match": '"2"' if may else '"1"'})
        assert deleted.status_code == (200 if may else refused)
    if role not in WRITES:
        file = f"{HEAD}\nx,,tank,1,2026-05-01,1,true,"
        for dry_run in ("true", "false"):
            assert client.post(f"{DEVICES}/import", content=file, params={"dry_run": dry_run}).status_code == 403
        assert rows(empty, "operator") == before


@pytest.mark.parametrize("role", ROLES)
def test_who_moves_what(empty: Served, planted: dict[str, dict[str, Any]], role: str) -> None:
    for owner, row in planted.items():
        answer = step(empty, role, row, "file")
        if owner in FILES.get(role, set()):
            assert answer.json()["state"] == "filed"
        else:
            assert answer.status_code == (404 if role in FILES and owner not in SEES[role] else 403)
            assert empty.client("operator").get(f"{DEVICES}/{row['id']}/versions").json()["versions"][0]["version"] == 1


def test_a_neighbour_learns_nothing_by_a_key(empty: Served) -> None:
    added(empty, "neighbour", code="of-beta", remark="canary")
    answer = add(empty, "enterprise", device("of-beta"))
    assert fault_fields(answer) == ["code"]
    assert "beta" not in answer.text
    assert "canary" not in answer.text
    imported = empty.client("enterprise").post(
        f"{DEVICES}/import", content=f"{HEAD}\nof-beta,,tank,1,2026-05-01,1,true,"
    )
    assert fault_fields(imported) == ["code"]
    assert rows(empty, "enterprise") == []


def test_an_enterprise_writes_no_register_of_the_park(ledger: Served) -> None:
    client = ledger.client("enterprise")
    assert [row["key"] for row in rows(ledger, "enterprise", f"{ROOT}/factors")] == ["coal / 2020", "diesel / 2020"]
    assert client.post(f"{ROOT}/factors", json={"record": {"fuel": "x", "year": 2020, "factor": 1}}).status_code == 403
    assert client.get(f"{ROOT}/secrets").status_code == 403
    assert ledger.client("administrator").get(f"{ROOT}/secrets").json() == {"rows": [], "next": None}


def test_a_regulator_reads_on_the_trail_and_no_longer_than_granted(empty: Served) -> None:
    added(empty, enterprise="alpha")
    added(empty)
    client = empty.client("regulator")
    assert len(rows(empty, "regulator")) == 2
    with empty.park.connection() as admin:
        row = admin.execute("SELECT actor, action, object FROM audit ORDER BY id DESC LIMIT 1").fetchone()
        assert row == ("regulator", "read", DEVICES)
        admin.execute("UPDATE access_grant SET until = now() - interval '1 second'")
        try:
            assert client.get(DEVICES).json()["rows"] == [], "not even the park's"
        finally:
            admin.execute("UPDATE access_grant SET until = now() + interval '1 day'")


def test_nothing_changes_without_the_token(empty: Served) -> None:
    client, row = empty.client("operator"), added(empty)
    requests: Iterator[tuple[str, str]] = iter(
        [
            ("POST", DEVICES),
            ("POST", f"{DEVICES}/import"),
            ("PUT", f"{DEVICES}/{row['id']}"),
            ("DELETE", f"{DEVICES}/{row['id']}"),
            ("POST", f"{DEVICES}/{row['id']}/steps/file"),
        ]
    )
    for method, path in requests:
        answer = client.request(
            method, path, headers={"X-CSRF-Token": "", "If-Match": '"1"'}, json={"record": device()}
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf-token-wrong")
    assert rows(empty, "operator") == [row]
