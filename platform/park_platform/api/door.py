"""The one dependency that every route passes: host, origin, session, policy, CSRF token, and the trail of grants."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from string import punctuation
from typing import Annotated, Final
from urllib.parse import quote

import structlog
from fastapi import Depends
from starlette.requests import HTTPConnection

from park_platform.access.attempts import Attempts
from park_platform.access.caller import Caller, identify, is_csrf_token, scope_of
from park_platform.access.origin import Origin
from park_platform.access.policy import Policy, Reach
from park_platform.api.enabled import EnabledSystems
from park_platform.api.hub import Hub
from park_platform.api.problems import Problem
from park_platform.storage import audit
from park_platform.storage.connect import Connection, Pool
from park_platform.storage.scope import borrowed, scoped

log = structlog.get_logger()

SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
HEALTH: Final = ("GET", "/health")
_LONGEST_TRAIL: Final = 500


@dataclass(frozen=True, slots=True)
class Serving:
    """What the routes of one application share."""

    origin: Origin
    policy: Policy
    pool: Pool
    hub: Hub
    attempts: Attempts
    systems: EnabledSystems


def serving(connection: HTTPConnection) -> Serving:
    """The application's shared parts."""
    return connection.app.state.serving


def source_of(connection: HTTPConnection) -> str:
    """The network address that the caller came from."""
    return connection.client.host if connection.client else "unknown"


def session_cookie(connection: HTTPConnection) -> str | None:
    """The session token that a request carries."""
    return connection.cookies.get(serving(connection).origin.cookie)


def authorize(connection: HTTPConnection) -> Caller | None:
    """Let a request in or raise Problem; None where no session is needed. Refuses what the policy does not name."""
    shared = serving(connection)
    method = "LIVE" if connection.scope["type"] == "websocket" else connection.scope["method"]
    route = (method, connection.scope["route"].path)
    if route != HEALTH:
        _check_address(connection, shared.origin, method)
    if shared.policy.reach(route, None) is Reach.ANYONE:
        return None
    with borrowed(shared.pool) as database:
        session = identify(database, session_cookie(connection))
        if session is None:
            raise Problem("sign-in-needed", headers={"WWW-Authenticate": 'Cookie realm="park"'})
        person = session.person
        reach = shared.policy.reach(route, person.role)
        if reach is Reach.REFUSED:
            log.warning("access_refused", person=person.name, role=person.role, method=method, path=route[1])
            raise Problem("not-allowed", {"role": person.role.value})
        if method not in SAFE_METHODS and method != "LIVE":
            given = connection.headers.get("x-csrf-token")
            if not is_csrf_token(session, given):
                raise Problem("csrf-token-wrong")
        if reach is Reach.GRANTED:
            audit.append(database, person.name, "read", _trail(connection), source=source_of(connection))
    return Caller(session, reach, scope_of(session, reach), source_of(connection))


def _trail(connection: HTTPConnection) -> str:
    """What was asked for, as text that can be stored: whatever bytes a caller sends, it comes percent-encoded."""
    path, query = quote(connection.scope["path"]), quote(connection.scope["query_string"], safe=punctuation)
    return f"{path}?{query}"[:_LONGEST_TRAIL] if query else path[:_LONGEST_TRAIL]


def _check_address(connection: HTTPConnection, origin: Origin, method: str) -> None:
    if not origin.is_host(connection.headers.get("host", "")):
        raise Problem("host-unknown", {"url": origin.url})
    given = connection.headers.get("origin")
    # A browser always says where a WebSocket comes from; cookies alone don't tell one page from another.
    is_needed = method == "LIVE"
    if method not in SAFE_METHODS and (is_needed if given is None else not origin.admits(given)):
        raise Problem("origin-foreign")


@dataclass(frozen=True, slots=True)
class Visit:
    """A signed-in caller on a route, with the way to what they may see."""

    caller: Caller
    shared: Serving

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A read-only transaction in the caller's scope."""
        with borrowed(self.shared.pool) as connection, scoped(connection, self.caller.scope):
            yield connection

    @contextmanager
    def write(self) -> Generator[Connection]:
        """A transaction in the caller's scope that may change something."""
        with borrowed(self.shared.pool) as connection, scoped(connection, self.caller.scope, read_only=False):
            yield connection


# A coroutine, like every dependency that does not touch the database: a plain function would cost a change of thread.
async def _visit(connection: HTTPConnection, caller: Annotated[Caller | None, Depends(authorize)]) -> Visit:
    if caller is None:
        raise Problem("sign-in-needed")
    return Visit(caller, serving(connection))


SignedIn = Annotated[Visit, Depends(_visit)]
"""The parameter by which a route gets its caller."""
