"""What a park should hold by the truth of its field, and what it does hold (chain.md 3.7).

Three witnesses that know nothing of each other: the simulator's journal says what was served, the gateway's trace what
was accepted, the database what is stored. A sample is (device, block, ordinal).
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString, TypeAlias

from park_gateway.device import OPCUA_BLOCK
from park_platform.storage.connect import Connection
from park_platform.storage.streams import rules_of
from park_sdk.rules import Change, Rule, RuleKind
from park_sim.journal import read_journal
from park_wire.quality import LATE, is_bad
from support.alarm_oracle import Oracle

Sample: TypeAlias = tuple[str, str, int]
Identity: TypeAlias = tuple[str, str, int]
"""Epoch in hex, lane, seq."""
Move: TypeAlias = tuple[int, int, str, int]
"""Rule, point, kind, time in µs."""


def served_samples(sim: Path) -> set[Sample]:
    """What the field served, by the simulator's journal in `sim`."""
    return {(line[2], line[3], line[4]) for line in read_journal(sim) if line[0] == "served"}


def accepted_samples(trace: Path) -> dict[Sample, list[Identity]]:
    """What the gateway accepted, and in which batches; without a line that a kill tore or that is being written."""
    accepted: dict[Sample, list[Identity]] = {}
    for text in trace.read_bytes().splitlines(keepends=True):
        try:
            line = json.loads(text)
        except ValueError:
            continue
        for ordinal in range(line["first"], line["last"] + 1):
            sample = (line["device"], line["block"], ordinal)
            accepted.setdefault(sample, []).append((line["epoch"], line["lane"], line["seq"]))
    return accepted


def stored_samples(connection: Connection) -> Counter[Sample]:
    """What is stored, and how often: the points of simulated devices that hold a sample's ordinal."""
    rows = connection.execute(
        """
        SELECT p.device, regexp_replace(p.name, '^sample-', ''), r.value::bigint, count(*)
        FROM reading r JOIN point p ON p.id = r.point_id
        WHERE p.quantity = 'sample-ordinal' AND r.value = r.value GROUP BY 1, 2, 3
        """
    )
    return Counter({(device, block, ordinal): count for device, block, ordinal, count in rows})


@dataclass(frozen=True, slots=True)
class Account:
    """The comparison.

    missed_polls: served to a request and never accepted. missed_updates: shown by an OPC UA server while nobody held a
    subscription. untraced: stored, though a kill came between the outbox's commit and its line in the trace.
    """

    accepted: int
    stored: int
    lost: list[Sample]
    double: list[Sample]
    in_gaps: int
    gaps: int
    conflicts: int
    letters: int
    missed_polls: list[Sample]
    missed_updates: list[Sample]
    untraced: int


def account(connection: Connection, trace: Path, sim: Path) -> Account:
    """Compare the three witnesses once the field is silent and the outbox has drained."""
    accepted, stored = accepted_samples(trace), stored_samples(connection)
    gaps = connection.execute("SELECT encode(epoch, 'hex'), lane, from_seq, to_seq FROM gap").fetchall()
    missing = [sample for sample in accepted if sample not in stored]
    missed = sorted(served_samples(sim) - accepted.keys() - stored.keys())
    lost = [sample for sample in missing if not _is_declared(accepted[sample], gaps)]
    return Account(
        accepted=len(accepted),
        stored=len(stored),
        lost=lost,
        double=[sample for sample, count in stored.items() if count > 1],
        in_gaps=len(missing) - len(lost),
        gaps=len(gaps),
        conflicts=_count(connection, "SELECT count(*) FROM reading_conflict"),
        letters=_count(connection, "SELECT count(*) FROM dead_letter"),
        missed_polls=[sample for sample in missed if sample[1] != OPCUA_BLOCK],
        missed_updates=[sample for sample in missed if sample[1] == OPCUA_BLOCK],
        untraced=len(stored.keys() - accepted.keys()),
    )


def _count(connection: Connection, query: LiteralString) -> int:
    row = connection.execute(query).fetchone()
    return 0 if row is None else int(row[0])


def _is_declared(identities: Iterable[Identity], gaps: Iterable[tuple[str, str, int, int | None]]) -> bool:
    return all(
        any(
            (epoch, lane) == (of_epoch, of_lane) and first <= seq and (last is None or seq <= last)
            for of_epoch, of_lane, first, last in gaps
        )
        for epoch, lane, seq in identities
    )


@dataclass(frozen=True, slots=True)
class Transitions:
    """Transitions of the journal that the stored readings do not give, those that they give and it lacks, and all."""

    spurious: list[Move]
    missing: list[Move]
    recorded: int


def judge_journal(connection: Connection) -> Transitions:
    """Replay the stored readings through the oracle, reading by reading, and hold the journal against it."""
    # One moment for all of it: the park goes on.
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return _judge(connection)


def _judge(connection: Connection) -> Transitions:
    recorded: set[Move] = set(
        connection.execute(
            "SELECT rule_id, point_id, kind, us_of(at) FROM journal WHERE kind IN ('raised', 'cleared')"
            " AND point_id IS NOT NULL AND NOT late"
        ).fetchall()
    )
    expected: set[Move] = set()
    streams = connection.execute("SELECT id, us_of(event_until) FROM stream WHERE event_until IS NOT NULL").fetchall()
    for stream, until in streams:
        for rule in _rules(connection, stream):
            expected |= _replay(connection, rule, until)
    return Transitions(sorted(recorded - expected), sorted(expected - recorded), len(recorded))


def _rules(connection: Connection, stream: int) -> list[Rule]:
    table = rules_of(connection, stream).table
    columns = (table.rule, table.point, table.kind, table.limit, table.deadband, table.on_delay, table.off_delay)
    return [
        Rule(
            rule=rule,
            point=point,
            kind=RuleKind(kind),
            limit=limit,
            deadband=deadband,
            on_delay=on_delay,
            off_delay=off_delay,
            max_age=max_age,
            latch=latch,
        )
        for rule, point, kind, limit, deadband, on_delay, off_delay, max_age, latch in zip(
            *(column.tolist() for column in (*columns, table.max_age, table.latch)), strict=True
        )
    ]


_KINDS: Mapping[Change, str] = {Change.RAISED: "raised", Change.CLEARED: "cleared"}


def _replay(connection: Connection, rule: Rule, until: int) -> set[Move]:
    oracle = Oracle(rule)
    story: list[tuple[int, bool, float, int]] = [
        (at, False, value, quality)
        for at, value, quality in connection.execute(
            "SELECT us_of(ts), value, quality FROM reading WHERE point_id = %s AND quality & %s = 0 ORDER BY ts",
            (rule.point, LATE),
        )
    ]
    resets = connection.execute(
        "SELECT us_of(at) FROM journal WHERE kind = 'reset' AND rule_id = %s AND point_id = %s", (rule.rule, rule.point)
    )
    story += [(at, True, 0.0, 0) for (at,) in resets]
    for at, is_reset, value, quality in sorted(story):
        if is_reset:
            oracle.reset(at)
        else:
            oracle.read(at, value, is_bad(quality & 0xFF) or value != value)  # noqa: PLR0124  # NaN
    oracle.wait(until)
    return {(rule.rule, rule.point, _KINDS[change], at) for change, at, _ in oracle.steps if change in _KINDS}
