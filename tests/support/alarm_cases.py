"""Alarm cases as text: a series of readings, one rule, and the transitions that must follow.

A case is a TOML file that a process engineer can read and write:

    title, story   what happens and why it matters
    rule           kind, limit, deadband, on_delay, off_delay, max_age, latch; what is left out has Rule's default
    every          the time from one step of the series to the next; the first step is at 0s
    series         one word a step: 1.6  a good reading    ?1.6  an uncertain one    bad  a bad one without a value
                   NaN  good but no number    _  no reading    AxN  the word A N times
                   1.5+0.1xN  and  1.5-0.1xN  N readings in a ramp
    until          how far event time goes; the last step if left out
    resets         when somebody resets the alarm
    expect         "<time> raised|cleared|reset [value]" in order; no value where no reading decided
    ends           the phase at the end
"""

import math
import random
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from park_sdk.frame import NEVER
from park_sdk.rules import Change, Phase, Rule, RuleKind
from park_sdk.testing import Stand, frame_of
from park_wire.quality import Quality

UNITS: Final = {"ms": 1_000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000}
KEYS: Final = {"title", "story", "rule", "every", "series", "until", "resets", "expect", "ends"}
RULE_KEYS: Final = {"kind", "limit", "deadband", "on_delay", "off_delay", "max_age", "latch"}
DURATIONS: Final = ("on_delay", "off_delay", "max_age")
POINT: Final = 1

Reading = tuple[int, float, int]
"""Time in µs, value, quality."""


@dataclass(frozen=True, slots=True)
class AlarmCase:
    """A case, parsed. Times in µs of event time."""

    title: str
    rule: Rule
    readings: tuple[Reading, ...]
    until: int
    resets: tuple[int, ...]
    expect: tuple[str, ...]
    ends: Phase


def microseconds(text: str) -> int:
    """`1.5s` or `1min 30s` as µs."""
    parts = text.split()
    found = [re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|min|h)", part) for part in parts]
    if not found or None in found:
        raise ValueError(f"{text!r} is not a time: write 500ms, 5s, 1.5s or 1min 30s")
    return sum(round(float(match[1]) * UNITS[match[2]]) for match in found if match)


def parse_series(text: str, every: int) -> tuple[list[Reading], int]:
    """The readings of a series, and the time of its last step."""
    steps: list[tuple[float, int] | None] = []
    for word in text.split():
        body, times = word, 1
        if match := re.fullmatch(r"(.+)x(\d+)", word):
            body, times = match[1], int(match[2])
        steps.extend(parse_word(body, times))
    readings = [(n * every, *step) for n, step in enumerate(steps) if step is not None]
    return readings, (len(steps) - 1) * every


def parse_word(word: str, times: int) -> list[tuple[float, int] | None]:
    """What one word of a series stands for, `times` times."""
    if word == "_":
        return [None] * times
    if word == "bad":
        return [(math.nan, int(Quality.BAD_NO_ANSWER))] * times
    if word == "NaN":
        return [(math.nan, int(Quality.GOOD))] * times
    number = r"\d+(?:\.\d+)?"
    match = re.fullmatch(rf"(\??)(-?{number})(?:([+-]{number}))?", word)
    if match is None:
        raise ValueError(f"{word!r} is no word of a series: expected 1.6, ?1.6, bad, NaN, _ or 1.5+0.1")
    quality = int(Quality.UNCERTAIN if match[1] else Quality.GOOD)
    start, slope = float(match[2]), float(match[3] or 0)
    return [(round(start + n * slope, 9), quality) for n in range(times)]


def refuse_unknown(table: dict[str, Any], known: set[str], where: str) -> None:
    """A misspelt key would silently test nothing."""
    if strange := sorted(set(table) - known):
        raise ValueError(f"{where}: {strange} is not known; known are {sorted(known)}")


def load_case(path: Path) -> AlarmCase:
    """Read a case; a ValueError names the file and the key."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    refuse_unknown(table, KEYS, path.name)
    refuse_unknown(table["rule"], RULE_KEYS, f"{path.name}: rule")
    settings: dict[str, Any] = dict(table["rule"])
    settings |= {key: microseconds(settings[key]) for key in DURATIONS if key in settings}
    settings["kind"] = RuleKind[settings["kind"]]
    readings, last = parse_series(table["series"], microseconds(table["every"]))
    return AlarmCase(
        title=table["title"],
        rule=Rule(rule=1, point=POINT, **settings),
        readings=tuple(readings),
        until=microseconds(table["until"]) if "until" in table else last,
        resets=tuple(microseconds(text) for text in table.get("resets", [])),
        expect=tuple(table["expect"]),
        ends=Phase[table["ends"].upper()],
    )


def describe(change: int, at: int, value: float) -> str:
    """A transition as `expect` writes it."""
    seconds = at / UNITS["s"]
    text = f"{seconds:g}s {Change(change).name.lower()}"
    return text if math.isnan(value) else f"{text} {value:g}"


def play(case: AlarmCase, cuts: Sequence[int], *, tell: bool) -> tuple[list[str], Phase]:
    """Play a case in pieces: a piece ends before each of the cuts.

    tell: whether the kernel is told at each cut that nothing older will follow, or only at the end.
    """
    stand = Stand([case.rule])
    said: list[str] = []
    edges = [NEVER, *sorted({cut for cut in cuts if cut < case.until}), None]
    for begin, end in pairwise(edges):
        assert begin is not None
        readings = [row for row in case.readings if row[0] >= begin and (end is None or row[0] < end)]
        resets = [(0, at) for at in case.resets if at >= begin and (end is None or at < end)]
        frame = frame_of((POINT, *reading) for reading in readings)
        until = case.until if end is None else end if tell else NEVER
        found = stand.feed(frame, until, resets)
        said.extend(
            describe(*step) for step in zip(found.change.tolist(), found.at.tolist(), found.value.tolist(), strict=True)
        )
    return said, Phase(int(stand.state.phase[0]))


def cuts_of(case: AlarmCase, seed: int) -> list[int]:
    """Random instants to cut a case at, some of them exactly where something happens."""
    choice = random.Random(seed)
    instants = [row[0] for row in case.readings] + list(case.resets)
    anywhere = [choice.randrange(case.until + 1) for _ in range(choice.randrange(6))]
    return anywhere + choice.sample(instants, choice.randrange(len(instants) + 1))
