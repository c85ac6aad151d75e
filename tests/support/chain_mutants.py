"""The lines that protect the chain, each broken once: what the model must see."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, TypeAlias

from park_gateway import outbox_rows, publish
from park_gateway.flow import Flow
from park_gateway.outbox import Outbox
from park_gateway.outbox_file import OutboxFile
from park_gateway.outbox_rows import LaneState
from park_platform.sensing import commits, greeting
from park_platform.sensing.holding import Holding
from park_platform.sensing.lanes import Lanes
from park_platform.sensing.life import Life, Owned
from park_platform.sensing.order import LaneOrder, Verdict
from park_platform.sensing.plan import Plan
from park_platform.sensing.staging import Staging
from park_wire.batch import Batch, Lane, Tombstone
from park_wire.messages import Ack, Hello
from support.chain_database import CHECKS

Patch: TypeAlias = tuple[Any, str, Any]
# Private members are what a mutant is made of.
_Conversation: Final[Any] = publish._Conversation  # pyright: ignore[reportPrivateUsage]
_box: Final[Any] = Outbox
_staging: Final[Any] = Staging
_greeting: Final[Any] = greeting
_commits: Final[Any] = commits
_judge: Final = LaneOrder.judge
_acknowledge: Final = Outbox.acknowledge
_obey: Final = _Conversation._obey
_restarted: Final = LaneState.restarted
_load_lane: Final = outbox_rows.load_lane
_missed: Final = _staging._stage_missed
_compare: Final = _greeting._compare


def _judging(was: Verdict, now: Verdict) -> Any:
    def judge(order: LaneOrder, message: Batch | Tombstone) -> Verdict:
        verdict = _judge(order, message)
        return now if verdict is was else verdict

    return judge


def _believe_every_head(box: Any, ack: Ack) -> Any:
    marks = dict(ack.marks)
    for lane, (mark, _) in ack.marks.items():
        state = box.lanes[lane]
        if state.oldest <= state.first + mark <= state.next:
            marks[lane] = mark, box._sha256_before(lane, state, state.first + mark)
    return _acknowledge(box, replace(ack, marks=marks))


def _believe_every_mark(box: Any, ack: Ack) -> Any:
    marks = dict(ack.marks)
    for lane, (mark, _) in ack.marks.items():
        state = box.lanes[lane]
        if mark >= state.next_seq:
            marks[lane] = state.next_seq - 1, box._sha256_before(lane, state, state.next)
    return _acknowledge(box, replace(ack, marks=marks))


async def _obey_every_ack(conversation: Any, ack: Ack) -> None:
    box = conversation._outbox
    if ack.epoch != bytes(16):
        ack = replace(ack, run=box.run, epoch=conversation._epoch)
    await _obey(conversation, ack)


async def _send_no_hello(conversation: Any, ack: Ack) -> None:
    await _obey(conversation, replace(ack, need_hello=False))


async def _send_no_birth(conversation: Any, ack: Ack) -> None:
    await _obey(conversation, replace(ack, need_birth=None))


def _begin_again_when_drained(file: OutboxFile, lane: Lane) -> LaneState:
    state = _load_lane(file, lane)
    return replace(state, first=state.next, before=bytes(32)) if state.oldest == state.next else state


def _keep_prev(state: LaneState) -> LaneState:
    return replace(_restarted(state), before=state.before)


def _bury_silently(staging: Any, tombstone: Tombstone) -> None:
    envelope = tombstone.envelope
    staging.lanes.of(envelope.epoch, envelope.lane).bury(envelope.seq, tombstone.last_seq)


def _fill_nothing(staging: Any, batch: Batch, arrived: Any) -> bool:
    done = _missed(staging, batch, arrived)
    staging.plan.filled.clear()
    return done


def _end_every_loss(order: LaneOrder, hello: Hello, lane: Lane, plan: Plan) -> None:
    if order.lost:
        order.lost = False
        plan.recover((hello.epoch, lane))


def _declare_no_hole(lanes: Lanes, hello: Hello, lane: Lane, position: Any, plan: Plan, gateway: str) -> None:
    if position.oldest_seq <= lanes.of(hello.epoch, lane).mark + 1:
        _compare(lanes, hello, lane, position, plan, gateway)


def _discard_silently(staging: Any, now: int) -> None:
    for _, discarded in staging._holding.expire(now):
        staging.plan.pubacks += discarded


def _forget_the_copy(holding: Any, message: Any, arrived: Any, now: int) -> None:
    _put(holding, message, arrived, now)


def _keep_memory(_life: Life, owned: Owned) -> None:
    owned.stream.staging.plan = Plan()


def _never(*_: object) -> bool:
    return False


def _nothing(*_: object) -> None:
    """Nothing is done."""


_put: Final = Holding.put

MUTANTS: Final[dict[str, Patch]] = {
    "prev is not compared": (LaneOrder, "judge", _judging(Verdict.BROKEN, Verdict.NEXT)),
    "the mark jumps over a hole": (LaneOrder, "judge", _judging(Verdict.EARLY, Verdict.NEXT)),
    "what fills a gap is taken for a repetition": (LaneOrder, "judge", _judging(Verdict.MISSED, Verdict.DONE)),
    "the outbox believes every head": (Outbox, "acknowledge", _believe_every_head),
    "the outbox believes every mark": (Outbox, "acknowledge", _believe_every_mark),
    "the gateway obeys acks of other runs and epochs": (_Conversation, "_obey", _obey_every_ack),
    "the gateway sends no hello when asked": (_Conversation, "_obey", _send_no_hello),
    "the gateway sends no birth when asked": (_Conversation, "_obey", _send_no_birth),
    "nothing is sent again": (Flow, "expire", _never),
    "a drained outbox begins again at 1": (outbox_rows, "load_lane", _begin_again_when_drained),
    "prev stays in a new epoch": (LaneState, "restarted", _keep_prev),
    "a tombstone leaves no gap": (Staging, "_bury", _bury_silently),
    "a gap does not shrink": (Staging, "_stage_missed", _fill_nothing),
    "a lost outbox leaves no gap": (greeting, "_give_up_lost_epochs", _nothing),
    "a late hello ends a loss": (greeting, "_end_loss", _end_every_loss),
    "a loss never ends": (greeting, "_end_loss", _nothing),
    "a hello shows no hole": (greeting, "_compare", _declare_no_hole),
    "what waited too long is discarded without a question": (Staging, "expire_held", _discard_silently),
    "an early copy is forgotten": (Holding, "put", _forget_the_copy),
    "a moved batch is stored again": (Lanes, "is_copy", _never),
    "a move is not remembered": (Lanes, "note_move", _nothing),
    "a failed commit leaves its memory": (commits, "_load_again", _keep_memory),
    "a commit does not look for the owner": (CHECKS, "owner", None),
    "a commit does not look for the incarnation": (CHECKS, "incarnation", None),
}
"""One line each. What is not among them and might be missed is held by another line; see BOTH_WALLS."""

_LATE: Final = ("back_up", "restore", "mislay", "find", "duplicate")
SEEN_WHEN: Final[dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]]] = {
    "prev is not compared": (7, ("clone", "drop", "deliver"), ()),
    "what fills a gap is taken for a repetition": (36, _LATE, ("clone",)),
    "a gap does not shrink": (5, _LATE, ("clone",)),
    "a late hello ends a loss": (24, ("lose_outbox", "mislay", "find", "cut"), ("clone", "restore")),
    "a lost outbox leaves no gap": (0, ("lose_outbox",), ("clone", "restore")),
    "a commit does not look for the incarnation": (
        12,
        ("back_up", "restore", "thaw", "duplicate"),
        ("clone", "freeze"),
    ),
    "a move is not remembered": (27, ("clone", "mislay", "find"), ()),
    "a moved batch is stored again": (5, ("clone", "mislay", "find"), ()),
    "the outbox believes every head": (5, (), ()),
    "the outbox believes every mark": (5, (), ()),
    "the gateway obeys acks of other runs and epochs": (5, (), ()),
    "what waited too long is discarded without a question": (5, _LATE, ()),
}
"""What makes it soon: the seed to begin with, actions that occur more often, and actions that do not occur."""

BOTH_WALLS: Final[dict[str, tuple[Patch, Patch]]] = {
    "another content is taken for a repetition, and the outbox believes every head": (
        (LaneOrder, "judge", _judging(Verdict.CONFLICT, Verdict.DONE)),
        (Outbox, "acknowledge", _believe_every_head),
    ),
    "a failed commit leaves its memory, and no mark is compared": (
        (commits, "_load_again", _keep_memory),
        (CHECKS, "mark", None),
    ),
}
"""Lines of which each is held by the other."""


@contextmanager
def broken(*patches: Patch) -> Generator[None]:
    """Within it these lines are broken."""
    real = [(where, what, getattr(where, what, None)) for where, what, _ in patches]
    try:
        for where, what, instead in patches:
            if where is CHECKS:
                CHECKS.discard(what)
            else:
                setattr(where, what, instead)
        yield
    finally:
        for where, what, was in real:
            if where is CHECKS:
                CHECKS.add(what)
            else:
                setattr(where, what, was)
