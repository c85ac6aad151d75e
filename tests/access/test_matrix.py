"""Every route x role x owner against the running application: what the policy says is what happens, and nothing leaks.

The table says how far a role reaches. Here stands, by hand, what that means for the three owners of what was planted.
"""

from collections.abc import Callable

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from park_platform.access.policy import POLICY, Reach, Route
from park_platform.api.answers import iso
from park_platform.storage.people import Role
from park_wire import cbor
from support.serving import CANARY, NOW_US, OWNERS, Planted, Served

SEEN = {
    Reach.ALL: {"alpha", "beta", "park"},
    # The person in role enterprise is of alpha, and the regulator's grant is for alpha.
    Reach.OWN: {"alpha"},
    Reach.GRANTED: {"alpha"},
}
# What an answer of a list must not hold of an owner who is not seen, and must hold of one who is.
TRACES: dict[str, Callable[[str, Planted], str]] = {
    "/api/v1/points": lambda owner, _: CANARY[owner],
    "/api/v1/latest": lambda owner, _: CANARY[owner],
    "/api/v1/events": lambda owner, _: CANARY[owner],
    "/api/v1/alarms": lambda owner, _: CANARY[owner],
    "/api/v1/gaps": lambda owner, _: CANARY[owner],
    "/api/v1/quarantine": lambda owner, _: CANARY[owner],
    "/api/v1/gateways": lambda owner, _: CANARY[owner],
    "/api/v1/park": lambda owner, _: CANARY[owner],
    "/api/v1/devices": lambda owner, _: CANARY[owner],
    "/api/v1/systems/{system}/pages/{page}": lambda owner, _: f'"{owner}/plc-{CANARY[owner]}/pressure"',
    "/api/v1/reports/{system}/{report}": lambda owner, _: f'"tank-{owner}"',
    "/api/v1/dead-letters": lambda owner, _: CANARY[owner],
    "/api/v1/completeness": lambda owner, _: f'"{owner}/plc-{CANARY[owner]}/pressure"',
    "/api/v1/conflicts": lambda _, planted: f'"point":{planted.point},',
    "/api/v1/status": lambda _, planted: f'"{planted.stream}"',
}
# What a list has to be asked with.
ASKED: dict[str, dict[str, str | int]] = {
    "/api/v1/completeness": {"by": "point", "start": iso(NOW_US - 60_000_000), "end": iso(NOW_US)},
}
FILLED = {
    "{system}": "trial",
    "{page}": "overview",
    "{report}": "happened",
    "{register}": "factors",
    "{row_id}": "1",
    "{step}": "file",
}
# Who may read and write a register, the register itself says: tests/api/test_registers.py has its own matrix.
REGISTERS = {route for route in POLICY.reaches if route[1].startswith("/api/v1/registers/")}
OF_ONE: dict[Route, Callable[[Planted], tuple[str, dict[str, str | int]]]] = {
    ("GET", "/api/v1/alarms/{alarm_id}"): lambda planted: (f"/api/v1/alarms/{planted.alarm}", {}),
    ("POST", "/api/v1/alarms/{alarm_id}/acknowledge"): lambda p: (f"/api/v1/alarms/{p.alarm}/acknowledge", {}),
    ("POST", "/api/v1/alarms/{alarm_id}/reset"): lambda planted: (f"/api/v1/alarms/{planted.alarm}/reset", {}),
    ("GET", "/api/v1/dead-letters/{letter_id}/payload"): lambda _: ("/api/v1/dead-letters/1/payload", {}),
    ("GET", "/api/v1/history"): lambda planted: (
        "/api/v1/history",
        {"point": planted.point, "start": iso(NOW_US - 60_000_000), "end": iso(NOW_US)},
    ),
}
SELF = [route for route, cells in POLICY.reaches.items() if set(cells.values()) == {Reach.SELF}]


@pytest.fixture(scope="module", autouse=True)
def minutes(served: Served) -> None:
    """Each owner's point has a minute of readings."""
    with served.park.connection() as admin:
        admin.execute("SELECT make_partition('rollup_1m', at_us(%s))", (NOW_US,))
        for planted in served.planted.values():
            admin.execute(
                """
                INSERT INTO rollup_1m (bucket, point_id, count, good_count, good_seconds, flags)
                VALUES (date_trunc('minute', at_us(%s)), %s, 60, 60, 60, 0)
                """,
                (NOW_US - 1_000_000, planted.point),
            )


def cells(*, refused: bool) -> list[tuple[Route, Role]]:
    return [
        (route, role)
        for route, reaches in sorted(POLICY.reaches.items())
        for role, reach in reaches.items()
        if (reach is Reach.REFUSED) == refused and route not in SELF and route not in REGISTERS and route[0] != "LIVE"
    ]


def test_every_route_is_tried() -> None:
    tried = {("GET", path) for path in TRACES} | set(OF_ONE) | set(SELF) | {("GET", "/api/v1/audit")}
    assert set(POLICY.reaches) == tried | REGISTERS | {("LIVE", "/api/v1/live")}


@pytest.mark.parametrize("route", sorted(POLICY.routes - POLICY.open_routes))
def test_nobody_comes_in_without_a_session(served: Served, route: Route) -> None:
    method, path = route
    with served.anonymous() as client:
        if method == "LIVE":
            with pytest.raises(InvalidStatus) as refused, served.live(None):
                pass
            assert refused.value.response.status_code == 401
            return
        target = filled(path.replace("{alarm_id}", "1").replace("{letter_id}", "1"))
        for headers in ({}, {"Cookie": "park=wrong", "X-CSRF-Token": "x"}):
            answer = client.request(method, target, headers=headers)
            assert answer.status_code == 401, (route, headers, answer.text)
            assert answer.json()["code"] == "sign-in-needed"


@pytest.mark.parametrize(("route", "role"), cells(refused=True), ids=str)
def test_a_refused_cell_is_refused_for_every_owner(served: Served, route: Route, role: Role) -> None:
    for owner in OWNERS if route in OF_ONE else OWNERS[:1]:
        answer = ask(served, route, role, served.planted[owner])
        assert answer.status_code == 403, answer.text
        assert answer.json()["code"] == "not-allowed"
        assert "canary" not in answer.text


@pytest.mark.parametrize(("route", "role"), cells(refused=False), ids=str)
def test_an_allowed_cell_shows_what_it_reaches_and_no_more(served: Served, route: Route, role: Role) -> None:
    path = route[1]
    seen = SEEN[POLICY.reaches[route][role]]
    if path in TRACES:
        text = ask(served, route, role, served.planted["park"]).text
        for owner in OWNERS:
            trace = TRACES[path](owner, served.planted[owner])
            assert (trace in text) == (owner in seen), (route, role, owner, text[:500])
            if owner not in seen:
                assert CANARY[owner] not in text
        return
    for owner in OWNERS:
        answer = ask(served, route, role, served.planted[owner])
        assert (answer.status_code in (200, 202, 409)) == (owner in seen), (owner, answer.text)
        if owner not in seen:
            assert answer.status_code == 404
            assert "canary" not in answer.text


@pytest.mark.parametrize("role", Role)
def test_the_live_stream_shows_what_the_role_reaches(served: Served, role: Role) -> None:
    reach = POLICY.reaches[("LIVE", "/api/v1/live")][role]
    if reach is Reach.REFUSED:
        with pytest.raises(InvalidStatus) as refused, served.live(role.value):
            pass
        assert refused.value.response.status_code == 403
        return
    with served.live(role.value) as stream:
        message = cbor.decode(bytes(stream.recv(timeout=5, decode=False)))
        while not len(message["point"]):
            message = cbor.decode(bytes(stream.recv(timeout=5, decode=False)))
    assert list(message["point"]) == sorted(served.planted[owner].point for owner in SEEN[reach])


@pytest.mark.parametrize("filters", [{"enterprise": "beta"}, {"asset": "tank-beta"}, {"text": "canary-beta"}])
@pytest.mark.parametrize("role", ["enterprise", "regulator"])
def test_a_filter_reaches_no_further(served: Served, role: str, filters: dict[str, str]) -> None:
    for path in ("/api/v1/points", "/api/v1/latest"):
        answer = served.client(role).get(path, params=filters)
        assert answer.json()["items"] == []
        assert answer.json() == served.client(role).get(path, params={"enterprise": "nobody"}).json()
    beta = served.planted["beta"].point
    assert served.client(role).get("/api/v1/latest", params={"point": beta}).json()["items"] == []
    assert served.client(role).get("/api/v1/alarms", params={"point": beta}).json()["items"] == []


def test_names_and_counts_that_belong_to_the_park_stay_there(served: Served) -> None:
    alarm = served.planted["alpha"].alarm
    done = served.client("safety").post(f"/api/v1/alarms/{alarm}/acknowledge", json={"note": "internal"})
    assert done.status_code == 200, done.text
    inside = served.client("operator").get(f"/api/v1/alarms/{alarm}").json()
    assert inside["acked_by"] is not None
    assert [line["actor"] for line in inside["journal"] if line["kind"] == "acknowledged"] == [inside["acked_by"]]
    for role in ("enterprise", "regulator"):
        outside = served.client(role).get(f"/api/v1/alarms/{alarm}").json()
        assert outside["acked_at"] == inside["acked_at"]
        assert outside["acked_by"] is None
        assert {(line["actor"], line["note"]) for line in outside["journal"]} == {(None, None)}
        assert [gap["n"] for gap in served.client(role).get("/api/v1/gaps").json()["items"]] == [None]


def ask(served: Served, route: Route, role: Role, planted: Planted) -> httpx.Response:
    method, path = route
    target, parameters = OF_ONE[route](planted) if route in OF_ONE else (filled(path), ASKED.get(path, {}))
    return served.client(role.value).request(method, target, params=parameters)


def filled(path: str) -> str:
    for hole, value in FILLED.items():
        path = path.replace(hole, value)
    return path
