"""A meter that answers nonsense, over both framings: it alone is bad, for as long as it does; nobody waits for it.

Unit 2 misbehaves on a line that it shares with units 1 and 3; unit 1 of another endpoint has nothing to do with it.
Many lines run at the same time, because each of them mostly waits.
"""

import asyncio
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from park_gateway.clock import Anchor
from park_gateway.schedule import Schedule
from park_wire.quality import Quality
from support.field import Gathered, running, site_of
from support.gateway_nonsense import SECRET_WORD, Asked, Line, serving

PERIOD_S = 0.2
TIMEOUT_S = 0.25
RUN_S = 1.2
# What a loaded machine may add.
SLACK_S = 0.4
AT_ONCE = 18
Pieces = Sequence[tuple[float, bytes]] | None
Answer = Callable[[Line, Asked], Pieces]

LOST = {Quality.BAD_NO_ANSWER, Quality.BAD_NONSENSE, Quality.BAD_NOT_CONNECTED}
NONSENSE, SILENT = {Quality.BAD_NONSENSE}, {Quality.BAD_NO_ANSWER}


def at_once(answer: Callable[[Line, Asked], bytes]) -> Answer:
    return lambda line, asked: [(0.0, answer(line, asked))]


def framed(pdu: Callable[[Asked], bytes]) -> Answer:
    return at_once(lambda line, asked: line.frame(asked, pdu(asked)))


def secret(asked: Asked) -> bytes:
    return asked.words(SECRET_WORD)


def wrong_transaction(line: Line, asked: Asked) -> Pieces:
    return [(0.0, line.frame(replace(asked, transaction=asked.transaction + 7 & 0xFFFF), secret(asked)))]


def wrong_unit(line: Line, asked: Asked) -> Pieces:
    """As unit 1, whose turn it is not."""
    return [(0.0, line.frame(replace(asked, unit=1), secret(asked)))]


def wrong_protocol(line: Line, asked: Asked) -> Pieces:
    frame = line.frame(asked, secret(asked))
    return [(0.0, frame[:2] + b"\x12\x34" + frame[4:])]


def cut(line: Line, asked: Asked) -> Pieces:
    return [(0.0, line.frame(asked, secret(asked))[:-5])]


def giant_length(line: Line, asked: Asked) -> Pieces:
    frame = line.frame(asked, secret(asked))
    return [(0.0, frame[:2] + b"\xff" + frame[3:] if line.rtu else frame[:4] + b"\xff\xff" + frame[6:])]


def slow_drip(line: Line, asked: Asked) -> Pieces:
    """A byte every 20 ms, longer than anybody waits."""
    return [(0.02, bytes((byte,))) for byte in line.frame(asked, secret(asked))]


def drip_of_garbage(_line: Line, _asked: Asked) -> Pieces:
    return [(0.02, b"\x02\x03")] * 20


def hang_up(_line: Line, _asked: Asked) -> Pieces:
    return None


def silence(_line: Line, _asked: Asked) -> Pieces:
    return []


def late(line: Line, asked: Asked) -> Pieces:
    """After the timeout, so that it comes while somebody else is asked."""
    return [(TIMEOUT_S * 1.3, line.frame(asked, secret(asked)))]


def very_late(line: Line, asked: Asked) -> Pieces:
    return [(TIMEOUT_S * 2.2, line.frame(asked, secret(asked)))]


def one_behind(line: Line, asked: Asked) -> Pieces:
    """Always the answer to the request before."""
    before = line.asked[-2] if len(line.asked) > 1 else None
    return [(0.0, line.frame(before, secret(before)))] if before else []


def two_answers(line: Line, asked: Asked) -> Pieces:
    """Short ones, one behind the other."""
    frame = line.frame(asked, bytes((asked.function, 2)) + struct.pack(">H", SECRET_WORD))
    return [(0.0, frame + frame)]


def noise(_line: Line, _asked: Asked) -> Pieces:
    return [(0.0, b"\xff" * 300)]


def http(_line: Line, _asked: Asked) -> Pieces:
    return [(0.0, b"HTTP/1.1 400 Bad Request\r\n\r\n")]


CASES: dict[str, tuple[Answer, set[Quality]]] = {
    "wrong transaction": (wrong_transaction, NONSENSE),
    "wrong unit": (wrong_unit, NONSENSE),
    "wrong protocol id": (wrong_protocol, LOST),
    "fewer registers": (framed(lambda asked: replace(asked, count=asked.count - 1).words(SECRET_WORD)), NONSENSE),
    "more registers": (framed(lambda asked: replace(asked, count=asked.count + 1).words(SECRET_WORD)), NONSENSE),
    "no registers": (framed(lambda asked: bytes((asked.function, 0))), NONSENSE),
    "byte count lies": (framed(lambda asked: bytes((asked.function, 250)) + secret(asked)[2:]), LOST),
    "odd byte count": (framed(lambda asked: bytes((asked.function, 3)) + b"\x5b\xad\x5b"), NONSENSE),
    "short frame": (cut, LOST),
    "giant length": (giant_length, LOST),
    "other read function": (framed(lambda asked: bytes((4,)) + secret(asked)[1:]), NONSENSE),
    "answer to a write": (framed(lambda asked: struct.pack(">BHH", 16, asked.address, asked.count)), LOST),
    "unknown function": (framed(lambda _: b"\x55\x01\x02\x03"), LOST),
    "only a function": (framed(lambda asked: bytes((asked.function,))), LOST),
    "slow drip": (slow_drip, LOST),
    "drip of garbage": (drip_of_garbage, LOST),
    "hang-up": (hang_up, LOST),
    "silence": (silence, SILENT),
    "late": (late, LOST),
    "very late": (very_late, LOST),
    "one behind": (one_behind, LOST),
    "two short answers": (two_answers, LOST),
    "noise": (noise, LOST),
    "http": (http, LOST),
    **{
        f"exception {code}": (
            framed(lambda asked, code=code: bytes((asked.function | 0x80, code))),
            # 10 and 11 are a gateway's, on behalf of a device that it can't reach.
            SILENT if code in (10, 11) else {Quality.BAD_REFUSED},
        )
        for code in range(1, 12)
    },
    "exception of another function": (framed(lambda _: b"\x84\x02"), LOST | {Quality.BAD_REFUSED}),
    "exception 0": (framed(lambda asked: bytes((asked.function | 0x80, 0))), {Quality.BAD_REFUSED}),
}
# RTU frames have no number and no protocol id.
TCP_ONLY = {"wrong transaction", "wrong protocol id"}


def _device(name: str, port: int, unit: int, scheme: str) -> str:
    return (
        f'id = "{name}"\nmodel = "acrel-adw300"\nendpoint = "{scheme}://127.0.0.1:{port}"\nunit = {unit}\n'
        f"period_ms = {PERIOD_S * 1000:.0f}\ntimeout_ms = {TIMEOUT_S * 1000:.0f}\n"
    )


class _Run:
    """Four meters and what was gathered from them."""

    def __init__(self, folder: Path, line_port: int, other_port: int, rtu: bool) -> None:
        scheme = "modbus-rtu-over-tcp" if rtu else "modbus-tcp"
        places = {"m-1": (line_port, 1), "bad": (line_port, 2), "m-3": (line_port, 3), "other": (other_port, 1)}
        self.site = site_of(folder, *(_device(name, *place, scheme) for name, place in places.items()))
        self.sink = Gathered()
        self.schedule = Schedule(self.site, Anchor(), self.sink)

    def of(self, name: str) -> dict[str, list[tuple[int, float, int, int]]]:
        """The readings of each point of a device."""
        device = next(one for one in self.site.devices if one.id == name)
        found: dict[str, list[tuple[int, float, int, int]]] = {point: [] for point in device.index}
        names = {at: point for point, at in device.index.items()}
        for readings in self.sink.all:
            columns = (readings.time, readings.value, readings.quality, readings.mark)
            for at, time, value, quality, mark in zip(readings.index, *columns, strict=True):
                if at in names:
                    found[names[at]].append((time, value, quality, mark))
        return found

    def lost(self) -> bool:
        """Whether every point of the misbehaving one has a bad reading."""
        return all(any(quality >= Quality.BAD for *_, quality, _ in rows) for rows in self.of("bad").values())


GROUPS = [
    (rtu, part)
    for rtu, cases in ((False, list(CASES)), (True, [case for case in CASES if case not in TCP_ONLY]))
    for part in (cases[at : at + AT_ONCE] for at in range(0, len(cases), AT_ONCE))
]


@pytest.mark.parametrize(("rtu", "cases"), GROUPS, ids=[f"{'rtu' if rtu else 'tcp'}-{part[0]}" for rtu, part in GROUPS])
async def test_nonsense_is_one_devices_own(tmp_path: Path, rtu: bool, cases: list[str]) -> None:
    for case in cases:
        (tmp_path / case).mkdir()
    results = await asyncio.gather(*(_play(tmp_path / case, case, rtu) for case in cases), return_exceptions=True)
    failed = {case: result for case, result in zip(cases, results, strict=True) if result is not None}
    assert not failed, "\n".join(f"{case}: {failure}" for case, failure in failed.items())


async def _play(folder: Path, case: str, rtu: bool) -> None:
    """A line whose unit 2 is honest, misbehaves for a while, and is honest again."""
    line, other = Line(rtu, CASES[case][0], misbehaves=False), Line(rtu, silence)
    async with serving(line) as line_port, serving(other) as other_port:
        run = _Run(folder, line_port, other_port, rtu)
        async with running(run.schedule.run()):
            await run.sink.until(lambda: all(run.of("bad").values()))
            line.misbehaves = True
            await run.sink.until(run.lost)
            began = run.schedule.anchor.now()
            await asyncio.sleep(RUN_S)
            ended = run.schedule.anchor.now()
            line.misbehaves = False
            seen = len(run.sink.all)
            await run.sink.until(lambda: _is_good(run, seen))
    for name in ("m-1", "m-3", "other"):
        _check_neighbour(run, name, began, ended)
    _check_bad(run, case, began, ended)


def _check_neighbour(run: _Run, name: str, began: int, ended: int) -> None:
    # On its own line a request that gets no answer takes its timeout, twice before the device is given up.
    longest_s = PERIOD_S + SLACK_S + (0 if name == "other" else 2 * TIMEOUT_S)
    for point, rows in run.of(name).items():
        assert {Quality(quality) for *_, quality, _ in rows} == {Quality.GOOD}, f"{name} {point}"
        assert len({value for _, value, *_ in rows}) == 1, f"{name} {point}: a value of another unit or register"
        times = [began, *(time for time, *_ in rows if began <= time <= ended), ended]
        gap_s = max(later - earlier for earlier, later in pairwise(times)) / 1e6
        assert gap_s <= longest_s, f"{name} {point} waited {gap_s:.2f} s"


def _check_bad(run: _Run, case: str, began: int, ended: int) -> None:
    for point, rows in run.of("bad").items():
        bad = [row for row in rows if row[2] >= Quality.BAD]
        assert len({value for _, value, quality, _ in rows if quality < Quality.BAD}) == 1, f"{point}: a foreign value"
        assert {Quality(quality) for *_, quality, _ in bad} <= CASES[case][1], point
        assert all(math.isnan(value) for _, value, *_ in bad), point
        assert not [row for row in rows if began < row[0] <= ended and row[2] < Quality.BAD], f"{point}: its last value"


def _is_good(run: _Run, seen: int) -> bool:
    device = next(one for one in run.site.devices if one.id == "bad")
    later = run.sink.all[seen:]
    return all(
        any(
            at == index and quality == Quality.GOOD
            for readings in later
            for at, quality in zip(readings.index, readings.quality, strict=True)
        )
        for index in device.index.values()
    )
