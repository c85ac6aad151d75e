"""Registers through the API: forms, rows, their versions and states, and what is no record."""

import json
from typing import Any

import pytest

from park_platform.storage import audit
from support.ledger_api import DEVICES, ROOT, add, added, device, fault_fields, put, rows, step
from support.serving import Served, wait_until

# the form -------------------------------------------------------------------------------------------------------------


def test_a_form_knows_labels_states_and_rights(ledger: Served) -> None:
    schema = ledger.client("operator").get(f"{DEVICES}/schema").json()
    assert (schema["system"], schema["id"], schema["name"], schema["key"]) == (
        *("ledger", "devices", {"zh": "设备台账", "en": "Devices"}, ["code"]),
    )
    assert schema["schema"]["properties"]["pressure"]["x-unit"] == "MPa"
    assert schema["schema"]["required"] == ["code", "kind", "pressure", "inspected"]
    assert [state["id"] for state in schema["states"]] == ["draft", "filed", "closed"]
    assert [(each["id"], each["note"]) for each in schema["steps"]] == [
        ("file", False),
        ("return", True),
        ("close", False),
    ]
    assert (schema["may_write"], schema["enterprise"], schema["own"]) == (True, "enterprise", None)
    mine = ledger.client("enterprise").get(f"{DEVICES}/schema").json()
    assert (mine["may_write"], mine["own"]) == (True, "alpha")
    assert ledger.client("safety").get(f"{DEVICES}/schema").json()["may_write"] is False
    assert ledger.client("enterprise").get(f"{ROOT}/factors/schema").json()["may_write"] is False


def test_what_is_not_there(empty: Served) -> None:
    client = empty.client("administrator")
    for path in (f"{ROOT}/nothing", "/api/v1/registers/nothing/devices"):
        assert client.get(path).status_code == 404
        assert client.get(f"{path}/schema").status_code == 404
        assert client.post(path, json={"record": {}}).status_code == 404
    for number in (999_999, 2**63 - 1):
        assert client.get(f"{DEVICES}/{number}/versions").status_code == 404
        answer = client.put(f"{DEVICES}/{number}", json={"record": device()}, headers={"If-Match": '"1"'})
        assert answer.status_code == 404
        assert empty.client("operator").post(f"{DEVICES}/{number}/steps/file").status_code == 404
    assert client.post(f"{DEVICES}/{added(empty)['id']}/steps/nothing").status_code == 404
    factor = rows(empty, "operator", f"{ROOT}/factors")[0]["id"]
    assert client.get(f"{DEVICES}/{factor}/versions").status_code == 404, "a row of another register"


# rows -----------------------------------------------------------------------------------------------------------------


def test_a_row_is_added_changed_and_deleted(empty: Served) -> None:
    answer = add(empty, "operator", device("T-1", enterprise="beta"), note="new")
    row = answer.json()
    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    assert (row["key"], row["version"], row["state"], row["actor"], row["note"], row["enterprise"]) == (
        *("T-1", 1, "draft", "operator", "new", "beta"),
    )
    assert row["record"] == {
        **device("T-1", enterprise="beta"),
        **dict.fromkeys(["remark"]),
        "units": 1,
        "in_use": True,
    }
    assert (row["due"], row["editable"], row["steps"]) == ("2027-04-30T16:00:00.000000Z", True, ["file"])
    assert rows(empty, "operator") == [row]
    changed = put(empty, "operator", row, pressure=2.5)
    assert (changed.status_code, changed.headers["etag"], changed.json()["record"]["pressure"]) == (200, '"2"', 2.5)
    gone = empty.client("operator").request(
        "DELETE", f"{DEVICES}/{row['id']}", json={"note": "sold"}, headers={"If-Match": '"2"'}
    )
    assert (gone.status_code, gone.json()["deleted"], gone.json()["note"], gone.json()["editable"]) == (
        *(200, True, "sold", False),
    )
    assert rows(empty, "operator") == []
    versions = empty.client("operator").get(f"{DEVICES}/{row['id']}/versions").json()
    assert [(each["version"], each["action"]) for each in versions["versions"]] == [
        *((3, "deleted"), (2, "changed"), (1, "added")),
    ]
    assert versions["versions"][2]["record"] == row["record"]
    assert {each["editable"] for each in versions["versions"]} == {False}
    assert put(empty, "operator", gone.json()).status_code == 404
    again = add(empty, "operator", device("T-1"))
    assert (again.json()["id"], again.json()["version"], again.json()["enterprise"]) == (row["id"], 4, None)


def test_every_wrong_field_is_told_at_once(empty: Served) -> None:
    wrong = {"code": "", "enterprise": "nobody", "kind": "x", "pressure": "x", "units": 0, "colour": 1, "remark": "\0"}
    fields = ["colour", "remark", "code", "kind", "pressure", "inspected", "units", "enterprise"]
    assert fault_fields(add(empty, "operator", wrong)) == fields
    row = added(empty)
    assert fault_fields(put(empty, "operator", row, **wrong)) == [name for name in fields if name != "inspected"]
    assert fault_fields(put(empty, "operator", row, code="T-other")) == ["code"], "a key stays"
    assert fault_fields(add(empty, "operator", row["record"])) == ["code"], "taken"
    assert fault_fields(add(empty, "operator", device(kind="boiler", pressure=31))) == [""]
    assert len(rows(empty, "operator")) == 1


def test_of_two_people_one_is_faster(empty: Served) -> None:
    row = added(empty)
    assert put(empty, "operator", row, pressure=2).status_code == 200
    late = put(empty, "administrator", row, pressure=3)
    assert (late.status_code, late.json()["code"]) == (412, "row-outdated")
    client, path = empty.client("operator"), f"{DEVICES}/{row['id']}"
    assert client.put(path, json={"record": row["record"]}).json()["code"] == "if-match-needed"
    assert client.delete(path).status_code == 428
    for tag in ("*", "2", "x", '"22"', '"1"'):
        assert client.delete(path, headers={"If-Match": tag}).status_code == 412
    assert client.delete(path, headers={"If-Match": '"1", "2"'}).status_code == 200


def test_pages_give_everything_once(empty: Served) -> None:
    for number in range(5):
        added(empty, code=f"T-{number}", remark="even" if number % 2 == 0 else None)
    client = empty.client("operator")
    gathered: list[str] = []
    cursor = None
    for _ in range(6):
        page = client.get(DEVICES, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        gathered += [row["key"] for row in page["rows"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert gathered == [f"T-{number}" for number in range(5)]
    assert [row["key"] for row in rows(empty, "operator", text="EVEN")] == ["T-0", "T-2", "T-4"]
    first = client.get(DEVICES)
    assert client.get(DEVICES, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    versions = client.get(f"{DEVICES}/{first.json()['rows'][0]['id']}/versions", params={"limit": 1}).json()
    assert versions["next"] is not None
    older = client.get(f"{DEVICES}/{first.json()['rows'][0]['id']}/versions", params={"cursor": versions["next"]})
    assert older.json() == {"versions": [], "next": None}


def test_what_was_in_force_then(empty: Served) -> None:
    row = add(empty, "operator", device("T-1"), valid_from="2026-01-01T00:00:00+08:00").json()
    assert row["valid_from"] == "2025-12-31T16:00:00.000000Z"
    body = {"record": device("T-1", pressure=3), "valid_from": "2026-03-01T00:00:00Z"}
    changed = empty.client("operator").put(f"{DEVICES}/{row['id']}", json=body, headers={"If-Match": '"1"'})
    assert changed.status_code == 200
    for moment, expected in (
        ("2025-12-31T00:00:00Z", []),
        ("2026-02-28T23:59:59Z", [1.6]),
        ("2026-03-01T00:00:00Z", [3]),
    ):
        found = rows(empty, "operator", as_of=moment)
        assert [each["record"]["pressure"] for each in found] == expected
        assert {(each["editable"], tuple(each["steps"])) for each in found} <= {(False, ())}
    refused = add(empty, "operator", device(), valid_from="2026-01-01T00:00:00")
    assert (refused.status_code, refused.json()["fields"]) == (422, ["body.valid_from"])


def test_a_system_s_own_code_that_raises_costs_only_itself(empty: Served) -> None:
    fine, raises = added(empty), added(empty, code="raise")
    assert (fine["due"] is not None, raises["due"]) == (True, None)
    assert [row["due"] is None for row in rows(empty, "operator")] == [False, True]
    broken = added(empty, code="break")
    assert fault_fields(step(empty, "operator", broken, "file")) == [""]
    assert step(empty, "operator", fine, "file").status_code == 200


# states ---------------------------------------------------------------------------------------------------------------


def test_a_row_goes_through_its_states(empty: Served) -> None:
    row = added(empty, "enterprise")
    filed = step(empty, "enterprise", row, "file")
    assert (filed.status_code, filed.json()["state"], filed.json()["version"]) == (200, "filed", 2)
    assert (filed.json()["editable"], filed.json()["steps"], filed.headers["etag"]) == (False, [], '"2"')
    (seen,) = rows(empty, "operator")
    assert (seen["editable"], seen["steps"]) == (False, ["return", "close"])
    again = step(empty, "enterprise", row, "file")
    assert (again.status_code, again.json()["code"], again.json()["state"]) == (409, "row-state", "filed")
    assert put(empty, "enterprise", filed.json(), pressure=2).json()["code"] == "row-state"
    delete = empty.client("enterprise").delete(f"{DEVICES}/{row['id']}", headers={"If-Match": '"2"'})
    assert delete.json()["code"] == "row-state"
    for blank in (None, "", "  "):
        assert fault_fields(step(empty, "operator", row, "return", blank)) == ["note"]
    returned = step(empty, "operator", row, "return", "压力有误")
    assert (returned.json()["state"], returned.json()["note"], returned.json()["action"]) == (
        *("draft", "压力有误", "step:return"),
    )
    (mine,) = rows(empty, "enterprise")
    assert (mine["note"], mine["actor"], mine["editable"], mine["steps"]) == ("压力有误", None, True, ["file"])
    corrected = put(empty, "enterprise", mine, pressure=2)
    assert corrected.status_code == 200
    step(empty, "enterprise", row, "file")
    closed = step(empty, "operator", row, "close")
    assert (closed.json()["state"], closed.json()["due"], closed.json()["steps"]) == ("closed", None, [])


def test_a_step_s_check_refuses_in_words(empty: Served) -> None:
    row = added(empty, inspected="2099-01-01")
    answer = step(empty, "operator", row, "file")
    assert fault_fields(answer) == [""]
    assert answer.json()["faults"][0]["message"] == {"zh": "检验日期在将来", "en": "it was inspected in the future"}
    assert rows(empty, "operator")[0]["state"] == "draft"


def test_half_a_key_may_be_empty_and_its_row_is_changed_like_any(empty: Served) -> None:
    sensors = f"{ROOT}/sensors"
    alone = add(empty, "operator", {"asset": None, "name": "S-1"}, sensors).json()
    assert alone["key"] == "S-1"
    change = {"record": alone["record"], "note": "looked at"}
    answer = empty.client("operator").put(f"{sensors}/{alone['id']}", json=change, headers={"If-Match": '"1"'})
    assert answer.json()["version"] == 2
    assert fault_fields(add(empty, "operator", {"name": " S-1"}, sensors)) == ["asset", "name"]
    file = empty.client("operator").get(sensors, headers={"Accept": "text/csv"}).content
    again = empty.client("operator").post(f"{sensors}/import", content=file, params={"dry_run": "true"}).json()
    assert (again["unchanged"], again["faults"]) == (1, [])


def test_an_asset_that_a_row_names_exists(empty: Served) -> None:
    sensors = f"{ROOT}/sensors"
    assert add(empty, "operator", {"asset": "tank-beta", "name": "S-2"}, sensors).json()["key"] == "tank-beta / S-2"
    assert fault_fields(add(empty, "operator", {"asset": "tank-gamma", "name": ""}, sensors)) == ["name", "asset"]
    file = "asset,name\ntank-alpha,S-3\ntank-gamma,S-4\n"
    tried = empty.client("operator").post(f"{sensors}/import", content=file, params={"dry_run": "true"}).json()
    assert [(fault["line"], fault["field"]) for fault in tried["faults"]] == [(3, "asset")]


def test_what_is_due_follows_the_settings(empty: Served) -> None:
    row = added(empty, inspected="2026-05-01")
    with empty.park.connection() as admin:
        admin.execute("UPDATE system SET settings = '{\"years\": 3}' WHERE key = 'ledger'")
        admin.execute("UPDATE installation SET config_seq = config_seq + 1")
    wait_until(lambda: rows(empty, "operator")[0]["due"] != row["due"], "settings")
    assert rows(empty, "operator")[0]["due"] == "2029-04-30T16:00:00.000000Z"
    with empty.park.connection() as admin:
        admin.execute("UPDATE system SET settings = '{}' WHERE key = 'ledger'")
        admin.execute("UPDATE installation SET config_seq = config_seq + 1")
    wait_until(lambda: rows(empty, "operator")[0]["due"] == row["due"], "settings")


def test_a_step_may_name_its_version(empty: Served) -> None:
    row = added(empty)
    path = f"{DEVICES}/{row['id']}/steps/file"
    assert empty.client("operator").post(path, headers={"If-Match": '"7"'}).status_code == 412
    assert empty.client("operator").post(path, headers={"If-Match": '"1"'}).status_code == 200


def test_every_change_is_on_the_trail(empty: Served) -> None:
    row = added(empty, code="T-1")
    put(empty, "operator", row, pressure=2)
    step(empty, "operator", row, "file")
    step(empty, "operator", row, "return", "why")
    empty.client("operator").delete(f"{DEVICES}/{row['id']}", headers={"If-Match": '"4"'})
    with empty.park.connection("api") as connection:
        trail = audit.audit_rows(connection, None, 5)[::-1]
        assert audit.verify(connection) is None
    name = f"register/ledger/devices/{row['id']}"
    assert [(each.actor, each.action, each.object) for each in trail] == [
        ("operator", f"register-{action}", name)
        for action in ("added", "changed", "step:file", "step:return", "deleted")
    ]
    assert trail[0].before is None
    assert [each.after["version"] for each in trail] == [1, 2, 3, 4, 5]
    assert [each.before for each in trail[1:]] == [each.after for each in trail[:-1]]
    assert [each.after["record"]["pressure"] for each in trail] == [1.6, 2, 2, 2, 2]
    assert [each.after["state"] for each in trail] == ["draft", "draft", "filed", "draft", "draft"]
    assert (trail[3].after["note"], trail[4].after["deleted"]) == ("why", True)


# nonsense -------------------------------------------------------------------------------------------------------------


DEEP: list[Any] = json.loads("[" * 200 + "]" * 200)
VALUES: tuple[Any, ...] = ("\0", "\ud800", "x" * 100_000, 10**400, ["x"] * 2_000, DEEP)
RECORDS: list[dict[str, Any]] = [
    *[{"code": value, "remark": value} for value in VALUES],
    {"\ud800": 1},
    {"x" * 100_000: 1},
    {f"field-{number}": 1 for number in range(10_000)},
    {"pressure": float("1e308"), "units": -(2**63)},
]


@pytest.mark.parametrize("record", RECORDS, ids=range(len(RECORDS)))
def test_no_record_is_an_error_inside(empty: Served, record: dict[str, Any]) -> None:
    content = json.dumps({"record": {**device(), **record}}).encode()
    client, headers = empty.client("operator"), {"Content-Type": "application/json"}
    answer = client.post(DEVICES, content=content, headers=headers)
    assert answer.status_code == 422, answer.text[:300]
    assert len(answer.content) < 20_000
    row = added(empty)
    path = f"{DEVICES}/{row['id']}"
    assert client.put(path, content=content, headers={**headers, "If-Match": '"1"'}).status_code == 422


def test_text_of_any_kind_comes_back_as_it_was(empty: Served) -> None:
    strange = "<script>alert(1)</script>\u2028\u202e'; DROP TABLE register_row; -- \\ %s {0} 储罐 🏭"
    row = added(empty, code=strange[:40], remark=strange)
    assert rows(empty, "operator")[0]["record"]["remark"] == strange
    assert (row["key"], row["record"]["code"]) == (strange[:40], strange[:40])
