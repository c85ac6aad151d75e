"""Registers -> read requests within the limits of the protocol. Pure: a plan depends on the model and nothing else.

A request never splits a value, and asks for at most 125 words. Unused registers are read along up to the model's
`max_gap`. Points of different periods are never in one request.

With `sample`, each request asks for two words more behind its last value: a simulated device counts the reads there.
They must not be in the maker's map, so a request then ends only where two words are free.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from park_gateway.device import SAMPLE_WORDS, block_name
from park_gateway.point import DeviceModel, Register

MOST_WORDS: Final = 125
_ADDRESSES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Request:
    """One read: function 3 or 4, first address, words in all, whether the last two are the sample; and whose they are.

    `points` are the names of the points that it brings, in the model's order.
    """

    name: str
    function: int
    address: int
    count: int
    sample: bool
    period_ms: int
    points: tuple[str, ...]


class NoPlan(Exception):
    """The registers of a model can't be read as it asks: problem and remedy, for a fault of whoever has the file."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}; {remedy}")


@dataclass(slots=True)
class _Piece:
    """Neighbouring registers that can't be parted: `end` is where the sample may begin, when there is one."""

    start: int
    end: int


def plan(model: DeviceModel, period_ms: int, *, sample: bool) -> tuple[Request, ...]:
    """The requests that read every point of a Modbus model once, by period and address. Raises NoPlan."""
    periods: dict[int, list[str]] = {}
    for point in model.points:
        periods.setdefault(point.period_ms or period_ms, []).append(point.name)
    requests = [
        request for period, names in sorted(periods.items()) for request in _plan(model, period, names, sample=sample)
    ]
    _check_names(requests)
    _check_marks(model, requests)
    return tuple(requests)


def _plan(model: DeviceModel, period_ms: int, names: Sequence[str], *, sample: bool) -> list[Request]:
    chosen = {name: register for name in names if (register := model.point(name).register) is not None}
    covered = [mark.register for mark in model.marks if not chosen.keys().isdisjoint(mark.points)]
    most = MOST_WORDS - (SAMPLE_WORDS if sample else 0)
    pieces = _pieces([*chosen.values(), *covered], model.mapped if sample else frozenset())
    spans: list[_Piece] = []
    for piece in pieces:
        if piece.end - piece.start > most:
            raise NoPlan(
                f"registers {piece.start} to {piece.end - 1} can't be parted and are more than {most}",
                "leave out `sample`, or leave two registers free in the map",
            )
        if spans and piece.start - spans[-1].end <= model.max_gap and piece.end - spans[-1].start <= most:
            spans[-1].end = piece.end
        else:
            spans.append(piece)
    return [_request(model, span, chosen, period_ms, sample=sample) for span in spans]


def _pieces(registers: Iterable[Register], mapped: frozenset[int]) -> list[_Piece]:
    """Pieces by address. Where `mapped` is given, each is followed by two addresses that are not in it."""
    pieces: list[_Piece] = []
    for register in sorted(registers, key=lambda at: at.address):
        if pieces and register.address < pieces[-1].end:
            # Bits of one register, or one that the piece before reads along.
            pieces[-1].end = max(pieces[-1].end, _free_end(register.end, mapped))
        else:
            pieces.append(_Piece(register.address, _free_end(register.end, mapped)))
    return pieces


def _free_end(end: int, mapped: frozenset[int]) -> int:
    if not mapped:
        return end
    while end in mapped or end + 1 in mapped:
        end += 1
    if end + SAMPLE_WORDS > _ADDRESSES:
        raise NoPlan("there is no room for the sample behind the last register", "leave out `sample`")
    return end


def _request(model: DeviceModel, span: _Piece, chosen: dict[str, Register], period_ms: int, *, sample: bool) -> Request:
    return Request(
        name=block_name(model.function, span.start),
        function=model.function,
        address=span.start,
        count=span.end - span.start + (SAMPLE_WORDS if sample else 0),
        sample=sample,
        period_ms=period_ms,
        points=tuple(name for name, at in chosen.items() if span.start <= at.address < span.end),
    )


def _check_names(requests: Sequence[Request]) -> None:
    names = [request.name for request in requests]
    for name in names:
        if names.count(name) > 1:
            raise NoPlan(f"two requests begin at {name}", "give points that share a register the same period_ms")


def _check_marks(model: DeviceModel, requests: Sequence[Request]) -> None:
    """A value and its mark must come from one read, or the mark could belong to the value before."""
    for mark in model.marks:
        for request in requests:
            inside = request.address <= mark.register.address and mark.register.end <= request.address + request.count
            outside = [name for name in request.points if name in mark.points and not inside]
            if outside:
                raise NoPlan(
                    f"the mark at {mark.register.address} is not read in one request with point {outside[0]!r}",
                    "raise max_gap, or name in the mark's `points` those near it",
                )
