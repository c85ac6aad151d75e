"""The park, its devices, the enabled systems and their pages through the API."""

import re
from typing import Any

import numpy as np
import pytest

from park_platform.storage.latest import pack_image
from park_sdk.frame import Image
from support.serving import CANARY, NOW_US, Served, wait_until
from support.trial_system import MISSING_KEY, PARK, TRIAL

ROLES = ("administrator", "operator", "safety", "enterprise", "regulator", "auditor")


def page(served: Served, role: str, name: str = "overview") -> dict[str, Any]:
    answer = served.client(role).get(f"/api/v1/systems/trial/pages/{name}")
    assert answer.status_code == 200, answer.text
    return answer.json()


# the park -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plan(served: Served) -> None:
    """Zones, places and feeders: beta's tank hangs on the park's, and stands with alpha's in one zone."""
    with served.park.connection() as admin:
        admin.execute(
            """
            INSERT INTO zone (key, name_zh, name_en, outline) VALUES
              ('east', '东区', 'East', '[[107.1, 39.1], [107.2, 39.1], [107.2, 39.2]]'), ('west', '西区', 'West', '[]')
            """
        )
        admin.execute("UPDATE installation SET park_key = 'sample', name_zh = '示范园', name_en = 'Sample'")
        admin.execute(
            """
            UPDATE asset SET zone_id = (SELECT id FROM zone WHERE key = 'east'), longitude = 107.15, latitude = 39.15,
                             fed_from_id = (SELECT id FROM asset WHERE key = 'tank-park') WHERE key <> 'tank-park'
            """
        )


@pytest.mark.usefixtures("plan")
def test_the_whole_park(served: Served) -> None:
    told = served.client("operator").get("/api/v1/park").json()
    assert (told["id"], told["name"], told["time_zone"]) == (
        "sample",
        {"zh": "示范园", "en": "Sample"},
        "Asia/Shanghai",
    )
    assert [(zone["key"], len(zone["outline"])) for zone in told["zones"]] == [("east", 3), ("west", 0)]
    assert told["zones"][0]["outline"][0] == [107.1, 39.1]
    assert [each["key"] for each in told["enterprises"]] == ["alpha", "beta"]
    alpha, beta, park = told["assets"]
    assert (alpha["key"], alpha["kind"], alpha["zone"]) == ("tank-alpha", "pressure-vessel", "east")
    assert (beta["enterprise"], beta["at"], beta["fed_from"]) == ("beta", [107.15, 39.15], "tank-park")
    assert (park["enterprise"], park["at"], park["zone"], park["fed_from"]) == (None, None, None, None)


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize("role", ["enterprise", "regulator"])
def test_a_part_of_the_park(served: Served, role: str) -> None:
    told = served.client(role).get("/api/v1/park").json()
    assert [zone["key"] for zone in told["zones"]] == ["east"]
    assert [each["key"] for each in told["enterprises"]] == ["alpha"]
    # What feeds it belongs to somebody else, so it is not told.
    assert [(asset["key"], asset["fed_from"]) for asset in told["assets"]] == [("tank-alpha", None)]


def test_devices_that_no_asset_names(served: Served) -> None:
    client = served.client("operator")
    with served.park.connection() as admin:
        stream = served.planted["beta"].stream_id
        points = [
            row[0]
            for row in admin.execute(
                """
                INSERT INTO point (stream_id, device, name, quantity, unit, low, high, period_ms, max_age_ms, gone_at)
                SELECT %s, 'new', 'p' || n, 'pressure', 'MPa', 0, 1, 1000, 3000, CASE n WHEN 3 THEN now() END
                FROM generate_series(1, 3) n RETURNING id
                """,
                (stream,),
            )
        ]
        admin.execute(
            "INSERT INTO device (stream_id, key, asset_id) SELECT %s, 'awaited', min(id) FROM asset", (stream,)
        )
        image = Image(np.array(points[:2], np.int32), np.array([NOW_US, NOW_US - 5]), np.ones(2), np.zeros(2, np.int16))
        admin.execute("UPDATE latest_pack SET packed = %s WHERE stream_id = %s", (pack_image(image), stream))
    try:
        told = client.get("/api/v1/devices", params={"assigned": "false"}).json()
        [new] = told["devices"]
        assert (new["gateway"], new["device"], new["asset"], new["points"]) == ("beta", "new", None, 2)
        assert new["heard_at"].endswith("Z")
        assert told["next"] is None
        everything = client.get("/api/v1/devices").json()["devices"]
        assert [each["device"] for each in everything if each["gateway"] == "beta"] == [
            *("awaited", "new", f"plc-{CANARY['beta']}")
        ]
        awaited = next(each for each in everything if each["device"] == "awaited")
        assert (awaited["points"], awaited["heard_at"], awaited["asset"]) == (0, None, "tank-alpha")
        given = client.get("/api/v1/devices", params={"assigned": "true"}).json()["devices"]
        assert [each for each in everything if each["asset"]] == given
        gathered: list[dict[str, Any]] = []
        cursor = None
        for _ in range(10):
            params: dict[str, Any] = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
            part = client.get("/api/v1/devices", params=params).json()
            gathered += part["devices"]
            cursor = part["next"]
            if cursor is None:
                break
        assert gathered == everything
    finally:
        with served.park.connection() as admin:
            admin.execute("DELETE FROM device WHERE key = 'awaited'")
            admin.execute("DELETE FROM point WHERE device = 'new'")


# systems --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_a_system_shows_what_the_role_may_open(served: Served, role: str) -> None:
    [told] = served.client(role).get("/api/v1/systems").json()["systems"]
    assert (told["id"], told["name"], told["state"], told["fault"]) == (
        *("trial", {"zh": "试用系统", "en": "Trial system"}, "running", None),
    )
    inner = ["inner"] if role in PARK else []
    assert [each["id"] for each in told["pages"]] == ["overview", *inner, "crooked"]
    assert ("inner" in [each["id"] for each in told["reports"]]) == (role in PARK)
    assert told["registers"] == [{"id": "factors", "name": {"zh": "系数", "en": "Factors"}}]
    for kind in ("pages", "reports"):
        for name in ("inner", "none"):
            answer = served.client(role).get(
                f"/api/v1/{'systems/trial/pages' if kind == 'pages' else 'reports/trial'}/{name}"
            )
            expected = 404 if name == "none" else 200 if role in PARK else 403
            assert answer.status_code == expected, (kind, name, answer.text)


def test_a_system_that_is_not_enabled_has_no_pages(served: Served) -> None:
    for path in ("systems/other/pages/overview", "reports/other/month", "reports/other/month/schema"):
        answer = served.client("operator").get(f"/api/v1/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def test_a_fenced_derivation_is_told_and_why_only_within_the_park(served: Served) -> None:
    with served.park.connection() as admin:
        admin.execute(
            "INSERT INTO derivation_fault (stream_id, system, derivation, reason) "
            "VALUES (%s, 'trial', 'load', 'secret')",
            (served.planted["beta"].stream_id,),
        )
    try:
        for role in ROLES:
            [told] = served.client(role).get("/api/v1/systems").json()["systems"]
            assert told["state"] == "fenced"
            assert ("secret" in told["fault"]["zh"] and "load" in told["fault"]["en"]) == (role in PARK)
            assert "secret" not in told["fault"]["en"] or role in PARK
    finally:
        with served.park.connection() as admin:
            admin.execute("DELETE FROM derivation_fault")


def test_systems_follow_the_park_s_configuration(served: Served) -> None:
    def systems() -> dict[str, Any]:
        return {each["id"]: each for each in served.client("operator").get("/api/v1/systems").json()["systems"]}

    def change(statement: str) -> None:
        with served.park.connection() as admin:
            admin.execute(statement.encode())
            admin.execute("UPDATE installation SET config_seq = config_seq + 1")

    change("""UPDATE system SET settings = '{"unit_price": "much"}'""")
    try:
        wait_until(lambda: systems()["trial"]["state"] == "fenced", "wrong settings")
        told = systems()["trial"]
        assert "system.trial.unit_price" in told["fault"]["en"]
        assert told["pages"] == []
        assert served.client("enterprise").get("/api/v1/systems").json() == {"systems": []}
        assert served.client("operator").get("/api/v1/systems/trial/pages/overview").status_code == 404
        change("INSERT INTO system (key) VALUES ('absent')")
        wait_until(lambda: "absent" in systems(), "a system that is not installed")
        assert "is not installed" in systems()["absent"]["fault"]["en"]
        assert systems()["absent"]["name"] == {"zh": "absent", "en": "absent"}
    finally:
        change("DELETE FROM system WHERE key = 'absent'")
        change("UPDATE system SET settings = '{}'")
    wait_until(lambda: list(systems()) == ["trial"] and systems()["trial"]["state"] == "running", "the system again")


# pages ----------------------------------------------------------------------------------------------------------------


def test_a_page_is_its_widgets_with_their_points(served: Served) -> None:
    told = page(served, "operator")
    assert (told["system"], told["id"], told["name"]) == ("trial", "overview", {"zh": "总览", "en": "Overview"})
    values, trend, bars, gauges, map_, alarms, events, register, report = told["widgets"]
    kinds = ["values", "trend", "bars", "gauges", "map", "alarms", "events", "register", "report"]
    assert [widget["kind"] for widget in told["widgets"]] == kinds
    assert all(widget["title"] == {"zh": "标题", "en": "Title"} for widget in told["widgets"])
    points = {point["id"]: point for point in served.client("operator").get("/api/v1/points").json()["items"]}
    assert values["found"] == sorted(points.values(), key=lambda point: point["asset"]["key"])
    assert values["points"] == {"quantities": ["pressure"], "kinds": [], "keys": [], "names": []}
    assert (values["missing"], trend["hours"], bars["step"], bars["steps"]) == ([], 2.0, "day", 7)
    assert [gauges[name] for name in ("low", "high", "warn", "alarm")] == [0.0, 4.0, None, 1.6]
    assert len(gauges["found"]) == 3
    assert (map_["kinds"], map_["found"], alarms["quantities"]) == (["truck"], [], ["pressure"])
    assert (events["event"], events["columns"]) == ("notice", [["text", {"zh": "内容", "en": "Text"}]])
    assert (register["register"], report["report"]) == ("factors", "month")


def test_a_page_says_which_of_its_points_are_missing(served: Served) -> None:
    _, trend, bars, _, map_, *_ = page(served, "operator")["widgets"]
    assert [point["key"] for point in trend["found"]] == [f"alpha/plc-{CANARY['alpha']}/pressure"]
    assert trend["missing"] == [
        {
            "zh": f"没有测点 {MISSING_KEY}，或您无权查看。",
            "en": f"There is no point {MISSING_KEY}, or you may not see it.",
        }
    ]
    assert bars["found"] == []
    [sentence] = bars["missing"]
    assert (
        sentence["zh"]
        == "没有符合条件的测点（物理量：正向有功电能；资产类型：steam-meter；测点名：total），或您无权查看。"
    )
    assert sentence["en"] == (
        "No point matches (quantity: Active energy, import; kind of asset: steam-meter; name: total), "
        "or you may not see it."
    )
    assert len(map_["missing"]) == 1


def test_somebody_else_s_point_is_missing_like_one_that_does_not_exist(served: Served) -> None:
    own = page(served, "enterprise")
    assert [point["asset"]["owner"]["key"] for point in own["widgets"][0]["found"]] == ["alpha"]
    with served.signed_in("neighbour") as client:
        told = client.get("/api/v1/systems/trial/pages/overview").json()
    assert told["widgets"][1]["found"] == []
    hidden, absent = told["widgets"][1]["missing"]
    assert re.sub("point .*?,", "point X,", hidden["en"]) == re.sub("point .*?,", "point X,", absent["en"])


def test_a_point_that_is_read_no_more_is_not_on_the_page(served: Served) -> None:
    planted = served.planted["alpha"].point
    with served.park.connection() as admin:
        admin.execute("UPDATE point SET gone_at = now() WHERE id = %s", (planted,))
        try:
            trend = page(served, "operator")["widgets"][1]
        finally:
            admin.execute("UPDATE point SET gone_at = NULL WHERE id = %s", (planted,))
    assert (trend["found"], len(trend["missing"])) == ([], 2)


def test_a_wrong_widget_is_told_in_its_place_and_logged_once(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        *wrong, sound = page(served, "operator", "crooked")["widgets"]
        assert [widget["kind"] for widget in wrong] == ["fault"] * 4
        assert wrong[0]["title"] == {"zh": "标题", "en": "Title"}
        assert "logged" in wrong[0]["fault"]["en"]
        assert (sound["kind"], len(sound["found"])) == ("values", 3)
    printed = capsys.readouterr().out
    for number, reason in enumerate(("hours", "points", "names", "Unknown"), 1):
        lines = [line for line in printed.splitlines() if f"trial/crooked/{number}" in line]
        assert len(lines) == 1
        assert reason in lines[0]


def test_too_many_points_are_said(served: Served) -> None:
    with served.park.connection() as admin:
        admin.execute(
            """
            INSERT INTO point (stream_id, device, name, quantity, unit, low, high, period_ms, max_age_ms)
            SELECT %s, 'many', 'p' || n, 'pressure', 'MPa', 0, 1, 1000, 3000 FROM generate_series(1, 1000) n
            """,
            (served.planted["park"].stream_id,),
        )
        try:
            values = page(served, "operator")["widgets"][0]
        finally:
            admin.execute("DELETE FROM point WHERE device = 'many'")
    assert len(values["found"]) == 1_000
    assert values["missing"] == [
        {"zh": "测点过多，只显示前 1000 个。", "en": "Too many points: the first 1000 are shown."}
    ]


def test_the_trial_system_keeps_the_contract(served: Served) -> None:
    schema = served.client("operator").get("/api/v1/openapi.json").json()
    kinds = schema["components"]["schemas"]["PageAnswer"]["properties"]["widgets"]["items"]["discriminator"]["mapping"]
    assert {"values", "trend", "bars", "gauges", "map", "alarms", "events", "register", "report", "fault"} == set(kinds)
    assert len(TRIAL.pages[0].widgets) == len(kinds) - 1
