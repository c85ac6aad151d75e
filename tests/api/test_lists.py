"""Points, latest values, events and what else comes in pages."""

import csv
import io
from datetime import datetime

import numpy as np
import pytest

from park_platform.storage.latest import pack_image
from park_sdk.frame import Image
from support.serving import CANARY, NOW_US, Served


def test_a_point_has_names_and_its_owner(served: Served) -> None:
    planted = served.planted["alpha"]
    (point,) = served.client("operator").get("/api/v1/points", params={"enterprise": "alpha"}).json()["items"]
    assert point == {
        "id": planted.point,
        "key": f"alpha/plc-{CANARY['alpha']}/pressure",
        "stream": "gw-alpha",
        "gateway": "alpha",
        "device": f"plc-{CANARY['alpha']}",
        "name": "pressure",
        "quantity": {
            "id": "pressure",
            "name": {"zh": "压力（表压）", "en": "Pressure (gauge)"},
            "kind": "gauge",
            "states": {},
        },
        "unit": "MPa",
        "low": 0.0,
        "high": 4.0,
        "period_ms": 1000,
        "max_age_ms": 3000,
        "asset": {
            "key": "tank-alpha",
            "name": {"zh": "储罐", "en": CANARY["alpha"]},
            "kind": "pressure-vessel",
            "owner": {"key": "alpha", "name": {"zh": "企业alpha", "en": CANARY["alpha"]}},
        },
    }
    (of_the_park,) = served.client("operator").get("/api/v1/points", params={"asset": "tank-park"}).json()["items"]
    assert of_the_park["asset"]["owner"] is None


@pytest.mark.parametrize(
    ("filters", "owners"),
    [
        ({}, {"alpha", "beta", "park"}),
        ({"asset": "tank-beta"}, {"beta"}),
        ({"quantity": "pressure"}, {"alpha", "beta", "park"}),
        ({"quantity": "temperature"}, set[str]()),
        ({"enterprise": "beta"}, {"beta"}),
        ({"text": "CANARY-B"}, {"beta"}),
        ({"text": "储罐"}, {"alpha", "beta", "park"}),
        ({"text": "%"}, set[str]()),
        ({"text": "_"}, set[str]()),
        ({"text": "\\"}, set[str]()),
        ({"text": "'; DROP TABLE point; --"}, set[str]()),
        ({"asset": "tank-beta", "enterprise": "alpha"}, set[str]()),
    ],
)
def test_filters_of_points(served: Served, filters: dict[str, str], owners: set[str]) -> None:
    for path in ("/api/v1/points", "/api/v1/latest"):
        items = served.client("operator").get(path, params=filters).json()["items"]
        assert {item["key"].split("/")[0] for item in items} == owners


@pytest.mark.parametrize(
    "path",
    ["points", "latest", "alarms", "gateways", "gaps", "events", "dead-letters", "quarantine", "conflicts", "audit"],
)
def test_pages_give_everything_once(served: Served, path: str) -> None:
    client = served.client("administrator")
    whole = client.get(f"/api/v1/{path}", params={"limit": 1000}).json()
    assert whole["next"] is None
    assert len(whole["items"]) >= 3
    gathered: list[object] = []
    cursor = None
    for _ in range(len(whole["items"]) + 1):
        page = client.get(f"/api/v1/{path}", params={"limit": 1} | ({"cursor": cursor} if cursor else {})).json()
        gathered += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert gathered[: len(whole["items"])] == whole["items"]
    assert len(gathered) == len(whole["items"])


def test_an_etag_saves_the_body(served: Served) -> None:
    client = served.client("operator")
    first = client.get("/api/v1/points")
    again = client.get("/api/v1/points", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    other = client.get("/api/v1/points", params={"limit": 1}, headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


def test_latest_values(served: Served) -> None:
    planted = served.planted["alpha"]
    client = served.client("operator")
    (item,) = client.get("/api/v1/latest", params={"point": planted.point}).json()["items"]
    assert (item["point"], item["value"], item["unit"], item["quality"], item["quality_name"]) == (
        *(planted.point, 1.25, "MPa", 0, "good"),
    )
    assert item["time"].endswith("Z")
    both = client.get("/api/v1/latest", params={"point": [planted.point, served.planted["beta"].point]}).json()
    assert [item["point"] for item in both["items"]] == sorted([planted.point, served.planted["beta"].point])
    assert client.get("/api/v1/latest", params={"point": [1] * 1001}).status_code == 422


def test_a_bad_value_is_null_and_a_missing_one_has_no_time(served: Served) -> None:
    planted = served.planted["park"]
    with served.park.connection() as connection:
        row = connection.execute(
            "INSERT INTO point (stream_id, device, name, quantity, unit, low, high, period_ms, max_age_ms) "
            "VALUES (%s, 'bare', 'odd', 'no-such-quantity', 'furlong', 0, 1, 1, 1) RETURNING id",
            (planted.stream_id,),
        ).fetchone()
        assert row is not None
        image = Image(
            np.array([planted.point], np.int32), np.array([NOW_US + 1]), np.array([np.nan]), np.array([0x85], np.int16)
        )
        connection.execute(
            "UPDATE latest_pack SET packed = %s WHERE stream_id = %s", (pack_image(image), planted.stream_id)
        )
    params = {"point": [planted.point, row[0]]}
    bad, missing = served.client("operator").get("/api/v1/latest", params=params).json()["items"]
    assert (bad["value"], bad["quality_name"]) == (None, "bad_no_answer")
    assert bad["time"] is not None
    assert (missing["time"], missing["value"], missing["quality_name"]) == (None, None, "none")
    assert (missing["unit"], missing["quantity"]) == ("furlong", "no-such-quantity")
    for role in ("enterprise", "regulator"):
        assert served.client(role).get("/api/v1/points", params={"text": "bare"}).json()["items"] == []
    answer = served.client("operator").get("/api/v1/latest", params=params, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["value"] for row in rows] == ["", ""]
    assert [row["quality_name"] for row in rows] == ["bad_no_answer", "none"]
    with served.park.connection() as connection:
        connection.execute("DELETE FROM point WHERE id = %s", row)


def test_events_and_letters_show_what_was_planted(served: Served) -> None:
    client = served.client("administrator")
    events = client.get("/api/v1/events", params={"device": f"plc-{CANARY['beta']}"}).json()["items"]
    assert [(event["kind"], event["body"]) for event in events] == [("notice", {"text": CANARY["beta"]})]
    assert client.get("/api/v1/events", params={"kind": "weigh-ticket"}).json()["items"] == []
    letter = client.get("/api/v1/dead-letters").json()["items"][0]
    assert (letter["reason"], letter["size"], letter["stream"]) == (CANARY["park"], len(CANARY["park"]), "gw-park")
    payload = client.get(f"/api/v1/dead-letters/{letter['id']}/payload")
    assert payload.content == CANARY["park"].encode()
    assert payload.headers["content-type"] == "application/octet-stream"
    assert payload.headers["content-disposition"] == f'attachment; filename="dead-letter-{letter["id"]}.cbor"'
    trail = client.get("/api/v1/audit").json()["items"]
    assert trail[0]["action"] == "dead-letter-downloaded"
    assert client.get("/api/v1/dead-letters/999/payload").status_code == 404
    (held,) = client.get("/api/v1/quarantine", params={"point": served.planted["beta"].point}).json()["items"]
    assert (held["time_us"], held["time"]) == (1, "1970-01-01T00:00:00.000001Z")
    assert (held["value"], held["reason"]) == (None, CANARY["beta"])
    (conflict,) = client.get("/api/v1/conflicts", params={"point": served.planted["beta"].point}).json()["items"]
    assert (conflict["kept"], conflict["value"], conflict["time"][-1]) == (1.0, 2.0, "Z")


def test_a_time_that_no_calendar_has(served: Served) -> None:
    point = served.planted["beta"].point
    with served.park.connection() as connection:
        connection.execute(
            "INSERT INTO quarantine (point_id, time_us, value, quality, reason) VALUES (%s, %s, 1, 0, 'x')",
            (point, 2**63 - 1),
        )
        held = served.client("operator").get("/api/v1/quarantine", params={"point": point}).json()["items"][0]
        connection.execute("DELETE FROM quarantine WHERE reason = 'x'")
    assert (held["time_us"], held["time"]) == (2**63 - 1, None)


def test_gateways_and_status(served: Served) -> None:
    with served.park.connection() as connection:
        stream = served.planted["alpha"].stream_id
        connection.execute("INSERT INTO worker (id, backend_pid, backend_start) VALUES (gen_random_uuid(), 1, now())")
        connection.execute(
            "UPDATE stream SET owner = (SELECT id FROM worker), event_until = now() - interval '2 s' WHERE id = %s",
            (stream,),
        )
        connection.execute("UPDATE gateway SET epoch = '\\x01', depth = 5, skew_us = -3 WHERE key = 'alpha'")
        connection.execute(
            "INSERT INTO lane (gateway_id, epoch, lane, mark) "
            "SELECT id, decode(repeat('01', 16), 'hex'), 'live', 42 FROM gateway WHERE key = 'alpha'"
        )
        connection.execute("UPDATE gateway SET epoch = decode(repeat('01', 16), 'hex') WHERE key = 'alpha'")
    client = served.client("operator")
    alpha, beta, _ = client.get("/api/v1/gateways").json()["items"]
    assert (alpha["key"], alpha["depth"], alpha["skew_us"], alpha["gaps"], alpha["points"]) == ("alpha", 5, -3, 1, 1)
    assert 2_000_000 <= alpha["lag_us"] < 60_000_000
    assert [(lane["lane"], lane["mark"]) for lane in alpha["lanes"]] == [("live", 42)]
    assert (alpha["has_owner"], beta["has_owner"], beta["lag_us"]) == (True, False, None)
    status = client.get("/api/v1/status").json()
    assert (status["database"], status["broker"], status["live_clients"]) == (True, True, 0)
    assert datetime.fromisoformat(status["at"]).tzinfo
    assert {stream["name"]: stream["has_owner"] for stream in status["streams"]}["gw-alpha"] is True
    with served.park.connection() as connection:
        connection.execute("UPDATE worker SET beat_at = now() - interval '3 s'")
    assert client.get("/api/v1/gateways").json()["items"][0]["has_owner"] is False
    gap = client.get("/api/v1/gaps", params={"gateway": "beta"}).json()["items"][0]
    assert (gap["from_seq"], gap["to_seq"], gap["n"], gap["reason"]["en"]) == (1, 2, 7, CANARY["beta"])
