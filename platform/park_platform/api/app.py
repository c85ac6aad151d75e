"""The application: routers, door, policy and the two threads that feed the live side, as a value to start and stop."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts
from pydantic import BaseModel, Field
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import BaseRoute

from park_platform.access.attempts import Attempts
from park_platform.access.policy import POLICY, Policy, Route, check_routes
from park_platform.api import (
    alarms,
    audit,
    completeness,
    console,
    events,
    failures,
    gateways,
    letters,
    live,
    park,
    points,
    readings,
    register_changes,
    register_import,
    registers,
    reports,
    session,
    status,
    systems,
)
from park_platform.api.boundary import Boundary
from park_platform.api.door import Serving, SignedIn, authorize
from park_platform.api.enabled import EnabledSystems
from park_platform.api.feed import Feed
from park_platform.api.hub import Hub
from park_platform.api.problems import MEDIA_TYPE
from park_platform.api.settings import ServeSettings
from park_platform.api.watch import Watch
from park_platform.storage.connect import pool
from park_sdk.system import System
from park_wire.errors import ConfigError, Fault

ROUTERS: Final = (
    session.router,
    points.router,
    readings.router,
    completeness.router,
    alarms.router,
    events.router,
    gateways.router,
    letters.router,
    park.router,
    systems.router,
    reports.router,
    status.router,
    audit.router,
    live.router,
    console.router,
    registers.router,
    register_changes.router,
    register_import.router,
)
NO_SYSTEMS: Final[Mapping[str, System]] = MappingProxyType({})
_DESCRIPTION: Final = """\
一个园区的测点、历史、报警与网关。Points, history, alarms and gateways of an industrial park.

Sign in with a one-time link: `POST /api/v1/session`; then send the cookie, and for what changes something the header
`X-CSRF-Token`. Times are ISO 8601; lists come in pages, `next` goes back as `cursor`. Problems follow RFC 9457, in
Chinese or, with `Accept-Language: en`, in English. Live values: the WebSocket `/api/v1/live` (CBOR).
"""


class ProblemAnswer(BaseModel):
    """A problem document (RFC 9457). Programs rely on `code`."""

    type: str = Field(examples=["urn:parkhub:problem:not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no such thing, or you may not see it."])
    code: str = Field(examples=["not-found"])


def create_app(
    settings: ServeSettings,
    *,
    installed: Mapping[str, System] = NO_SYSTEMS,
    routers: Iterable[APIRouter] = ROUTERS,
    policy: Policy = POLICY,
) -> FastAPI:
    """The application. Opens nothing yet; its lifespan does.

    `installed` are the systems that a park can enable. Raises ConfigError that names every route without a row in the
    policy and every row without a route.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        hub = Hub()
        hub.open(asyncio.get_running_loop())
        connections = pool(settings.database_url, "park serve")
        enabled = EnabledSystems(installed, connections, hub)
        app.state.serving = Serving(settings.origin, policy, connections, hub, Attempts(), enabled)
        feed = Feed(settings.broker, hub)
        watch = Watch(settings.database_url, hub)
        watch.start()
        feed.start()
        try:
            yield
        finally:
            await asyncio.to_thread(feed.stop)
            await asyncio.to_thread(watch.stop)
            await asyncio.to_thread(connections.close)

    app = FastAPI(
        title="Parkhub 园枢",
        version=version("parkhub"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        dependencies=[Depends(authorize)],
        responses={"4XX": {"model": ProblemAnswer, "content": {MEDIA_TYPE: {}}, "description": "A problem"}},
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        middleware=[Middleware(Boundary, secure=settings.origin.secure)],
    )
    failures.install(app)
    for router in (*routers, _description_router(settings)):
        app.include_router(router)
    check_routes(policy, routes_of(app.routes))
    return app


def routes_of(routes: Iterable[BaseRoute]) -> list[Route]:
    """Method and path of every route, LIVE for a WebSocket. Raises ConfigError for one that the door does not guard."""
    found: list[Route] = []
    for context in iter_route_contexts(list(routes)):
        route = context.original_route
        if isinstance(route, APIWebSocketRoute):
            found.append(("LIVE", route.path))
        elif isinstance(route, APIRoute):
            found.extend((method, route.path) for method in sorted(route.methods or ()))
        else:
            fault = Fault("api", str(context.path), f"{type(route).__name__} has no door", "make it a route of FastAPI")
            raise ConfigError([fault])
    return found


def _description_router(settings: ServeSettings) -> APIRouter:
    router = APIRouter()

    @router.get("/api/v1/openapi.json", include_in_schema=False)
    def describe(request: Request, visit: SignedIn) -> Response:
        """The API's description 接口描述."""
        del visit
        schema: dict[str, Any] = request.app.openapi()
        cookie = {"type": "apiKey", "in": "cookie", "name": settings.origin.cookie}
        schema.setdefault("components", {})["securitySchemes"] = {"session": cookie}
        schema["security"] = [{"session": []}]
        return JSONResponse(schema)

    return router
