"""Signing in by a one-time link, who am I, signing out.

The page behind a link only shows a button: programs that look at links in mails must not use them up.
"""

import html
import time
from typing import Annotated, Final

from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from park_platform.access.caller import SESSION_HOURS, identify, sign_in
from park_platform.api.answers import Answer, AskedText, Both, Time, answer, iso
from park_platform.api.door import Serving, SignedIn, serving, source_of
from park_platform.api.problems import KINDS, Problem
from park_platform.storage import sessions
from park_platform.storage.scope import borrowed
from park_platform.storage.sessions import Session

router = APIRouter(tags=["session"])

# The page has one form and nothing else.
_PAGE_POLICY: Final = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
_PAGE: Final = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>园枢 Parkhub</title></head>
<body><h1>园枢 Parkhub</h1>{content}</body></html>
"""
_ASK: Final = """<p>点击按钮登录。此链接只能使用一次。</p>
<p lang="en">Press the button to sign in. The link works once.</p>
<form method="post"><button type="submit">登录 Sign in</button></form>"""
_DONE: Final = '<p>您已登录：{zh}。</p><p lang="en">You are signed in as {en}.</p>'
_REFUSED: Final = '<p>{zh}</p><p lang="en">{en}</p><p><a href="/console/">园枢 Parkhub</a></p>'

Token = Annotated[AskedText, Path(max_length=64, pattern="^[A-Za-z0-9_-]+$")]


class SignIn(BaseModel):
    """A one-time link's token: the last part of the link."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"token": "k3J…"}]})

    token: Annotated[AskedText, Field(min_length=1, max_length=64)]


class SessionAnswer(Answer):
    """Who is signed in. `csrf` goes into the header X-CSRF-Token of every request that changes something."""

    name: str = Field(examples=["operator"])
    display: Both
    role: str = Field(examples=["operator"])
    enterprise: str | None
    csrf: str
    expires_at: Time


@router.get("/signin/{token}", response_class=HTMLResponse, include_in_schema=False)
def show_link(token: Token) -> Response:
    """Show the button; uses nothing up."""
    del token
    return _page(_ASK)


@router.post("/signin/{token}", response_class=HTMLResponse, include_in_schema=False)
def use_link(request: Request, token: Token) -> Response:
    """Sign in by the page's button, and go on to the console; a browser whose link is refused gets a page."""
    try:
        session_token, session = _sign_in(request, token)
    except Problem as problem:
        if "text/html" not in request.headers.get("accept", ""):
            raise
        kind = KINDS[problem.code]
        refused = _page(_REFUSED.format(zh=_told(kind.detail.zh, problem), en=_told(kind.detail.en, problem)))
        refused.status_code = kind.status
        refused.headers.update(problem.headers)
        return refused
    person = session.person
    response = _page(_DONE.format(zh=html.escape(person.display_zh), en=html.escape(person.display_en)))
    response.status_code = 303
    response.headers["Location"] = "/console/"
    _set_cookie(response, serving(request), session_token)
    return response


@router.post("/api/v1/session", status_code=201, response_model=SessionAnswer)
def open_session(request: Request, body: SignIn) -> Response:
    """Sign in with the token of a one-time link 用一次性链接登录."""
    session_token, session = _sign_in(request, body.token)
    response = JSONResponse(_session(session).model_dump(), status_code=201)
    _set_cookie(response, serving(request), session_token)
    return response


@router.get("/api/v1/session", response_model=SessionAnswer)
def show_session(request: Request, visit: SignedIn) -> Response:
    """Who is signed in 当前会话."""
    return answer(request, _session(visit.caller.session))


@router.delete("/api/v1/session", status_code=204)
def end_session(visit: SignedIn) -> Response:
    """Sign out 退出登录."""
    with borrowed(visit.shared.pool) as connection:
        sessions.end_session(connection, visit.caller.session, visit.caller.source)
    response = Response(status_code=204)
    origin = visit.shared.origin
    response.delete_cookie(origin.cookie, path="/", secure=origin.secure, httponly=True, samesite="lax")
    return response


def _sign_in(request: Request, token: str) -> tuple[str, Session]:
    shared = serving(request)
    source, now = source_of(request), time.monotonic()
    wait_s = shared.attempts.wait_s(source, now)
    if wait_s > 0:
        seconds = int(wait_s) + 1
        raise Problem("too-many-attempts", {"wait_s": seconds}, {"Retry-After": str(seconds)})
    with borrowed(shared.pool) as connection:
        session_token = sign_in(connection, token, source)
        session = identify(connection, session_token)
    if session_token is None or session is None:
        shared.attempts.failed(source, now)
        raise Problem("link-not-valid", headers={"WWW-Authenticate": 'Cookie realm="park"'})
    return session_token, session


def _session(session: Session) -> SessionAnswer:
    person = session.person
    return SessionAnswer(
        name=person.name,
        display=Both(zh=person.display_zh, en=person.display_en),
        role=person.role.value,
        enterprise=person.enterprise,
        csrf=session.csrf,
        expires_at=iso(session.expires_at),
    )


def _set_cookie(response: Response, shared: Serving, session_token: str) -> None:
    response.set_cookie(
        shared.origin.cookie,
        session_token,
        max_age=SESSION_HOURS * 3600,
        path="/",
        secure=shared.origin.secure,
        httponly=True,
        samesite="lax",
    )


def _told(sentence: str, problem: Problem) -> str:
    return html.escape(sentence.format_map(problem.fields))


def _page(content: str) -> HTMLResponse:
    # With no-referrer a browser would send `Origin: null` with the form.
    headers = {"Content-Security-Policy": _PAGE_POLICY, "Referrer-Policy": "same-origin"}
    return HTMLResponse(_PAGE.format(content=content), headers=headers)
