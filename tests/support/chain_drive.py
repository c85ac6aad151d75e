"""Long random traces of the chain's model, and the shortest part of one that still breaks it."""

import random
from collections.abc import Iterator, Sequence
from typing import Final

from support.chain_trace import FAULTS, FLOW, play
from support.chain_world import Action, Broken, World

MOST_TRIES: Final = 600
"""How many parts of a trace are tried for a shorter one."""


def draw(seed: int, steps: int, *, often: Sequence[str] = (), without: Sequence[str] = ()) -> list[Action]:
    """A trace of so many steps, the same for the same seed; some actions occur more often, or not at all."""
    dice = random.Random(seed)
    weights = {
        name: weight * (5 if name in often else 1) for name, weight in (FLOW | FAULTS).items() if name not in without
    }
    names = dice.choices(list(weights), list(weights.values()), k=steps)
    return [(name, dice.randrange(8), dice.randrange(64)) for name in names]


def breaks(seed: int, actions: Sequence[Action]) -> str | None:
    """What is broken after this trace, None when all holds."""
    try:
        play(seed, actions)
    except Broken as broken:
        return str(broken)
    return None


def steps_to_break(seed: int, actions: Sequence[Action]) -> int | None:
    """After how many actions something is seen to be broken; None when nothing is, also after a calm end."""
    world = World(seed)
    try:
        for step, action in enumerate((*actions, ("calm", 0, 0)), 1):
            try:
                world.apply(action)
            except Broken:
                return step
    finally:
        world.close()
    return None


def shorten(seed: int, actions: Sequence[Action]) -> list[Action]:
    """The shortest part of a breaking trace that is found in MOST_TRIES tries."""
    left = list(actions)
    tries = 0
    size = max(1, len(left) // 2)
    while size:
        removed = False
        for part in _without_parts(left, size):
            tries += 1
            if tries > MOST_TRIES:
                return left
            if breaks(seed, part) is not None:
                left, removed = part, True
                break
        if not removed:
            size //= 2
    return left


def _without_parts(actions: list[Action], size: int) -> Iterator[list[Action]]:
    for start in range(len(actions) - size, -1, -size):
        yield actions[:start] + actions[start + size :]
