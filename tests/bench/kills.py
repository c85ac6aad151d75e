"""kill -9 of gateway, broker, database and intake while readings flow: accepted, stored, lost, double (chain.md 3.7).

A whole park on disk, its readings counted by its simulated field. The database dies by its postmaster and by single
backends in turns. KILLS is how often each dies, SEED the order and the moments.
"""

import os
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from signal import SIGKILL
from typing import Any, Final

from park_platform.storage.journal import verify
from park_platform.supervise import STEADY_AFTER_S
from park_sim.control import ask
from support.park import WholePark, park_folder, whole_park
from support.truth import accepted_samples, account, judge_journal, stored_samples

KILLS: Final = int(os.environ.get("KILLS", "10"))
SEED: Final = int(os.environ.get("SEED", "1"))
VICTIMS: Final = ("gateway", "broker", "database", "intake")
_CHILD: Final = {"gateway": "gateway", "broker": "broker", "database": "postgres", "intake": "ingest"}
_RECOVERED_WITHIN_S: Final = 60.0
# A meter and a vessel: something that is polled, and something that a subscription brings.
_PROBES: Final = ("gas-pipeline", "tank-2")


@dataclass(slots=True)
class _Run:
    """One run's park, its luck, and what has happened so far."""

    park: WholePark
    luck: random.Random
    kills: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    recover_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    probes: list[int] = field(default_factory=list[int])


def run() -> dict[str, Any]:
    """Kill each of them KILLS times."""
    with park_folder(on_disk=True) as folder, whole_park(folder, trace=True) as park:
        return kill_all(park, KILLS, SEED)


def kill_all(park: WholePark, kills: int, seed: int, *, steady: bool = True) -> dict[str, Any]:
    """Kill everything `kills` times in a park that was just started with a trace, then compare.

    `steady`: nobody is killed who has lived for less than STEADY_AFTER_S; so the supervisor's growing delays, which are
    for programs that fail again and again, are not what is measured.
    """
    state = _Run(park, random.Random(seed))
    _await_flow(state)
    # Something must alarm, again and again: the relief valve lifts and reseats.
    park.sim("fault", "over-pressure", "tank-2", "--magnitude", "0.1")
    for number in range(kills * len(VICTIMS)):
        victim = _choose(state, kills, steady=steady)
        park.rest(state.luck.uniform(0.2, 2.5))
        seconds = _kill(state, victim)
        sys.stderr.write(f"kill {number + 1}: {victim}, a new reading stored after {seconds:.1f} s\n")
    park.rest(3.0)
    return {"seed": seed, **_compare(state)}


def _choose(state: _Run, kills: int, *, steady: bool) -> str:
    left = [victim for victim in VICTIMS if state.kills[victim] < kills]
    if not steady:
        return state.luck.choice(left)

    def ready() -> list[str]:
        return [victim for victim in left if state.park.child(_CHILD[victim]).alive_s >= STEADY_AFTER_S]

    return state.luck.choice(state.park.wait(ready, "somebody who is steady", STEADY_AFTER_S + 30))


def _kill(state: _Run, victim: str) -> float:
    """Kill it and wait until readings that were taken after that are stored; returns the seconds that it took."""
    state.kills[victim] += 1
    pid = state.park.child(_CHILD[victim]).pid
    assert pid is not None, f"{victim} does not run"
    if victim == "database" and state.kills[victim] % 2 == 0:
        pid = _backend(state)
    began, killed_us = time.monotonic(), time.time_ns() // 1_000
    os.kill(pid, SIGKILL)
    state.park.wait(_stored_after(state, killed_us), f"readings after a kill of {victim}", _RECOVERED_WITHIN_S)
    seconds = time.monotonic() - began
    state.recover_s[victim].append(seconds)
    return seconds


def _backend(state: _Run) -> int:
    rows = state.park.rows(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'park%%' AND pid <> pg_backend_pid() ORDER BY pid"
    )
    return int(state.luck.choice(rows)[0])


def _stored_after(state: _Run, time_us: int) -> Callable[[], bool]:
    query = "SELECT ts FROM reading WHERE point_id = %s AND ts > at_us(%s) LIMIT 1"
    return lambda: all(state.park.rows(query, point, time_us) for point in state.probes)


def _await_flow(state: _Run) -> None:
    def probes() -> list[int]:
        rows = state.park.rows(
            "SELECT id FROM point WHERE quantity = 'sample-ordinal' AND device = ANY(%s)", list(_PROBES)
        )
        return [point for (point,) in rows] if len(rows) >= len(_PROBES) else []

    state.probes = state.park.wait(probes, "points of the field", 60)
    state.park.wait(_stored_after(state, 0), "the first readings", 60)


def _compare(state: _Run) -> dict[str, Any]:
    park = state.park
    drained_s = _drain(park)
    with park.database() as connection:
        found = account(connection, park.park.trace_file, park.folder / "sim")
        moves = judge_journal(connection)
        streams = connection.execute("SELECT id FROM stream").fetchall()
        broken = [sentence for (stream,) in streams if (sentence := verify(connection, stream))]
        system = connection.execute(
            "SELECT r.key, count(*) FROM journal j JOIN rule r ON r.id = j.rule_id"
            " WHERE j.point_id IS NULL AND j.kind = 'raised' GROUP BY 1 ORDER BY 1"
        ).fetchall()
    for what, some in (("lost", found.lost), ("double", found.double), ("spurious", moves.spurious)):
        if some:
            sys.stderr.write(f"{what}: {some[:20]}\n")
    if moves.missing:
        sys.stderr.write(f"missing transitions: {moves.missing[:20]}\n")
    times = {victim: sorted(state.recover_s[victim]) for victim in VICTIMS}
    return {
        "accepted": found.accepted,
        "stored": found.stored,
        "lost": len(found.lost),
        "double": len(found.double),
        "conflicts": found.conflicts,
        "gaps": found.gaps,
        "dead_letters": found.letters,
        "untraced": found.untraced,
        "missed_polls": len(found.missed_polls),
        "missed_polls_of_a_block": _most_of_a_block(found.missed_polls),
        "missed_updates": len(found.missed_updates),
        "kills": sum(state.kills.values()),
        "transitions": moves.recorded,
        "spurious_transitions": len(moves.spurious),
        "missing_transitions": len(moves.missing),
        "journal_faults": broken,
        "system_alarms": {str(key): int(count) for key, count in system},
        "recover_p50_s": {victim: round(statistics.median(found_s), 2) for victim, found_s in times.items() if found_s},
        "recover_max_s": {victim: round(found_s[-1], 2) for victim, found_s in times.items() if found_s},
        "drained_s": round(drained_s, 1),
    }


def _most_of_a_block(missed: list[tuple[str, str, int]]) -> int:
    counted: dict[tuple[str, str], int] = defaultdict(int)
    for device, block, _ in missed:
        counted[device, block] += 1
    return max(counted.values(), default=0)


def _drain(park: WholePark) -> float:
    """Silence the field, and wait until what was accepted is stored or nothing moves any more."""
    devices = {device for (device,) in park.rows("SELECT DISTINCT device FROM point WHERE quantity = 'sample-ordinal'")}
    for device in sorted(devices):
        ask(park.folder, {"do": "fault", "fault": "offline", "target": device, "magnitude": None, "duration_s": None})
    began = moved = time.monotonic()
    park.rest(2.0)
    left, before = -1, -1
    while left and time.monotonic() - moved < 15.0:
        with park.database() as connection:
            stored = stored_samples(connection)
        left = sum(sample not in stored for sample in accepted_samples(park.park.trace_file))
        if left != before:
            before, moved = left, time.monotonic()
        park.rest(0.5)
    return time.monotonic() - began
