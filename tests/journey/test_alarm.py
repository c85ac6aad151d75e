"""An over-pressure from the vessel to the people and back: raised, acknowledged, returned, reset (ISA-18.2)."""

from typing import Any

from park_platform.storage.journal import verify
from support.park import WholePark
from support.truth import judge_journal

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


def test_a_vessel_without_a_value_alarms_and_comes_back(park: WholePark) -> None:
    """A failed sensor is no normal pressure: bad quality is an alarm of its own, and no limit is judged meanwhile."""
    park.sim("fault", "nan", "tank-1")
    (alarm,) = park.wait(lambda: park.alarms("vessel-bad", "tank-1"), "the alarm of the bad sensor", 15)
    assert (alarm["state"], alarm["priority"]) == ("unacknowledged", "high")
    assert park.latest("gw-1/tank-1/pressure")["value"] is None
    assert park.alarms(RULE, "tank-1") == []
    assert park.alarms("vessel-stale", "tank-1") == [], "its controller answers: it is bad, not silent"
    park.sim("fault", "clear", "tank-1")
    park.wait(lambda: _in_state(park, alarm["id"], "returned"), "the alarm to return", 20)
    park.client("operator").post(f"/api/v1/alarms/{alarm['id']}/acknowledge")
    assert _in_state(park, alarm["id"], "normal")


def test_a_vessel_whose_controller_is_silent_alarms_once(park: WholePark) -> None:
    park.sim("fault", "offline", "reactor-1")
    (alarm,) = park.wait(lambda: park.alarms("vessel-bad", "reactor-1"), "the alarm", 15)
    # Long enough for a second stale limit: the alarm stands, it does not come and go.
    park.rest(5.0)
    (alarm,) = park.alarms("vessel-bad", "reactor-1")
    assert (alarm["state"], alarm["times_raised"]) == ("unacknowledged", 1)
    assert park.alarms("vessel-stale", "reactor-1") == []
    park.sim("fault", "clear", "reactor-1")
    park.wait(lambda: _in_state(park, alarm["id"], "returned"), "the alarm to return", 20)


def test_the_journal_verifies_and_is_what_the_readings_give(park: WholePark) -> None:
    with park.database() as connection:
        for (stream,) in connection.execute("SELECT id FROM stream").fetchall():
            assert verify(connection, stream) is None
        judged = judge_journal(connection)
    assert judged.recorded >= 6
    assert (judged.spurious, judged.missing) == ([], [])
