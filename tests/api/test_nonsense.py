"""Nonsense in every parameter and body of every route: refused in words, never an error inside.

Routes and parameters come from the application itself, so a new route is tried without a word here.
"""

import json
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from park_platform.access.policy import POLICY, Reach
from park_platform.api.answers import write_cursor
from park_platform.api.app import routes_of
from park_platform.storage.people import Role
from support.serving import Served

# As they stand in a URL. The first group can't be stored, whatever the parameter is.
UNSTORABLE: Final = ("%00", "a%00b", "%00%ff")
ODD: Final = (
    *("%ff", "%ED%A0%80", "%F0%9F%98%80", "%zz", "%25s%25%28x%29s", "%5Cu0000", "%27%22%3B--", "-1", "1e400", "nan"),
    *("[]", "0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59", "9" * 19, "9" * 5_000, "x" * 1_001),
)
CURSORS: Final = tuple(
    write_cursor(*parts)
    for parts in (
        *[("\0",), ("\ud800",), ("x" * 90,), ("",), (True,), ()],
        *[(number,) for number in (-1, 2**31, 2**63 - 1, -(2**63), 2**63)],
        *[(time, 1) for time in (2**63 - 1, 2**53, -(2**53), -(2**63), 253_402_300_800_000_000)],
    )
)
TEXTS: Final = ("\0", "a\0b", "\ud800", "x" * 1_001, "x" * 100_000)
OTHERS: Final[Sequence[Any]] = (-1, 10**400, 1.5, True, [], {}, {"\0": "\ud800"}, ["x"] * 2_000)
BODIES: Final = (
    b"\xff",
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b"9" * 5_000,
    b'{"\\ud800": 1}',
    b'{"\\u0000": 1}',
    b"NaN",
    b"",
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `refused`: nothing but 422 is right."""

    method: str
    url: str
    body: bytes | None = None
    refused: bool = False


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    """Somebody who may do everything. The regulator signs in now: later there were too many failed attempts."""
    served.client("regulator")
    return served.client("administrator")


@pytest.fixture(scope="module")
def schema(client: httpx.Client) -> dict[str, Any]:
    return client.get("/api/v1/openapi.json").json()


def send(client: httpx.Client, request: Request) -> httpx.Response:
    headers = {} if request.body is None else {"Content-Type": "application/json"}
    return client.request(request.method, request.url, content=request.body, headers=headers)


def test_no_nonsense_is_an_error_inside(served: Served, client: httpx.Client, schema: dict[str, Any]) -> None:
    known: Mapping[str, str] = {
        "alarm_id": str(served.planted["alpha"].alarm),
        "system": "trial",
        "page": "overview",
        "report": "month",
        "register": "factors",
    }
    wrong: list[str] = []
    tried: set[tuple[str, str]] = set()
    for method, path in routes_of(served.app.routes):
        if method == "LIVE":
            continue
        operation = schema["paths"].get(path, {}).get(method.lower(), {})
        for request in requests(method, path, operation, schema, known):
            tried.add((method, path))
            status = send(client, request).status_code
            if status != 422 if request.refused else status >= 500:
                wrong.append(f"{status} {request.method} {request.url[:120]} {(request.body or b'')[:60]!r}")
    assert not wrong, "\n".join(wrong)
    assert tried >= {route for route in POLICY.routes if "{" in route[1] or route[0] == "GET"}


def requests(
    method: str, path: str, operation: Mapping[str, Any], schema: Mapping[str, Any], known: Mapping[str, str]
) -> Iterator[Request]:
    """Every parameter of a route with every nonsense, the others sound; then its body."""
    described = {(each["in"], each["name"]): each["schema"] for each in operation.get("parameters", ())}
    names = re.findall("{(.*?)}", path)
    sound = {name: known.get(name, "1") for name in names}
    needed = {
        each["name"]: sound_value(each["schema"])
        for each in operation.get("parameters", ())
        if each["in"] == "query" and each.get("required")
    }
    for nonsense in (*UNSTORABLE, *ODD):
        refused = nonsense in UNSTORABLE
        for name in names:
            yield Request(method, url(path, {**sound, name: nonsense}, needed), refused=refused)
        for name in (name for place, name in described if place == "query"):
            yield Request(method, url(path, sound, needed, f"{name}={nonsense}"), refused=refused)
    if method == "GET":
        yield Request(method, url(path, sound, needed, "%00=%ff"))
    if ("query", "cursor") in described:
        for cursor in CURSORS:
            yield Request(method, url(path, sound, needed, f"cursor={cursor}"))
    body = operation.get("requestBody")
    if body is None:
        return
    for text in BODIES:
        yield Request(method, url(path, sound, needed), text)
    if "application/json" not in body["content"]:
        return
    kind = flat(schema, body["content"]["application/json"]["schema"])
    for name in kind.get("properties", ()):
        for value in (*TEXTS, *OTHERS):
            content = json.dumps({name: value}).encode()
            yield Request(method, url(path, sound, needed), content, refused=value in TEXTS)


def url(path: str, parts: Mapping[str, str], query: Mapping[str, str], more: str = "") -> str:
    """The path with its parts, the query, and what replaces or follows in it."""
    kept = urlencode({name: value for name, value in query.items() if not more.startswith(f"{name}=")})
    found = re.sub("{(.*?)}", lambda hole: parts[hole[1]], path)
    return f"{found}?{'&'.join(filter(None, (kept, more)))}"


def sound_value(kind: Mapping[str, Any]) -> str:
    """A value that a required query parameter takes."""
    if kind.get("type") == "array":
        return sound_value(kind["items"])
    return str(kind.get("examples", [kind.get("minimum", 1)])[0])


def flat(schema: Mapping[str, Any], kind: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object behind references and `or null`."""
    if "$ref" in kind:
        return flat(schema, schema["components"]["schemas"][kind["$ref"].rsplit("/", 1)[1]])
    if "anyOf" in kind:
        return flat(schema, next(each for each in kind["anyOf"] if each.get("type") != "null"))
    return kind


def test_every_text_of_a_request_is_bounded(schema: dict[str, Any]) -> None:
    loose: list[str] = []
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            asked = {each["name"]: each["schema"] for each in operation.get("parameters", ())}
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                asked |= flat(schema, content["application/json"]["schema"])["properties"]
            loose += [f"{method} {path} {name}" for name, kind in asked.items() if not all(bounds(schema, kind))]
    assert loose == [], "give them the type AskedText"


def bounds(schema: Mapping[str, Any], kind: Mapping[str, Any]) -> Iterator[bool]:
    """For each text in it whether it has a longest length and can't hold NUL."""
    if "anyOf" in kind:
        for each in kind["anyOf"]:
            yield from bounds(schema, each)
    elif "$ref" in kind:
        yield from bounds(schema, flat(schema, kind))
    elif kind.get("type") == "array":
        yield from bounds(schema, kind["items"])
    elif kind.get("type") == "object":
        # Of a register's record the register itself says what it takes.
        for each in kind.get("properties", {}).values():
            yield from bounds(schema, each)
    elif kind.get("type") == "string" and "enum" not in kind and "const" not in kind:
        yield kind.get("format") == "date-time" or ("maxLength" in kind and "pattern" in kind)


@pytest.mark.parametrize("nonsense", ["%00", "%ff", "%ED%A0%80"])
def test_the_trail_takes_whatever_a_regulator_asks_for(served: Served, client: httpx.Client, nonsense: str) -> None:
    granted = [route for route, reaches in POLICY.reaches.items() if reaches[Role.REGULATOR] is Reach.GRANTED]
    assert ("GET", "/api/v1/alarms/{alarm_id}") in granted
    for method, path in granted:
        if method == "LIVE":
            continue
        found = re.sub("{.*?}", nonsense, path)
        answer = served.client("regulator").request(method, f"{found}?x={nonsense}")
        assert answer.status_code in {200, 422}, path
        [last] = client.get("/api/v1/audit?limit=1").json()["items"]
        assert (last["actor"], last["action"]) == ("regulator", "read")
        assert last["object"].endswith(f"?x={nonsense}")
        assert last["object"].startswith(path.split("{", maxsplit=1)[0])


@pytest.mark.parametrize(
    "target", [b"points?text=\xff", b"alarms/\xff", b"points?\xff\xfe", b"gaps?gateway=\xed\xa0\x80"]
)
def test_bytes_that_are_no_url_are_an_answer_below_500(served: Served, client: httpx.Client, target: bytes) -> None:
    address = urlsplit(served.base_url)
    assert client.cookies
    for name in ("administrator", "regulator"):
        cookie = "; ".join(f"{key}={value}" for key, value in served.client(name).cookies.items())
        head = f"Host: {address.netloc}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n".encode()
        with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
            connection.sendall(b"GET /api/v1/" + target + b" HTTP/1.1\r\n" + head)
            answer = connection.makefile("rb").readline()
        status = int(answer.split()[1])
        assert 200 <= status < 500, answer
