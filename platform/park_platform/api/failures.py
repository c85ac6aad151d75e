"""How exceptions become problem documents; nothing of their text leaves the process."""

from collections.abc import Sequence
from typing import Any, Final

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from park_platform.api.problems import Problem, language_of, problem_response
from park_wire.errors import ParkError, StoreFull, StoreTooSlow, StoreUnavailable
from park_wire.quantities import Text

log = structlog.get_logger()

_BY_STATUS: Final = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}
# Pydantic's kinds of mistakes, as far as they need a sentence of their own.
_MISTAKES: Final = {
    "missing": Text("缺失", "missing"),
    "extra_forbidden": Text("未知字段", "unknown field"),
    "enum": Text("不是允许的值", "not one of the allowed values"),
    "literal_error": Text("不是允许的值", "not one of the allowed values"),
    "too_long": Text("过多", "too many"),
    "string_too_long": Text("过长", "too long"),
    "string_too_short": Text("过短", "too short"),
    "json_invalid": Text("不是 JSON", "not JSON"),
    "timezone_aware": Text("缺少时区偏移", "the offset from UTC is missing"),
}
_OTHER: Final = Text("无效", "not valid")


def install(app: FastAPI) -> None:
    """Give the application its exception handlers."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(WebSocketRequestValidationError, _validation)
    app.add_exception_handler(ParkError, _park)


async def _problem(connection: HTTPConnection, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for nothing else
    return problem_response(error, language_of(connection))


async def _http(connection: HTTPConnection, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    code = _BY_STATUS.get(error.status_code, "internal" if error.status_code >= 500 else "request-wrong")
    fields: dict[str, Any] = {"fields": []} if code == "request-wrong" else {}
    return await _problem(connection, Problem(code, fields, dict(error.headers or {})))


async def _validation(connection: HTTPConnection, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError | WebSocketRequestValidationError)  # noqa: S101 - as above
    language = language_of(connection)
    mistakes: Sequence[dict[str, Any]] = error.errors()
    fields = [".".join(map(str, mistake["loc"])) for mistake in mistakes]
    errors = [
        {
            "field": name,
            "code": mistake["type"],
            "detail": getattr(_MISTAKES.get(mistake["type"], _OTHER), language),
        }
        for name, mistake in zip(fields, mistakes, strict=True)
    ]
    return await _problem(connection, Problem("request-wrong", {"fields": fields, "errors": errors}))


async def _park(connection: HTTPConnection, error: Exception) -> Response:
    if isinstance(error, StoreTooSlow):
        return await _problem(connection, Problem("query-too-large"))
    if isinstance(error, StoreUnavailable | StoreFull):
        # The watch has logged that the database is gone; not again for each request.
        return await _problem(connection, Problem("database-unavailable", headers={"Retry-After": "5"}))
    log.error("request_failed", path=connection.url.path, error=str(error))
    return await _problem(connection, Problem("internal"))
