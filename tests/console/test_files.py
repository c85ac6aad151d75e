"""The console's files over HTTP: the page for every address of the console, assets that never change, and no build."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from park_platform.api import console, failures


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the build's."""
    folder = tmp_path / "web"
    monkeypatch.setattr(console, "_build", console._Build(folder))  # pyright: ignore[reportPrivateUsage]
    return folder


@pytest.fixture
def client() -> httpx.AsyncClient:
    """A client of an application that has nothing but the console."""
    app = FastAPI()
    failures.install(app)
    app.include_router(console.router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://park")


def build(web: Path) -> None:
    (web / "assets").mkdir(parents=True)
    (web / "index.html").write_text("<!doctype html><title>page</title>")
    (web / "stamp").write_text("x")
    (web / "assets" / "main-1a2b.js").write_text("const text = 'script';" * 50)
    (web / "assets" / "secret.txt").write_text("secret")
    (web.parent / "outside.js").write_text("outside")


async def test_every_address_of_the_console_is_the_page(web: Path, client: httpx.AsyncClient) -> None:
    build(web)
    for path in ("/console/", "/console/alarms", "/console/systems/energy/pages/overview", "/console/index.html"):
        answer = await client.get(path)
        assert (answer.status_code, "<title>page</title>" in answer.text) == (200, True)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        again = await client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_assets_are_kept_for_ever_and_travel_packed(web: Path, client: httpx.AsyncClient) -> None:
    build(web)
    packed = await client.get("/console/assets/main-1a2b.js", headers={"Accept-Encoding": "gzip"})
    plain = await client.get("/console/assets/main-1a2b.js", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    assert packed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert packed.headers["content-type"] == "text/javascript; charset=utf-8"


async def test_the_policy_admits_files_of_our_own_and_nothing_else(web: Path, client: httpx.AsyncClient) -> None:
    build(web)
    policy = (await client.get("/console/")).headers["content-security-policy"]
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["img-src"] == "'self' data:"
    for kind in ("script-src", "style-src", "font-src", "connect-src", "form-action"):
        assert parts[kind] == "'self'"
    assert parts["base-uri"] == parts["frame-ancestors"] == "'none'"


@pytest.mark.parametrize(
    "path",
    ["secret.txt", "none.js", "../index.html", "..%2f..%2foutside.js", "%2e%2e/%2e%2e/outside.js", "", "../stamp"],
)
async def test_nothing_but_the_build_s_assets_is_served(web: Path, client: httpx.AsyncClient, path: str) -> None:
    build(web)
    answer = await client.get(f"/console/assets/{path}")
    assert answer.status_code == 404 or "<title>page</title>" in answer.text
    assert "secret" not in answer.text
    assert "outside" not in answer.text


async def test_without_a_build_a_sentence_says_how_to_get_one(web: Path, client: httpx.AsyncClient) -> None:
    answer = await client.get("/console/alarms")
    assert answer.status_code == 503
    assert "控制台尚未构建" in answer.text
    assert "pip install -e ." in answer.text
    build(web)
    assert (await client.get("/console/")).status_code == 200, "a build is found without a new start"


async def test_the_bare_address_leads_to_the_console(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/console/")
