"""The policy table as a text, and what it does to the start."""

import pytest
from fastapi import APIRouter

from park_platform.access.policy import POLICY, TABLE, Policy, Reach, read_policy
from park_platform.api.app import ROUTERS, create_app
from park_platform.api.settings import ServeSettings
from park_platform.storage.people import Role
from park_wire.errors import ConfigError

SETTINGS = ServeSettings.of("postgresql://nobody@127.0.0.1:1/x", "mqtt://serve:x@127.0.0.1:1", "http://127.0.0.1:1")
HEAD = "route administrator operator safety enterprise regulator auditor"


def test_nothing_is_anonymous_but_sign_in_health_and_the_console_s_files() -> None:
    assert POLICY.open_routes == {
        ("GET", "/health"),
        ("GET", "/"),
        ("GET", "/console/{path:path}"),
        ("GET", "/signin/{token}"),
        ("POST", "/signin/{token}"),
        ("POST", "/api/v1/session"),
    }


def test_only_the_park_s_people_change_something_but_rows_of_registers() -> None:
    changing = {
        route: {role for role, reach in cells.items() if reach not in (Reach.REFUSED, Reach.SELF)}
        for route, cells in POLICY.reaches.items()
        if route[0] not in ("GET", "LIVE")
    }
    parks = {Role.ADMINISTRATOR, Role.OPERATOR, Role.SAFETY}
    registers = {route for route in changing if route[1].startswith("/api/v1/registers/")}
    assert {frozenset(changing.pop(route)) for route in registers} == {frozenset({*parks, Role.ENTERPRISE})}
    assert {frozenset(roles) for roles in changing.values()} == {frozenset(parks), frozenset()}


def test_what_is_not_in_the_table_is_refused() -> None:
    assert POLICY.reach(("GET", "/api/v1/secrets"), Role.ADMINISTRATOR) is Reach.REFUSED
    assert POLICY.reach(("GET", "/api/v1/points"), None) is Reach.REFUSED


def test_a_route_without_a_row_stops_the_start() -> None:
    router = APIRouter()

    @router.get("/api/v1/forgotten")
    def forgotten() -> None: ...

    @router.websocket("/api/v1/forgotten-live")
    async def forgotten_live() -> None: ...

    with pytest.raises(ConfigError) as raised:
        create_app(SETTINGS, routers=(*ROUTERS, router))
    text = str(raised.value)
    assert "GET /api/v1/forgotten: the route has no row" in text
    assert "LIVE /api/v1/forgotten-live: the route has no row" in text
    assert len(raised.value.faults) == 2


def test_a_row_without_a_route_stops_the_start() -> None:
    policy = read_policy(TABLE + "DELETE /api/v1/points all - - - - -\n")
    with pytest.raises(ConfigError, match="DELETE /api/v1/points: the row has no route"):
        create_app(SETTINGS, policy=policy)


def test_a_mount_has_no_door_and_stops_the_start() -> None:
    router = APIRouter()
    router.mount("/files", app=lambda scope, receive, send: None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="no door"):
        create_app(SETTINGS, routers=(*ROUTERS, router))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("GET /x all all all all - all", "enterprise reaches 'all'"),
        ("GET /x all all all own all all", "regulator reaches 'all'"),
        ("GET /x all all all granted - all", "enterprise reaches 'granted'"),
        ("POST /x all all all own granted -", "regulator may change something"),
        ("POST /x all all all own - all", "auditor may change something"),
        ("GET /x all all all own -", "5 cells"),
        ("GET /x all all all own - everything", "auditor reaches 'everything'"),
        ("FETCH /x anyone", "not a method and a path"),
        ("GET x anyone", "not a method and a path"),
    ],
)
def test_a_slip_in_the_table_is_named(row: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        read_policy(f"{HEAD}\n{row}\n")


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        read_policy(f"{HEAD}\nGET /a all all all all - -\nGET /b anyone\nGET /b anyone\nGET /c all\n")
    assert [fault.key for fault in raised.value.faults] == ["GET /a", "GET /b", "GET /c"]


def test_the_head_names_every_role() -> None:
    with pytest.raises(ConfigError, match="every role"):
        read_policy("route administrator operator safety enterprise regulator\n")


def test_a_policy_is_a_value() -> None:
    policy = read_policy(f"{HEAD}\nGET /x all all all own granted -\n")
    assert isinstance(policy, Policy)
    assert policy.routes == {("GET", "/x")}
