"""The outermost layer: headers on every answer, a cap on every body, and the place where an unforeseen error ends."""

from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from park_platform.api.problems import Problem, language_of, problem_response

log = structlog.get_logger()

MOST_BODY_BYTES: Final = 1 << 20
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_SECURE: Final = {"Strict-Transport-Security": "max-age=31536000"}


class Boundary:
    """Adds the headers that a route did not set itself; `secure` adds HSTS."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._headers = {**_HEADERS, **(_SECURE if secure else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        has_begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_begun
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                has_begun = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, _capped(receive, Headers(scope=scope)), send_with_headers)
        except Exception as error:  # the boundary of this process towards its callers
            log.error("request_failed", method=scope["method"], path=scope["path"], exc_info=error)
            if not has_begun:
                response = problem_response(Problem("internal"), language_of(Request(scope)))
                await response(scope, receive, send_with_headers)


def _capped(receive: Receive, headers: Headers) -> Receive:
    told = headers.get("content-length", "0")
    seen = int(told) if told.isascii() and told.isdigit() and int(told) > MOST_BODY_BYTES else 0

    async def receive_capped() -> Message:
        nonlocal seen
        if seen <= MOST_BODY_BYTES:
            message = await receive()
            seen += len(message.get("body", b""))
            if seen <= MOST_BODY_BYTES:
                return message
        # The one kind of error that FastAPI lets pass while it reads a body.
        raise HTTPException(413)

    return receive_capped
