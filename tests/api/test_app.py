"""What holds for every answer: headers, problem documents, sizes, the description."""

import json
import re

import pytest
from structlog.testing import capture_logs

from park_platform.access.policy import POLICY
from park_platform.api.problems import CODE_PREFIX, KINDS
from support.serving import Served


@pytest.mark.parametrize("path", ["/health", "/api/v1/points", "/nothing", "/signin/abc", "/api/v1/alarms/999999"])
def test_every_answer_is_shut_in(served: Served, path: str) -> None:
    for answer in (served.client("operator").get(path), served.get(path)):
        headers = answer.headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers
        assert "strict-transport-security" not in headers, "plain http on loopback"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "not-found"),
        ("GET", "/api/v1/points/", 404, "not-found"),
        ("GET", "/docs", 404, "not-found"),
        ("GET", "/openapi.json", 404, "not-found"),
        ("GET", "/api/v1/alarms/999999", 404, "not-found"),
        ("DELETE", "/api/v1/points", 405, "method-not-allowed"),
        ("GET", "/api/v1/points?limit=0", 422, "request-wrong"),
        ("GET", "/api/v1/points?limit=1001", 422, "request-wrong"),
        ("GET", "/api/v1/points?cursor=x", 422, "cursor-unknown"),
        ("GET", "/api/v1/points?cursor=WyJhIl0", 422, "cursor-unknown"),
        ("GET", "/api/v1/alarms?cursor=WzFd", 422, "cursor-unknown"),
        ("GET", "/api/v1/alarms?state=odd", 422, "request-wrong"),
        ("GET", "/api/v1/alarms?since=2026-11-23T10:00:00", 422, "request-wrong"),
        ("GET", "/api/v1/alarms?since=0001-01-01T00:00:00Z", 422, "request-wrong"),
        ("GET", "/api/v1/alarms?point=99999999999", 422, "request-wrong"),
        ("GET", "/api/v1/alarms/x", 422, "request-wrong"),
        ("GET", "/api/v1/alarms/0", 422, "request-wrong"),
        ("GET", "/api/v1/alarms/99999999999999999999", 422, "request-wrong"),
        ("POST", "/api/v1/session", 422, "request-wrong"),
    ],
)
def test_mistakes_are_problem_documents_in_both_languages(
    served: Served, method: str, path: str, status: int, code: str
) -> None:
    client = served.client("operator")
    kind = KINDS[code]
    for language, title in (("zh-CN,zh;q=0.9,en;q=0.8", kind.title.zh), ("en-GB,en;q=0.9,zh;q=0.1", kind.title.en)):
        answer = client.request(method, path, headers={"Accept-Language": language})
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["content-language"] == language[:2]
        assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
        assert (problem["type"], problem["title"]) == (CODE_PREFIX + code, title)
        assert problem["detail"]
        assert "{" not in problem["detail"]


def test_chinese_is_the_default(served: Served) -> None:
    for odd in ("", ";;;", "en;q=x", "*", "fr", "en;q=0", "," * 500):
        answer = served.get("/api/v1/points", headers={"Accept-Language": odd})
        assert answer.headers["content-language"] == "zh", odd
        assert answer.json()["title"] == "需要登录"


def test_wrong_fields_are_named(served: Served) -> None:
    answer = served.client("operator").get("/api/v1/points", params={"limit": "many", "asset": "x" * 33})
    problem = answer.json()
    assert {error["field"] for error in problem["errors"]} == {"query.limit", "query.asset"}
    assert {error["code"] for error in problem["errors"]} == {"int_parsing", "string_too_long"}
    assert "many" not in answer.text, "what was sent is not sent back"
    answer = served.post("/api/v1/session", json={"token": "t", "extra": 1})
    assert [error["field"] for error in answer.json()["errors"]] == ["body.extra"]
    answer = served.post("/api/v1/session", content=b"{")
    assert answer.json()["code"] == "request-wrong"


def test_every_kind_of_problem_speaks_both_languages() -> None:
    for code, kind in KINDS.items():
        assert re.fullmatch("[a-z-]+", code)
        assert 400 <= kind.status < 600
        for text in (kind.title, kind.detail):
            assert re.search("[\u4e00-\u9fff]", text.zh), code
            assert not re.search("[\u4e00-\u9fff]", text.en), code
        assert set(re.findall("{(.*?)}", kind.detail.zh)) == set(re.findall("{(.*?)}", kind.detail.en)), code


def test_large_bodies_are_refused(served: Served) -> None:
    body = b'{"token": "' + b"x" * (1 << 20) + b'"}'
    answer = served.post("/api/v1/session", content=body)
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    pieces = (body[at : at + 65536] for at in range(0, len(body), 65536))
    answer = served.post("/api/v1/session", content=pieces)
    assert answer.status_code == 413, "also when its length is not told"


def test_an_error_inside_tells_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret-detail")

    monkeypatch.setattr("park_platform.api.points.points", fail)
    with capture_logs() as logs:
        answer = served.client("operator").get("/api/v1/points")
    assert [(entry["event"], entry["path"]) for entry in logs] == [("request_failed", "/api/v1/points")]
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret-detail" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_statement_that_the_database_refuses_tells_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("park_platform.storage.points._FROM", " FROM no_such_table WHERE (%(park)s OR true)")
    with capture_logs() as logs:
        answer = served.client("operator").get("/api/v1/points")
    assert "no_such_table" in logs[0]["error"]
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "no_such_table" not in answer.text


def test_the_description_names_every_route(served: Served) -> None:
    answer = served.client("enterprise").get("/api/v1/openapi.json")
    assert answer.status_code == 200
    schema = answer.json()
    described = {(method.upper(), path) for path, item in schema["paths"].items() for method in item}
    hidden = {("GET", "/signin/{token}"), ("POST", "/signin/{token}"), ("GET", "/api/v1/openapi.json")}
    hidden |= {("GET", "/"), ("GET", "/console/{path:path}")}
    assert described == {route for route in POLICY.routes if route[0] != "LIVE"} - hidden
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            text = operation["description"]
            assert re.search("[\u4e00-\u9fff]", text), (method, path)
            assert re.search("[A-Za-z]", text), (method, path)
    assert schema["components"]["securitySchemes"]["session"]["in"] == "cookie"
    assert json.dumps(schema).count('"examples"') > 10


def test_health_needs_no_session_and_tells_no_internals(served: Served) -> None:
    answer = served.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "missing": []})
