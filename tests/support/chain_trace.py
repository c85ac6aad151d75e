"""What can happen to the chain, how often, and a whole trace of it."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, Final

import structlog

import park_gateway.flow
import park_gateway.outbox
import park_gateway.publish
from support.chain_worker import modelled_storage
from support.chain_world import Action, World

FLOW: Final[dict[str, float]] = {
    "seal": 14,
    "seal_late": 5,
    "give_up": 0.7,
    "run": 22,
    "wait": 10,
    "turn": 8,
    "deliver": 12,
    "calm": 0.4,
    "back_up": 1.5,
}
FAULTS: Final[dict[str, float]] = {
    "drop": 3,
    "duplicate": 3,
    "mislay": 3,
    "find": 3,
    "broker_forgets": 1,
    "cut": 2,
    "crash": 2,
    "configure": 0.7,
    "clone": 0.8,
    "lose_outbox": 0.6,
    "fail": 2,
    "freeze": 1.5,
    "thaw": 2,
    "kill_worker": 1.5,
    "restore": 0.8,
}


@contextmanager
def modelled() -> Generator[None]:
    """Within it worlds can be made: storage is played and nobody logs."""
    secrets, dice = park_gateway.outbox.secrets, park_gateway.flow._random  # pyright: ignore[reportPrivateUsage]
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), processors=[_drop])
    try:
        with modelled_storage():
            yield
    finally:
        structlog.reset_defaults()
        outbox: Any = park_gateway.outbox
        outbox.secrets = secrets
        for module in (park_gateway.flow, park_gateway.publish):
            played: Any = module
            played._random = dice


def _drop(_logger: Any, _name: str, _event: Any) -> Any:
    raise structlog.DropEvent


def play(seed: int, actions: Iterable[Action]) -> None:
    """A trace from its beginning to a calm end. Raises Broken."""
    world = World(seed)
    try:
        for action in actions:
            world.apply(action)
        world.apply(("calm", 0, 0))
    finally:
        world.close()
