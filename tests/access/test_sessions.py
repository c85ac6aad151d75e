"""Links that work once, sessions that end, and what a request must carry besides its cookie."""

import threading
from collections.abc import Generator

import httpx
import pytest

from park_platform.storage import audit
from park_platform.storage.people import disable_person
from support.serving import Served


@pytest.fixture
def client(served: Served) -> Generator[httpx.Client]:
    """An operator with a session of this test's own."""
    with served.signed_in("operator") as client:
        yield client


def is_in(client: httpx.Client) -> bool:
    answer = client.get("/api/v1/session")
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


def test_a_link_gives_a_session(served: Served) -> None:
    with served.anonymous() as client:
        answer = client.post("/api/v1/session", json={"token": served.link("enterprise")})
        assert answer.status_code == 201
        told = answer.json()
        assert (told["name"], told["role"], told["enterprise"]) == ("enterprise", "enterprise", "alpha")
        assert told["display"] == {"zh": "人员enterprise", "en": "enterprise"}
        assert client.get("/api/v1/session").json() == told
        cookie = answer.headers["set-cookie"].lower()
        assert cookie.startswith("park=")
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "secure" not in cookie, "plain http on loopback"
        assert "domain" not in cookie


def test_a_link_works_once(served: Served) -> None:
    token = served.link("operator")
    with served.anonymous() as first, served.anonymous() as second:
        assert first.post("/api/v1/session", json={"token": token}).status_code == 201
        answer = second.post("/api/v1/session", json={"token": token})
        assert (answer.status_code, answer.json()["code"]) == (401, "link-not-valid")
        assert "set-cookie" not in answer.headers
        assert not is_in(second)
        assert is_in(first)


def test_of_many_uses_at_once_one_gets_in(served: Served) -> None:
    token = served.link("operator")
    codes: list[int] = []

    def use() -> None:
        with served.anonymous() as client:
            codes.append(client.post("/api/v1/session", json={"token": token}).status_code)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [201, 401, 401, 401, 401, 401]
    forget_attempts(served)


def test_an_expired_link_is_refused(served: Served) -> None:
    token = served.link("operator")
    with served.park.connection() as connection:
        connection.execute("UPDATE signin_link SET expires_at = now() - interval '1 second' WHERE used_at IS NULL")
    with served.anonymous() as client:
        assert client.post("/api/v1/session", json={"token": token}).status_code == 401
    forget_attempts(served)


def test_the_page_uses_nothing_up_and_its_button_signs_in(served: Served) -> None:
    token = served.link("operator")
    with served.anonymous() as client:
        pages = [client.get(f"/signin/{token}") for _ in range(3)]
        assert [(page.status_code, "set-cookie" in page.headers) for page in pages] == [(200, False)] * 3
        page = pages[-1]
        assert "登录" in page.text
        assert "Sign in" in page.text
        assert "script" not in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "form-action 'self'" in policy
        assert page.headers["referrer-policy"] == "same-origin", "with no-referrer the form would send Origin: null"
        done = client.post(f"/signin/{token}", headers={"Origin": served.base_url})
        assert (done.status_code, done.headers["location"]) == (303, "/console/")
        assert "operator" in done.text
        assert is_in(client)


def test_a_foreign_page_can_not_sign_a_browser_in(served: Served) -> None:
    token = served.link("operator")
    with served.anonymous() as client:
        for path, body in ((f"/signin/{token}", None), ("/api/v1/session", {"token": token})):
            for origin in (
                "https://evil.example",
                "null",
                served.base_url + "0",
                served.base_url.replace("http", "https"),
            ):
                answer = client.post(path, json=body, headers={"Origin": origin})
                assert (answer.status_code, answer.json()["code"]) == (403, "origin-foreign")
        assert client.post("/api/v1/session", json={"token": token}).status_code == 201, "the link is still good"


def test_names_and_texts_in_the_page_are_escaped(served: Served) -> None:
    with served.park.connection() as connection:
        connection.execute("UPDATE person SET display_en = '<b>op</b>' WHERE name = 'operator'")
    with served.anonymous() as client:
        done = client.post(f"/signin/{served.link('operator')}")
        assert "<b>" not in done.text
        assert "&lt;b&gt;" in done.text


def test_only_digests_are_stored(served: Served) -> None:
    token = served.link("operator")
    with served.anonymous() as client:
        client.post("/api/v1/session", json={"token": token})
        secret = client.cookies["park"]
    with served.park.connection() as connection:
        dump = str(connection.execute("SELECT token_sha256 FROM session").fetchall())
        dump += str(connection.execute("SELECT token_sha256 FROM signin_link").fetchall())
        dump += str(connection.execute("SELECT * FROM audit").fetchall())
    assert token not in dump
    assert secret not in dump


def test_sign_out_ends_the_session(served: Served, client: httpx.Client) -> None:
    cookie = client.cookies["park"]
    assert client.delete("/api/v1/session").status_code == 204
    with served.anonymous() as other:
        assert other.get("/api/v1/session", headers={"Cookie": f"park={cookie}"}).status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE session SET seen_at = now() - interval '61 minutes'",
        "UPDATE session SET expires_at = now() - interval '1 second'",
        "UPDATE person SET disabled_at = now() WHERE name = 'operator'",
    ],
)
def test_a_session_ends(served: Served, client: httpx.Client, change: str) -> None:
    assert is_in(client)
    with served.park.connection() as connection:
        connection.execute(change.encode())
        try:
            assert not is_in(client)
        finally:
            connection.execute("UPDATE person SET disabled_at = NULL")


def test_use_keeps_a_session_up_to_its_end(served: Served, client: httpx.Client) -> None:
    with served.park.connection() as connection:
        connection.execute("UPDATE session SET seen_at = now() - interval '59 minutes'")
        assert is_in(client)
        row = connection.execute(
            "SELECT bool_and(now() - seen_at < '1 minute') FROM session JOIN person p ON true"
        ).fetchone()
        assert row is not None
        # The session was opened a moment ago.
        hours = connection.execute(
            "SELECT max(expires_at) - now() BETWEEN interval '11 h 55 min' AND interval '12 h' FROM session"
        ).fetchone()
        assert hours == (True,)
    assert is_in(client)


def test_disabling_ends_sessions_and_links(served: Served) -> None:
    token = served.link("neighbour")
    with served.signed_in("neighbour") as client:
        assert is_in(client)
        with served.park.connection("api") as connection:
            disable_person(connection, "neighbour")
        assert not is_in(client)
        assert client.post("/api/v1/session", json={"token": token}).status_code == 401
    forget_attempts(served)


def test_changes_need_the_csrf_token(served: Served, client: httpx.Client) -> None:
    path = f"/api/v1/alarms/{served.planted['alpha'].alarm}/acknowledge"
    good = client.headers.pop("X-CSRF-Token")
    for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "wrong"}, {"X-CSRF-Token": good + "x"}):
        for method, target in (("POST", path), ("DELETE", "/api/v1/session")):
            answer = client.request(method, target, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "csrf-token-wrong")
    with served.signed_in("operator") as other:
        foreign = {"X-CSRF-Token": other.headers["X-CSRF-Token"]}
        assert client.post(path, headers=foreign).status_code == 403, "another session's token"
    assert client.post(path, headers={"X-CSRF-Token": good}).status_code == 200


def test_changes_from_a_foreign_page_are_refused(served: Served, client: httpx.Client) -> None:
    path = f"/api/v1/alarms/{served.planted['alpha'].alarm}/acknowledge"
    answer = client.post(path, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin-foreign")
    assert client.post(path, headers={"Origin": served.base_url}).status_code == 200
    assert client.post(path, headers={"Origin": served.base_url.replace("127.0.0.1", "localhost")}).status_code == 200


def test_another_host_name_is_refused(served: Served, client: httpx.Client) -> None:
    for host in ("evil.example", "127.0.0.1:1", "", "127.0.0.1:x"):
        answer = client.get("/api/v1/session", headers={"Host": host})
        assert (answer.status_code, answer.json()["code"]) == (421, "host-unknown"), host
    assert served.get("/health", headers={"Host": "10.1.2.3"}).status_code == 200, "a probe by address"


def test_guessing_is_slowed_down(served: Served) -> None:
    token = served.link("operator")
    with served.anonymous() as client:
        codes = [client.post("/api/v1/session", json={"token": f"guess{n}"}).status_code for n in range(11)]
        assert codes == [401] * 10 + [429]
        answer = client.post("/api/v1/session", json={"token": token})
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 61
        forget_attempts(served)
        assert client.post("/api/v1/session", json={"token": token}).status_code == 201


def test_what_a_regulator_reads_is_on_the_trail(served: Served) -> None:
    served.client("regulator").get("/api/v1/alarms", params={"priority": "critical"})
    served.client("operator").get("/api/v1/alarms")
    with served.park.connection() as connection:
        rows = connection.execute(
            "SELECT actor, action, object, source FROM audit WHERE action = 'read' ORDER BY id DESC"
        ).fetchall()
    assert rows[0] == ("regulator", "read", "/api/v1/alarms?priority=critical", "127.0.0.1")
    assert {actor for actor, *_ in rows} == {"regulator"}


def test_an_expired_grant_shows_nothing(served: Served) -> None:
    client = served.client("regulator")
    assert client.get("/api/v1/points").json()["items"] != []
    with served.park.connection() as connection:
        connection.execute("UPDATE access_grant SET until = now() - interval '1 second'")
        try:
            assert client.get("/api/v1/points").json()["items"] == []
        finally:
            connection.execute("UPDATE access_grant SET until = now() + interval '1 day'")


def test_sign_ins_are_on_the_trail_and_it_holds(served: Served) -> None:
    auditor = served.client("auditor")
    with served.signed_in("safety"):
        pass
    rows = auditor.get("/api/v1/audit").json()["items"]
    assert (rows[0]["actor"], rows[0]["action"], rows[0]["source"]) == ("safety", "signed-in", "127.0.0.1")
    with served.park.connection("api") as connection:
        assert audit.verify(connection) is None


def forget_attempts(served: Served) -> None:
    served.app.state.serving.attempts._failures.clear()
