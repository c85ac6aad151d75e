"""`park up --check`: walks the path from a register to an alarm on a running park and says where it is broken.

Hops are proved in the order of the path, each by its own evidence and within its own time; the first that fails ends
the walk, because everything behind it would fail too.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket

from park_platform.storage.connect import connect
from park_platform.storage.proof import Proof, read_housekeeping, read_proof
from park_platform.up import Park
from park_platform.up_steps import StepName, both
from park_wire import cbor
from park_wire.errors import ParkError
from park_wire.quantities import Text

WITHIN_S: Final = 20.0
# Rollups are made every 5 s.
ROLLED_WITHIN_S: Final = 8.0
ALARM_WITHIN_S: Final = 60.0
FAULT: Final = ("over-pressure", "tank-2")
MPA_A_SECOND: Final = "0.1"
_FRESH_MS: Final = 5_000
_LAST_LINES: Final = 12
RULE: Final = "vessel-pressure-hh"
_FILE: Final = re.compile(r'(?:src|href)="(/console/[^"]+)"')
HOPS: Final[Mapping[str, str]] = {
    "field": "现场",
    "gateway": "网关",
    "broker": "消息代理",
    "database": "数据库",
    "intake": "数据接入",
    "readings": "读数",
    "operate": "运维任务",
    "api": "接口",
    "console": "控制台",
    "live stream": "实时数据流",
    "alarm": "报警",
    "alarm in api": "接口中的报警",
    "alarm live": "实时报警",
}
"""The hops in the order of the path, and their Chinese names."""
# The hop that a step of the start makes, and the program behind it.
_MADE_BY: Final[Mapping[StepName, tuple[str, str]]] = {
    "database": ("database", "postgres"),
    "schema": ("database", "postgres"),
    "park": ("database", "postgres"),
    "broker": ("broker", "broker"),
    "field": ("field", "sim"),
    "gateway": ("gateway", "gateway"),
    "intake": ("intake", "ingest"),
    "operate": ("operate", "operate"),
    "serve": ("api", "serve"),
}


@dataclass(frozen=True, slots=True)
class Hop:
    """One hop of the path: whether it works, how much went through it, how long it took.

    `name`: one of HOPS. `last_words`: of a broken hop, the end of the log of the program behind it.
    """

    name: str
    ok: bool
    note: Text
    count: int | None = None
    latency_ms: float | None = None
    last_words: str = ""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Evidence that a hop works."""

    note: Text
    count: int | None = None
    latency_ms: float | None = None


Probe = Callable[[], _Seen | None]


def run_check(park: Park, tokens: Mapping[str, str]) -> list[Hop]:
    """Walk the path of a park that was just started; `tokens` are sign-in tokens by role.

    Raises KeyboardInterrupt when a signal asks to stop meanwhile.
    """
    walk = _Walk(park, tokens)
    hops: list[Hop] = []
    try:
        for name, probe, within_s, program in walk.path():
            hop = _prove(park, name, probe, within_s, program)
            hops.append(hop)
            if not hop.ok:
                break
    finally:
        walk.close()
    return hops


def broken_start(park: Park, error: ParkError) -> list[Hop]:
    """What a park shows that did not start: the hop that the step at hand makes; nothing before there are any."""
    if park.step not in _MADE_BY:
        return []
    name, program = _MADE_BY[park.step]
    reason = str(error).splitlines()[0]
    note = Text("未能启动", f"does not start: {reason}")
    return [Hop(name, ok=False, note=note, last_words=_last_words(park, program))]


def _prove(park: Park, name: str, probe: Probe, within_s: float, program: str) -> Hop:
    deadline = time.monotonic() + within_s
    reason = "no sign of it"
    while time.monotonic() < deadline:
        if park.supervisor.stopping:
            raise KeyboardInterrupt
        park.poll()
        try:
            seen = probe()
        except (ParkError, OSError, URLError, WebSocketException, ValueError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
        else:
            if seen is not None:
                return Hop(name, ok=True, note=seen.note, count=seen.count, latency_ms=seen.latency_ms)
        time.sleep(0.1)
    note = Text(
        f"{within_s:.0f} 秒内未通过，见 {program} 的日志",
        f"{' '.join(reason.split())} within {within_s:.0f} s; see the log of {program}",
    )
    return Hop(name, ok=False, note=note, last_words=_last_words(park, program))


def _last_words(park: Park, program: str) -> str:
    log = max((park.folder / "log").glob(f"{program}*.log"), key=lambda file: file.stat().st_mtime, default=None)
    if log is None:
        return both(Text(f"{program} 未在此运行", f"{program} has not run here"))
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])


class _Walk:
    """The probes, and what they keep for each other."""

    def __init__(self, park: Park, tokens: Mapping[str, str]) -> None:
        self._park = park
        self._tokens = tokens
        self._counts: dict[str, int] = {}
        self._opener: OpenerDirector = build_opener()
        self._cookies = CookieJar()
        self._doors = ExitStack()
        self._socket: ClientConnection | None = None
        self._driven = False
        self._live_alarm_ms: float | None = None
        self._alarm: Mapping[str, Any] | None = None

    def path(self) -> list[tuple[str, Probe, float, str]]:
        """Name, probe, time and the program behind it, in the order of the path."""
        return [
            ("field", self._field, WITHIN_S, "sim"),
            ("gateway", self._gateway, WITHIN_S, "gateway"),
            ("broker", self._broker, WITHIN_S, "broker"),
            ("database", self._database, WITHIN_S, "postgres"),
            ("intake", self._intake, WITHIN_S, "ingest"),
            ("readings", self._readings, WITHIN_S, "ingest"),
            ("operate", self._operate, max(WITHIN_S, ROLLED_WITHIN_S), "operate"),
            ("api", self._api, WITHIN_S, "serve"),
            ("console", self._console, WITHIN_S, "serve"),
            ("live stream", self._live, WITHIN_S, "serve"),
            ("alarm", self._alarm_committed, ALARM_WITHIN_S, "ingest"),
            ("alarm in api", self._alarm_in_api, WITHIN_S, "serve"),
            ("alarm live", self._alarm_live, WITHIN_S, "serve"),
        ]

    def close(self) -> None:
        """Leave the live stream."""
        self._doors.close()

    # the way of a reading -------------------------------------------------------------------------------------------

    def _field(self) -> _Seen | None:
        served = _count_lines(self._park.folder / "sim", "journal-*.jsonl", b'["served"')
        return self._if_grown(Text("模拟设备已应答的采样数", "samples served by simulated devices"), served)

    def _gateway(self) -> _Seen | None:
        trace = self._park.trace_file
        kept = _count_lines(trace.parent, trace.name, b"{")
        return self._if_grown(Text("已写入发件箱的数据块", "blocks kept in the outbox"), kept)

    def _if_grown(self, note: Text, count: int) -> _Seen | None:
        """What was done before the walk began proves nothing."""
        before = self._counts.setdefault(note.en, count)
        return _Seen(note, count) if count > before else None

    def _broker(self) -> _Seen | None:
        began = time.monotonic()
        self._park.ask_broker()
        return _Seen(Text("允许其用户登录", "lets its users in"), latency_ms=(time.monotonic() - began) * 1_000)

    def _proof(self) -> Proof:
        with connect(self._park.database_url("owner"), "park up --check") as connection:
            return read_proof(connection, RULE, FAULT[1])

    def _database(self) -> _Seen | None:
        began = time.monotonic()
        self._proof()
        return _Seen(Text("允许其角色登录", "lets its roles in"), latency_ms=(time.monotonic() - began) * 1_000)

    def _intake(self) -> _Seen | None:
        proof = self._proof()
        committed = Text("已按序提交的批次", "batches committed in order")
        return self._if_grown(committed, proof.batches) if proof.owned else None

    def _readings(self) -> _Seen | None:
        proof = self._proof()
        if not proof.readings or proof.age_ms is None or proof.age_ms > _FRESH_MS:
            return None
        return _Seen(
            Text("已入库的读数；最新读数的龄", "readings stored; age of the newest"), proof.readings, proof.age_ms
        )

    def _operate(self) -> _Seen | None:
        """Its lock alone proves little: who is stopped or hangs holds it, too. At work it asks every second."""
        with connect(self._park.database_url("operate"), "park up --check") as connection:
            found = read_housekeeping(connection)
        if found.asked_at is None:
            return None
        asked = self._counts.setdefault("operate", found.asked_at)
        if found.asked_at == asked or not found.rolled_streams:
            return None
        return _Seen(
            Text("持锁并在工作；已汇总的流", "holds its lock and works; streams rolled up"), found.rolled_streams
        )

    def _api(self) -> _Seen | None:
        self._sign_in()
        began = time.monotonic()
        points = self._get("/api/v1/latest?limit=1000")["items"]
        took_ms = (time.monotonic() - began) * 1_000
        known = [point for point in points if point.get("time") is not None]
        note = Text("/api/v1/latest 中有值的测点", "points with a value at /api/v1/latest")
        return _Seen(note, len(known), took_ms) if known else None

    def _console(self) -> _Seen | None:
        """The page and every file that it names; where it was not built the API says so instead."""
        began = time.monotonic()
        files = sorted(set(_FILE.findall(self._read("/console/").decode())))
        loaded = sum(len(self._read(file)) for file in files)
        took_ms = (time.monotonic() - began) * 1_000
        note = Text(f"控制台页面及其文件，{loaded // 1_000} kB", f"files of the console's page, {loaded // 1_000} kB")
        return _Seen(note, len(files) + 1, took_ms) if files else None

    def _live(self) -> _Seen | None:
        """The stream that the console shows its values from, asked as a browser does: with its Origin."""
        values = 0
        began = time.monotonic()
        while values == 0 and time.monotonic() - began < WITHIN_S / 4:
            message = self._receive(1.0)
            if message is not None and message["kind"] == "values":
                values = len(message["point"])
        return _Seen(Text("单条消息中变化的值", "changed values in one message"), values) if values else None

    # the way of an alarm --------------------------------------------------------------------------------------------

    def _alarm_committed(self) -> _Seen | None:
        if not self._driven:
            self._drive_fault()
        message = self._receive(0.1)
        if message is not None and message["kind"] == "alarms":
            self._note_live(message)
        proof = self._proof()
        if proof.alarm_at is None or proof.alarm_recorded_at is None:
            return None
        took_ms = (proof.alarm_recorded_at - proof.alarm_at) / 1_000
        what = f"{FAULT[1]} {RULE}"
        note = Text(f"{what}：从发生到提交", f"{what}: from its instant to the commit")
        return _Seen(note, proof.transitions, took_ms)

    def _alarm_in_api(self) -> _Seen | None:
        began = time.monotonic()
        alarms = self._get("/api/v1/alarms?limit=100")["items"]
        took_ms = (time.monotonic() - began) * 1_000
        found = [alarm for alarm in alarms if alarm["rule"]["key"] == RULE and alarm["closed_at"] is None]
        note = Text("/api/v1/alarms 中未关闭的报警", "open alarms at /api/v1/alarms")
        return _Seen(note, len(found), took_ms) if found else None

    def _alarm_live(self) -> _Seen | None:
        if self._live_alarm_ms is None:
            message = self._receive(1.0)
            if message is not None and message["kind"] == "alarms":
                self._note_live(message)
        if self._live_alarm_ms is None:
            return None
        note = Text("从发生到实时数据流", "from its instant to the live stream")
        return _Seen(note, latency_ms=self._live_alarm_ms)

    def _note_live(self, message: Mapping[str, Any]) -> None:
        for line in message["lines"]:
            if line["kind"] == "raised" and line["rule"] == RULE:
                self._live_alarm_ms = (datetime.now(UTC) - datetime.fromisoformat(line["at"])).total_seconds() * 1_000

    def _drive_fault(self) -> None:
        fault = ("sim", "fault", *FAULT, "--magnitude", MPA_A_SECOND, "--data", str(self._park.folder))
        argv = [sys.executable, "-m", "park_wire.command", *fault]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30, start_new_session=True)
        if done.returncode != 0:
            raise OSError(f"park sim fault {' '.join(FAULT)}: {done.stderr.strip()}")
        self._driven = True

    # doors ----------------------------------------------------------------------------------------------------------

    def _sign_in(self) -> None:
        if len(self._cookies):
            return
        self._opener = build_opener(HTTPCookieProcessor(self._cookies))
        body = json.dumps({"token": self._tokens["operator"]}).encode()
        headers = {"Content-Type": "application/json", "Origin": self._park.base_url}
        request = Request(f"{self._park.base_url}/api/v1/session", body, headers)  # noqa: S310  # our own loopback address
        with self._opener.open(request, timeout=5):
            pass

    def _get(self, path: str) -> Any:
        return json.loads(self._read(path))

    def _read(self, path: str) -> bytes:
        with self._opener.open(f"{self._park.base_url}{path}", timeout=5) as answer:
            return answer.read()

    def _receive(self, wait_s: float) -> Mapping[str, Any] | None:
        if self._socket is None:
            cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies)
            self._socket = self._doors.enter_context(
                connect_websocket(
                    self._park.base_url.replace("http", "ws", 1) + "/api/v1/live",
                    additional_headers={"Cookie": cookies, "Origin": self._park.base_url},
                    max_size=8 << 20,
                    open_timeout=5,
                )
            )
        try:
            message = self._socket.recv(wait_s)
        except TimeoutError:
            return None
        return cbor.decode(message) if isinstance(message, bytes) else None


def _count_lines(folder: Path, pattern: str, start: bytes) -> int:
    return sum(line.startswith(start) for file in folder.glob(pattern) for line in file.read_bytes().splitlines())
