"""Alarms: filters, acknowledge, reset; each act is in the journal and on the trail."""

import pytest

from park_platform.storage.journal import verify
from support.serving import Served, lower_alarm, raise_alarm


def rule(served: Served) -> int:
    with served.park.connection() as connection:
        row = connection.execute("SELECT id FROM rule WHERE key = 'too-high'").fetchone()
        assert row is not None
        return row[0]


@pytest.mark.parametrize(
    ("filters", "n"),
    [
        ({}, 3),
        ({"state": "unacknowledged"}, 3),
        ({"state": ["normal", "returned"]}, 0),
        ({"priority": "critical"}, 3),
        ({"priority": "low"}, 0),
        ({"open": "true"}, 3),
        ({"open": "false"}, 0),
        ({"since": "2026-01-01T00:00:00+08:00"}, 3),
        ({"since": "2199-01-01T00:00:00+08:00"}, 0),
    ],
)
def test_filters(served: Served, filters: dict[str, str], n: int) -> None:
    assert len(served.client("operator").get("/api/v1/alarms", params=filters).json()["items"]) == n


def test_an_alarm_says_what_to_do(served: Served) -> None:
    planted = served.planted["beta"]
    alarm = served.client("safety").get(f"/api/v1/alarms/{planted.alarm}").json()
    assert (alarm["rule"]["key"], alarm["rule"]["kind"], alarm["rule"]["name"]["zh"]) == ("too-high", "H", "超压")
    assert (alarm["point"]["id"], alarm["point"]["unit"]) == (planted.point, "MPa")
    assert (alarm["asset"]["key"], alarm["enterprise"]["key"]) == ("tank-beta", "beta")
    assert (alarm["raised_value"], alarm["limit"], alarm["times_raised"]) == (1.7, 1.6, 1)
    (line,) = alarm["journal"]
    assert (line["kind"], line["value"], line["limit"], line["actor"], len(line["hash"])) == (
        "raised",
        1.7,
        1.6,
        None,
        64,
    )


def test_acknowledge_writes_journal_and_trail(served: Served) -> None:
    planted = served.planted["beta"]
    client = served.client("operator")
    path = f"/api/v1/alarms/{planted.alarm}"
    answer = client.post(f"{path}/acknowledge", json={"note": "现场已确认"})
    assert (answer.status_code, answer.json()) == (200, {"id": planted.alarm, "state": "acknowledged"})
    alarm = client.get(path).json()
    assert (alarm["state"], alarm["acked_by"]) == ("acknowledged", "operator")
    assert [(line["kind"], line["actor"], line["note"]) for line in alarm["journal"]][1:] == [
        ("acknowledged", "operator", "现场已确认")
    ]
    again = served.client("safety").post(f"{path}/acknowledge")
    assert (again.status_code, again.json()["state"]) == (200, "acknowledged"), "to say it twice is no mistake"
    assert len(client.get(path).json()["journal"]) == 2
    trail = served.client("auditor").get("/api/v1/audit").json()["items"]
    acts = [row for row in trail if row["action"] == "alarm-acknowledged"]
    assert [(row["actor"], row["object"], row["after"]) for row in acts] == [
        ("operator", f"alarm/{planted.alarm}", {"state": "acknowledged"})
    ]
    with served.park.connection() as connection:
        assert verify(connection, planted.stream_id) is None


def test_only_a_latched_alarm_is_reset(served: Served) -> None:
    planted = served.planted["park"]
    client = served.client("administrator")
    path = f"/api/v1/alarms/{planted.alarm}"
    answer = client.post(f"{path}/reset", json={"note": "x"})
    assert (answer.status_code, answer.json()["code"], answer.json()["state"]) == (409, "alarm-state", "unacknowledged")
    with served.park.connection() as connection:
        lower_alarm(connection, planted.stream_id, rule(served), planted.point, latch=True)
    answer = client.post(f"{path}/reset", json={"note": "已检查"})
    assert (answer.status_code, answer.json()["state"]) == (202, "latched_unacknowledged")
    with served.park.connection() as connection:
        rows = connection.execute("SELECT stream_id, point_id, actor, note FROM alarm_command").fetchall()
    assert rows == [(planted.stream_id, planted.point, "administrator", "已检查")]
    answer = client.post(f"{path}/acknowledge")
    assert answer.json()["state"] == "latched_acknowledged"


@pytest.mark.parametrize(
    ("state", "after"),
    [
        ("unacknowledged", "acknowledged"),
        ("acknowledged", "acknowledged"),
        ("returned", "normal"),
        ("latched_unacknowledged", "latched_acknowledged"),
        ("latched_acknowledged", "latched_acknowledged"),
        ("normal", "normal"),
    ],
)
def test_acknowledge_in_every_state_once_and_again(served: Served, state: str, after: str) -> None:
    planted = served.planted["park"]
    with served.park.connection() as connection:
        connection.execute("UPDATE alarm SET state = %s WHERE id = %s", (state, planted.alarm))
    client, path = served.client("operator"), f"/api/v1/alarms/{planted.alarm}"
    before = len(client.get(path).json()["journal"])
    for _ in range(2):
        answer = client.post(f"{path}/acknowledge")
        assert (answer.status_code, answer.json()["state"]) == (200, after)
    assert len(client.get(path).json()["journal"]) == before + (state != after)
    with served.park.connection() as connection:
        connection.execute("UPDATE alarm SET closed_at = NULL WHERE id = %s", (planted.alarm,))


def test_a_closed_alarm_stays_as_it_is(served: Served) -> None:
    planted = served.planted["alpha"]
    client = served.client("operator")
    with served.park.connection() as connection:
        lower_alarm(connection, planted.stream_id, rule(served), planted.point)
    path = f"/api/v1/alarms/{planted.alarm}/acknowledge"
    assert client.post(path).json()["state"] == "normal"
    answer = client.post(path)
    assert (answer.status_code, answer.json()["state"]) == (200, "normal"), "to say it twice is no mistake"
    answer = client.post(path.replace("acknowledge", "reset"))
    assert (answer.status_code, answer.json()["state"]) == (409, "normal")
    assert served.client("enterprise").get("/api/v1/alarms", params={"open": True}).json()["items"] == []
    with served.park.connection() as connection:
        fresh = raise_alarm(connection, planted.stream_id, rule(served), planted.point)
    assert fresh != planted.alarm
    (item,) = served.client("enterprise").get("/api/v1/alarms", params={"open": True}).json()["items"]
    assert item["id"] == fresh


@pytest.mark.parametrize("body", [{"note": "x" * 1001}, {"remark": "x"}, {"note": 5}, []])
def test_a_malformed_note_is_refused(served: Served, body: object) -> None:
    path = f"/api/v1/alarms/{served.planted['beta'].alarm}/acknowledge"
    assert served.client("operator").post(path, json=body).status_code == 422


def test_an_alarm_that_is_not_there(served: Served) -> None:
    for act in ("acknowledge", "reset"):
        assert served.client("operator").post(f"/api/v1/alarms/987654/{act}").status_code == 404
