"""`make model`: random traces of the delivery chain until STEPS actions are done (chain.md 1 to 4).

Prints progress; a trace that breaks something is printed as short as it could be made. The last line is a JSON object.
"""

import argparse
import json
import sys
import time
from collections import Counter
from typing import Final

from support.chain_drive import breaks, draw, shorten
from support.chain_trace import FAULTS, modelled
from support.chain_world import Broken, World

TRACE_STEPS: Final = 300
_SAY_EVERY_S: Final = 10.0


def main() -> int:
    """Run; 1 when anything is broken, lost or double."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    found: Counter[str] = Counter(steps=0, runs=0, faults=0, lost=0, double=0, gaps=0, broken=0)
    said = began = time.monotonic()
    with modelled():
        while found["steps"] < asked.steps and not found["broken"]:
            _run(asked.seed + found["runs"], min(TRACE_STEPS, asked.steps - found["steps"]), found)
            if time.monotonic() - said >= _SAY_EVERY_S:
                said = time.monotonic()
                print(f"{found['steps']} steps, {found['steps'] / (said - began):.0f}/s", flush=True)  # noqa: T201
    names = ("steps", "runs", "faults", "lost", "double", "gaps", "broken")
    told = {name: found[name] for name in names} | {"seed": asked.seed, "seconds": round(time.monotonic() - began, 1)}
    print(json.dumps(told))  # noqa: T201
    return int(bool(found["broken"] or found["lost"] or found["double"]))


def _run(seed: int, steps: int, found: Counter[str]) -> None:
    actions = draw(seed, steps)
    world = World(seed)
    done = 0
    try:
        for action in (*actions, ("calm", 0, 0)):
            done += 1
            world.apply(action)
    except Broken as broken:
        found["broken"] += 1
        shortest = shorten(seed, actions[:done])
        print(f"seed {seed}: {broken}\nshortest: {breaks(seed, shortest)}", *shortest, sep="\n  ")  # noqa: T201
    finally:
        found["steps"] += min(done, steps)
        found["runs"] += 1
        found["faults"] += sum(name in FAULTS for name, _, _ in actions[:done])
        found["lost"] += world.missing
        found["double"] += world.database.conflicts
        found["gaps"] += world.database.gaps_written
        world.close()


if __name__ == "__main__":
    sys.exit(main())
