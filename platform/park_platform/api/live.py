"""The live stream: one binary WebSocket a client, `/api/v1/live`.

Every message is a CBOR map with `v` (1), `kind`, `seq` (counts this connection's messages from 1 without holes) and
`server_time_us` (µs since 1970 UTC). Columns are RFC 8746 typed arrays, little-endian, of one length, ascending by
point: `point` i32, `time_us` i64 µs since 1970 UTC, `value` f64 in the quantity's canonical unit (NaN: a bad reading
without a value), `quality` i32 (park_wire/quality.py).

snapshot   all visible points that have a value, in parts of 20,000; `more` tells that a part follows. It comes first,
           and again when what the person may see has changed: it replaces everything shown before.
values     points that changed since, at most two messages a second; intermediate values are left out.
alarms     `lines` of the journal as they are committed, their times in ISO 8601; `missed` tells that lines were
           dropped for a slow reader, who then reads GET /api/v1/alarms.
heartbeat  every 5 s: `database` and `broker` tell whether news can come at all.

The server closes with 4401 when the session has ended. What a client sends is ignored.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final, Literal

import numpy as np
from cbor2 import CBORTag
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from park_platform.access.caller import identify, scope_of
from park_platform.api.answers import iso
from park_platform.api.board import Values
from park_platform.api.door import SignedIn, Visit, session_cookie
from park_platform.api.hub import MOST_CLIENTS_OF_ONE, Client, Hub
from park_platform.api.problems import Problem
from park_platform.storage.alarm_queries import TailLine
from park_platform.storage.points import visible_ids
from park_platform.storage.scope import Scope, borrowed, scoped
from park_sdk.frame import Floats, Int32s, Int64s
from park_wire import cbor
from park_wire.clock import wall_us
from park_wire.errors import StoreUnavailable

VERSION: Final = 1
VALUES_EVERY_S: Final = 0.5
HEARTBEAT_EVERY_S: Final = 5.0
POINTS_A_PART: Final = 20_000
SESSION_ENDED: Final = 4401

router = APIRouter()


@router.websocket("/api/v1/live")
async def live(websocket: WebSocket, visit: SignedIn) -> None:
    """Send values and alarms until the client leaves or its session ends."""
    hub = visit.shared.hub
    scope = visit.caller.scope
    client = Client(visit.caller.person.name, scope, await run_in_threadpool(_points, visit, scope))
    if not hub.join(client):
        raise Problem("too-many-live", {"most": MOST_CLIENTS_OF_ONE})
    try:
        await websocket.accept()
        tasks = [asyncio.create_task(Stream(websocket, visit, client).run()), asyncio.create_task(_hear_out(websocket))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
    finally:
        hub.leave(client)


async def _hear_out(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


def _points(visit: Visit, scope: Scope) -> Int32s:
    with borrowed(visit.shared.pool) as connection, scoped(connection, scope):
        return np.array(visible_ids(connection, scope), np.int32)


class Stream:
    """What one client is sent. A slow client blocks only here: the next message then holds all that changed."""

    def __init__(self, websocket: WebSocket, visit: Visit, client: Client) -> None:
        self._websocket = websocket
        self._visit = visit
        self._client = client
        self._hub: Hub = visit.shared.hub
        self._config_seq = self._hub.config_seq
        self._seq = 0

    async def run(self) -> None:
        """Send until the client is gone or the session has ended."""
        loop = asyncio.get_running_loop()
        try:
            await self._send_values("snapshot")
            values_at = loop.time() + VALUES_EVERY_S
            beat_at = loop.time() + HEARTBEAT_EVERY_S
            while True:
                await self._wait(min(values_at, beat_at) - loop.time())
                await self._send_lines()
                if loop.time() >= values_at:
                    values_at = loop.time() + VALUES_EVERY_S
                    await self._send_values("values")
                if loop.time() >= beat_at:
                    beat_at = loop.time() + HEARTBEAT_EVERY_S
                    if not await self._is_still_welcome():
                        await self._websocket.close(SESSION_ENDED)
                        return
                    await self._send("heartbeat", database=self._hub.database_up, broker=self._hub.broker_up)
        except WebSocketDisconnect:
            return

    async def _wait(self, at_most_s: float) -> None:
        try:
            async with asyncio.timeout(max(at_most_s, 0.0)):
                await self._client.wake.wait()
        except TimeoutError:
            return

    async def _send_values(self, kind: str) -> None:
        values = self._client.take_values(self._hub.board)
        if kind == "values" and not len(values):
            return
        starts = range(0, max(len(values), 1), POINTS_A_PART)
        for start in starts:
            more = {"more": start != starts[-1]} if kind == "snapshot" else {}
            await self._send(kind, **_columns(values, start), **more)

    async def _send_lines(self) -> None:
        lines, missed = self._client.take_lines()
        if lines:
            await self._send("alarms", lines=_lines(lines, self._client.scope), missed=missed)

    async def _send(self, kind: str, **fields: Any) -> None:
        self._seq += 1
        head = {"v": VERSION, "kind": kind, "seq": self._seq, "server_time_us": wall_us()}
        try:
            await self._websocket.send_bytes(cbor.encode(head | fields))
        except RuntimeError as error:
            # uvicorn's answer once it has closed a connection by itself, because no pong came.
            raise WebSocketDisconnect from error

    async def _is_still_welcome(self) -> bool:
        """Look at session and grants again. While the database is away nobody is sent away, and nothing new comes."""
        try:
            scope = await run_in_threadpool(self._scope_now)
            if scope is None:
                return False
            if scope != self._client.scope or self._hub.config_seq != self._config_seq:
                self._config_seq = self._hub.config_seq
                points = await run_in_threadpool(_points, self._visit, scope)
                if self._client.look_anew(scope, points):
                    await self._send_values("snapshot")
        except StoreUnavailable:
            return True
        return True

    def _scope_now(self) -> Scope | None:
        with borrowed(self._visit.shared.pool) as connection:
            session = identify(connection, session_cookie(self._websocket))
        return None if session is None else scope_of(session, self._visit.caller.reach)


def _columns(values: Values, start: int) -> dict[str, Any]:
    part = slice(start, start + POINTS_A_PART)
    return {
        "point": _column(values.point[part], "i"),
        "time_us": _column(values.time[part], "q"),
        "value": _column(values.value[part], "d"),
        "quality": _column(values.quality[part].astype(np.int32), "i"),
    }


def _column(array: Int32s | Int64s | Floats, letter: Literal["i", "q", "d"]) -> CBORTag:
    # numpy calls its i64 "l", which is no letter of the wire.
    column: cbor.Ints | cbor.Floats = memoryview(array.tobytes()).cast(letter)
    return cbor.as_tag(column)


def _lines(lines: Sequence[TailLine], scope: Scope) -> list[dict[str, Any]]:
    shown = [asdict(line) for line in lines]
    for line in shown:
        del line["stream_id"], line["enterprise"]
        line["at"], line["recorded_at"] = iso(line["at"]), iso(line["recorded_at"])
        if not scope.park:
            line["actor"] = line["note"] = None
    return shown
