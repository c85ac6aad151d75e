"""From a register to the API, through the doors that people use (README, path table); and how bad readings look."""

import struct
import time
import tomllib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pymodbus.client import ModbusTcpClient
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from park_sim.journal import read_journal
from support.park import WholePark
from support.truth import accepted_samples, judge_journal

METER = "park-incomer"
DEAD = "gw-1/alloy-furnace-1/active-power"


def _ask_meter(park: WholePark) -> tuple[float, float, float]:
    """The three voltages, asked of the field by another client and unpacked by the maker's book: f32 from 19000 on."""
    site = tomllib.loads((park.park.site_folder / "gateway.toml").read_text("utf-8"))
    device = next(one for one in site["device"] if one["id"] == METER)
    place = urlsplit(str(device["endpoint"]))
    with ModbusTcpClient(str(place.hostname), port=place.port or 502) as client:
        # The two words behind what is asked for are the simulated device's own count of reads.
        answer = client.read_holding_registers(19000, count=8, device_id=device["unit"])
    assert not answer.isError(), answer
    a, b, c = struct.unpack(">fff", struct.pack(">6H", *answer.registers[:6]))
    return a, b, c


def _age_s(item: Mapping[str, Any]) -> float:
    return time.time() - datetime.fromisoformat(item["time"]).timestamp()


def test_a_healthy_park_raises_no_alarm(park: WholePark) -> None:
    """Nothing has been done to it yet: whatever alarms now would alarm at every start."""
    park.rest(4.0)
    alarms = park.client("operator").get("/api/v1/alarms").json()["items"]
    assert [(alarm["rule"]["key"], alarm["point"]) for alarm in alarms] == []


def test_a_register_arrives_at_the_api_as_the_field_serves_it(park: WholePark) -> None:
    park.sim("fault", "stuck", METER)  # values that stand still can be compared to the last bit
    truth = park.wait(lambda: _stands_still(park), "the meter to stand still")
    assert all(50.0 < voltage < 150_000.0 for voltage in truth)
    keys = [f"gw-1/{METER}/voltage-{phase}" for phase in "abc"]

    def shown() -> list[dict[str, Any]] | None:
        items = [park.latest(key) for key in keys]
        return items if tuple(item["value"] for item in items) == truth else None

    items = park.wait(shown, f"the voltages {truth} at the API", 5)
    assert {(item["unit"], item["quality_name"]) for item in items} == {("V", "good")}
    assert all(_age_s(item) < 3.0 for item in items), "a reading of the last seconds says when it was taken"
    point = next(point for point in _points_of(park, METER) if point["key"] == keys[0])
    assert point["quantity"]["id"] == "voltage"
    assert point["asset"]["key"] == METER
    assert point["low"] <= truth[0] <= point["high"]
    park.sim("fault", "clear", METER)


def test_each_hop_of_the_path_leaves_its_mark_on_one_sample(park: WholePark) -> None:
    """Rows 1 to 9 of the path table: one request of one meter, followed from hop to hop."""
    (block,) = {line[3] for line in read_journal(park.folder / "sim") if line[0] == "served" and line[2] == "tank-2"}
    with park.live("operator") as live:
        live.take()
        # 1, 2: read and decoded. The simulator counts what it serves.
        ordinal = max(line[4] for line in read_journal(park.folder / "sim") if line[2:4] == ["tank-2", block]) + 2
        sample = ("tank-2", block, ordinal)
        # 3: in the outbox, in a batch with a number.
        accepted = park.wait(lambda: accepted_samples(park.park.trace_file).get(sample), "the sample in the outbox")
        assert len(accepted) == 1
        ((epoch, lane, seq),) = accepted
        # 4, 5, 7: sent, decoded and committed in order.
        park.wait(
            lambda: park.rows(
                "SELECT 1 FROM lane WHERE epoch = decode(%s, 'hex') AND lane = %s AND mark >= %s", epoch, lane, seq
            ),
            f"the commit of batch {seq}",
        )
        stored = park.rows(
            "SELECT p.id, us_of(r.ts) FROM reading r JOIN point p ON p.id = r.point_id"
            " WHERE p.device = 'tank-2' AND p.quantity = 'sample-ordinal' AND r.value = %s",
            float(ordinal),
        )
        assert len(stored) == 1
        ((point, taken_us),) = stored
        # 6: judged. The kernel's image of the stream has seen it: the packed latest comes from there.
        park.wait(lambda: _time_us(park.latest("gw-1/tank-2/sample-ua")) >= taken_us, "the sample in the image", 5)

        # 8: published by the worker; 9: on the live stream, with the very same time and value.
        def heard() -> bool:
            live.take()
            return any((point, taken_us, float(ordinal)) in _values(message) for message in live.messages)

        # A newer one may have taken its place before the stream's next message.
        park.wait(lambda: heard() or any(_is_newer(message, point, taken_us) for message in live.messages), "it live")
    # The ack came back: the outbox has let it go.
    gateway = park.wait(lambda: _gateway(park, depth=32), "an outbox that empties")
    assert gateway["online"]
    assert gateway["has_owner"]


def _stands_still(park: WholePark) -> tuple[float, ...] | None:
    """What the meter shows, once the fault has taken hold of it."""
    before = _ask_meter(park)
    time.sleep(0.6)
    return before if _ask_meter(park) == before else None


def _time_us(item: Mapping[str, Any]) -> int:
    return round(datetime.fromisoformat(item["time"]).timestamp() * 1e6)


def _values(message: Mapping[str, Any]) -> set[tuple[int, int, float]]:
    if message["kind"] not in {"snapshot", "values"}:
        return set()
    return set(zip(message["point"], message["time_us"], message["value"], strict=True))


def _is_newer(message: Mapping[str, Any], point: int, taken_us: int) -> bool:
    return any(one == point and at > taken_us for one, at, _ in _values(message))


def _gateway(park: WholePark, depth: int) -> dict[str, Any] | None:
    (gateway,) = park.client("operator").get("/api/v1/gateways").json()["items"]
    return gateway if gateway["depth"] is not None and gateway["depth"] < depth else None


def test_nobody_anonymous_sees_anything(park: WholePark) -> None:
    stranger = park.stranger()
    paths = ["points", "latest", "alarms", "gateways", "dead-letters", "status", "session", "openapi.json", "gaps"]
    for path in (*paths, "history?point=1&start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"):
        answer = stranger.get(f"/api/v1/{path}")
        assert answer.status_code == 401, f"{path}: {answer.text}"
    for path in ("alarms/1/acknowledge", "alarms/1/reset"):
        assert stranger.post(f"/api/v1/{path}").status_code == 401
    with pytest.raises(InvalidStatus) as refused, connect(f"{park.park.base_url.replace('http', 'ws', 1)}/api/v1/live"):
        pass
    assert refused.value.response.status_code in {401, 403}
    assert stranger.get("/health").status_code == 200


def test_an_enterprise_sees_its_own_and_a_regulator_what_is_granted(park: WholePark) -> None:
    visible = {person: _owners(park.client(person)) for person in ("operator", "chem", "regulator")}
    assert visible["operator"] == {None, "chem", "alloy", "food", "heat"}
    assert visible["chem"] == {"chem"}
    assert visible["regulator"] == {"chem", "alloy"}
    foreign = park.latest("gw-1/heat-electricity/active-power")
    assert foreign["value"] is not None
    span = {"start": "2026-01-01T00:00:00Z", "end": "2036-01-01T00:00:00Z", "point": foreign["point"]}
    for person in ("chem", "regulator"):
        client = park.client(person)
        answer = client.get("/api/v1/latest", params={"point": foreign["point"]})
        assert answer.json()["items"] == []
        assert client.get("/api/v1/history", params=span).status_code == 404
        assert client.get("/api/v1/gateways").status_code == 403
        assert client.get("/api/v1/dead-letters").status_code == 403
        with park.live(person) as live:
            park.wait(lambda live=live: len(live.messages) > 1 or (live.take() and None), "live values", 5)
            points = {point for message in live.messages for point, _, _ in _values(message)}
        own = {item["point"] for item in client.get("/api/v1/latest", params={"limit": 1000}).json()["items"]}
        assert points
        assert points <= own
    (reads,) = park.rows("SELECT count(*) FROM audit WHERE actor = 'regulator'")[0]
    assert reads > 0, "what a regulator reads is in the audit trail"


def _owners(client: httpx.Client) -> set[str | None]:
    items = client.get("/api/v1/points", params={"limit": 1000}).json()["items"]
    return {item["asset"]["owner"] and item["asset"]["owner"]["key"] for item in items if item["asset"]}


@pytest.fixture(scope="module")
def troubled(park: WholePark) -> WholePark:
    """The park with three devices in trouble at once: a sensor, a dead meter, a meter that was set up wrongly."""
    assert park.latest(DEAD)["quality_name"] == "good"
    park.sim("fault", "offline", "alloy-furnace-1")
    park.sim("fault", "nan", "park-water/flow")
    park.sim("fault", "wrong-word-order", "chem-electricity")
    return park


def test_a_sensor_without_a_value_is_bad_and_never_the_last_good_one(troubled: WholePark) -> None:
    bad = troubled.wait(lambda: _bad(troubled, "gw-1/park-water/flow"), "a bad reading", 8)
    assert bad["value"] is None
    assert troubled.latest("gw-1/park-water/volume")["quality_name"] == "good", "the device's other points go on"


def _bad(park: WholePark, key: str) -> dict[str, Any] | None:
    item = park.latest(key)
    return item if item["quality_name"].startswith("bad") else None


def test_turned_words_are_not_taken_for_good_silently(troubled: WholePark) -> None:
    """As after a meter was exchanged and set up wrongly: numbers come, and their quality says what they are worth."""
    names = [point["key"] for point in _points_of(troubled, "chem-electricity")]

    def suspects() -> list[str]:
        shown = [troubled.latest(key) for key in names]
        return [item["quality_name"] for item in shown if not item["quality_name"].startswith("good")]

    troubled.wait(lambda: len(suspects()) >= len(names) // 2, "suspect readings", 8)
    assert set(suspects()) <= {"uncertain_range_exceeded", "bad_nonsense"}


def test_a_device_that_is_offline_is_bad_and_the_others_go_on(troubled: WholePark) -> None:
    park = troubled
    bad = park.wait(lambda: _bad(park, DEAD), "a bad reading", 8)
    assert (bad["value"], bad["quality_name"]) == (None, "bad_no_answer")

    # It is asked more and more rarely; what the API shows is never older than a stale limit all the same.
    def alarmed() -> list[dict[str, Any]]:
        mine, neighbour = park.latest(DEAD), park.latest(DEAD.replace("furnace-1", "furnace-2"))
        assert (mine["value"], neighbour["quality_name"]) == (None, "good")
        assert _age_s(mine) < 4.0
        assert _age_s(neighbour) < 4.0, "it shares the line with the dead one"
        return park.alarms("meter-bad", "alloy-furnace-1")

    (alarm,) = park.wait(alarmed, "the meter's alarm", 12)
    assert (alarm["state"], alarm["priority"]) == ("unacknowledged", "low")


def test_all_is_good_again_after_the_trouble(troubled: WholePark) -> None:
    troubled.sim("fault", "clear", "all")
    for key in (DEAD, "gw-1/park-water/flow", "gw-1/chem-electricity/active-energy"):
        troubled.wait(lambda key=key: troubled.latest(key)["quality_name"] == "good", f"good readings of {key}", 20)


def _points_of(park: WholePark, device: str) -> list[dict[str, Any]]:
    """What is read from a device; not what is derived from it."""
    items = park.client("operator").get("/api/v1/points", params={"asset": device, "limit": 1000}).json()
    read = [item for item in items["items"] if "." not in item["name"]]
    return [item for item in read if item["quantity"]["id"] != "sample-ordinal"]


def test_the_journal_is_what_the_stored_readings_give(park: WholePark) -> None:
    """After all of the above: the alarms' journal, held against a replay of the readings one by one."""
    with park.database() as connection:
        judged = judge_journal(connection)
    assert judged.recorded > 0
    assert (judged.spurious, judged.missing) == ([], [])
