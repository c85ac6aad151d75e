"""An over-pressure from the vessel to the people and back: raised, acknowledged, returned, reset (ISA-18.2)."""

import os
import time
from datetime import datetime
from signal import SIGKILL
from typing import Any
from urllib.parse import urlsplit

from park_platform.storage.connect import Connection
from park_platform.storage.journal import verify
from park_platform.supervise import NotRestarted
from support.park import WholePark, taken
from support.truth import Account, account, judge_journal

RULE = "vessel-pressure-hh"
VESSEL = "tank-2"
LIMIT_MPA = 0.9 * 1.77


def _journal(park: WholePark, alarm: int) -> list[dict[str, Any]]:
    return park.client("safety").get(f"/api/v1/alarms/{alarm}").json()["journal"]


def _in_state(park: WholePark, alarm: int, state: str) -> bool:
    return park.client("safety").get(f"/api/v1/alarms/{alarm}").json()["state"] == state


def test_over_pressure_is_raised_acknowledged_and_reset(park: WholePark) -> None:
    safety = park.client("safety")
    with park.live("safety") as live:
        park.sim("fault", "over-pressure", VESSEL, "--magnitude", "0.1")
        (alarm,) = park.wait(lambda: park.alarms(RULE, VESSEL, "safety"), "the alarm at the API", 40)
        assert (alarm["state"], alarm["priority"]) == ("unacknowledged", "critical")
        assert alarm["raised_value"] > alarm["limit"]
        assert abs(alarm["limit"] - LIMIT_MPA) < 1e-9
        assert alarm["enterprise"]["key"] == "chem"
        assert all(
            alarm["rule"][text][language] for text in ("cause", "consequence", "action") for language in ("zh", "en")
        )
        (line,) = park.wait(lambda: live.lines("raised", RULE), "the alarm on the live stream", 5)
        assert line["alarm"] == alarm["id"]
        # The lower limit was passed on the way; its delay of a second may end a little later.
        park.wait(lambda: len(park.alarms("vessel-pressure-h", VESSEL)) == 1, "the alarm of the lower limit", 5)

        # Its owner sees it and can't take it from the park's people; nobody else is told of it.
        assert len(park.alarms(RULE, VESSEL, "chem")) == 1
        act = f"/api/v1/alarms/{alarm['id']}"
        assert park.client("chem").post(f"{act}/acknowledge").status_code == 403
        assert park.client("regulator").post(f"{act}/acknowledge").status_code == 403

        assert safety.post(f"{act}/acknowledge", json={"note": "现场已确认"}).json()["state"] == "acknowledged"
        park.wait(lambda: live.lines("acknowledged", RULE), "the acknowledgement on the live stream", 5)
        too_early = safety.post(f"{act}/reset")
        assert too_early.status_code == 409, "a reset before the pressure has gone down changes nothing"

        park.sim("fault", "clear", VESSEL)
        park.wait(lambda: _in_state(park, alarm["id"], "latched_acknowledged"), "the pressure to return", 40)
        assert safety.post(f"{act}/reset", json={"note": "安全阀已检查"}).status_code == 202
        park.wait(lambda: _in_state(park, alarm["id"], "normal"), "the alarm to close", 10)
        park.wait(lambda: live.lines("reset", RULE), "the reset on the live stream", 5)

    journal = _journal(park, alarm["id"])
    assert [entry["kind"] for entry in journal] == ["raised", "acknowledged", "cleared", "reset"]
    assert [entry["actor"] for entry in journal][:3] == [None, "safety", None]
    assert [entry["note"] for entry in journal][1] == "现场已确认"
    assert [entry["at"] for entry in journal] == sorted(entry["at"] for entry in journal)
    # Its owner may read it, but not who in the park did what.
    seen = park.client("chem").get(f"/api/v1/alarms/{alarm['id']}").json()
    assert [entry["kind"] for entry in seen["journal"]] == ["raised", "acknowledged", "cleared", "reset"]
    assert {entry["actor"] for entry in seen["journal"]} == {None}


def test_a_vessel_without_a_value_alarms_once(park: WholePark) -> None:
    """A failed sensor or a silent controller is no normal pressure: it alarms until it is back, without flicker."""
    vessels = {"tank-1": ("nan", "tank"), "reactor-1": ("offline", "reactor")}
    for vessel, (fault, _) in vessels.items():
        park.sim("fault", fault, vessel)
    for vessel, (_, kind) in vessels.items():
        (alarm,) = park.wait(lambda v=vessel, k=kind: park.alarms(f"{k}-bad", v), f"the alarm of {vessel}", 15)
        assert (alarm["state"], alarm["priority"]) == ("unacknowledged", "high")
        assert park.latest(f"gw-1/{vessel}/pressure")["value"] is None
    # Longer than the stale limit: the gateway goes on saying that it gets nothing.
    park.rest(4.0)
    ids: list[int] = []
    for vessel, (_, kind) in vessels.items():
        (alarm,) = park.alarms(f"{kind}-bad", vessel)
        ids.append(alarm["id"])
        assert (alarm["state"], alarm["times_raised"]) == ("unacknowledged", 1)
        assert park.alarms(f"{kind}-stale", vessel) == []
        assert park.alarms(RULE, vessel) == []
    park.sim("fault", "clear", "all")
    for alarm_id in ids:
        park.wait(lambda alarm_id=alarm_id: _in_state(park, alarm_id, "returned"), "the alarm to return", 20)
    park.client("operator").post(f"/api/v1/alarms/{ids[0]}/acknowledge")
    assert _in_state(park, ids[0], "normal")


def test_an_alarm_while_everything_is_down_comes_with_its_own_time(park: WholePark) -> None:
    """Database and broker die and their ports are taken; then all that needs them starts anew and finds nothing."""
    for name in ("postgres", "broker"):
        _kill(park, name)
    places = [urlsplit(url).port or 0 for url in (park.park.database_url("owner"), park.park.broker_url("ingest"))]
    with taken(places[0]), taken(places[1]):
        park.rest(1.5)
        answer = park.client("operator").get("/api/v1/alarms")
        assert answer.status_code == 503
        assert "database-unavailable" in answer.json()["type"], answer.text
        for name in ("gateway", "ingest", "operate", "serve"):
            _kill(park, name)
        park.wait(lambda: park.stranger().get("/health").status_code == 503, "an API that says what is away", 15)
        park.sim("fault", "over-pressure", "tank-1", "--magnitude", "0.5")
        park.rest(4.0)
        refusals = [event.reason for event in park.events if isinstance(event, NotRestarted)]
        assert any(f"port {places[0]} " in reason and "choose another port" in reason for reason in refusals), refusals
        back_us = time.time_ns() // 1_000
    (alarm,) = park.wait(lambda: park.alarms(RULE, "tank-1"), "the alarm", 40)
    assert datetime.fromisoformat(alarm["raised_at"]).timestamp() * 1e6 < back_us, "it is dated when it happened"
    restarts = {child.name: child.restarts for child in park.park.supervisor.children()}
    assert restarts == {name: 1 for name in restarts if name != "sim"} | {"sim": 0}, "they wait, they don't end"
    park.sim("fault", "clear", "tank-1")
    with park.database() as connection:
        accounts = park.wait(lambda: _settled(park, connection), "everything that was accepted", 20)
    assert (accounts.double, accounts.gaps, accounts.conflicts, accounts.letters) == ([], 0, 0, 0)


def _kill(park: WholePark, name: str) -> None:
    pid = park.child(name).pid
    assert pid is not None
    os.kill(pid, SIGKILL)


def _settled(park: WholePark, connection: Connection) -> Account | None:
    found = account(connection, park.park.trace_file, park.folder / "sim")
    return None if found.lost else found


def test_the_journal_verifies_and_is_what_the_readings_give(park: WholePark) -> None:
    with park.database() as connection:
        for (stream,) in connection.execute("SELECT id FROM stream").fetchall():
            assert verify(connection, stream) is None
        judged = judge_journal(connection)
    assert judged.recorded >= 6
    assert (judged.spurious, judged.missing) == ([], [])
