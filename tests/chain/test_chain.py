"""The delivery chain under every fault at once: the real outbox, publishing, order, staging and commits.

Played are the network, the clock and the database (`support/chain_*.py`). `make model` runs the same for as long as one
likes.
"""

import tomllib
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from support.chain_drive import breaks, draw
from support.chain_trace import FAULTS, FLOW, modelled
from support.chain_world import World

CASES = sorted((Path(__file__).parent.parent / "cases" / "chain").glob("*.toml"))
SEEDS = range(40)
STEPS = 200
WHICH, MUCH = st.integers(0, 7), st.integers(0, 63)
OFTEN = [name for name, weight in (FLOW | FAULTS).items() for _ in range(max(1, round(weight)))]


@pytest.fixture(autouse=True)
def played() -> Generator[None]:
    with modelled():
        yield


class Chain(RuleBasedStateMachine):
    """A park whose actions hypothesis chooses, and shortens when one breaks something."""

    @initialize(seed=st.integers(0, 1 << 32))
    def begin(self, seed: int) -> None:
        self.world = World(seed)

    @rule(name=st.sampled_from(OFTEN), which=WHICH, much=MUCH)
    def happen(self, name: str, which: int, much: int) -> None:
        self.world.apply((name, which, much))

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.world.apply(("calm", 0, 0))
        finally:
            self.world.close()


TestChain = Chain.TestCase
TestChain.settings = settings(
    max_examples=25,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_all_is_in_or_said_to_be_missing(seed: int) -> None:
    assert breaks(seed, draw(seed, STEPS)) is None


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_what_was_broken_once_holds(case: Path) -> None:
    found = tomllib.loads(case.read_text(encoding="utf-8"))
    assert found["about"]
    assert found["was"]
    actions = [(name, int(which), int(much)) for name, which, much in map(str.split, found["trace"])]
    assert breaks(found["seed"], actions) is None


def test_what_fails_before_a_batch_is_not_its_fault_and_ends_no_worker() -> None:
    """After a worker's death batches are tried alone; a hello that fails before the first ends no second worker."""
    world = World(1)
    try:
        for name, much in (("calm", 0), ("seal", 1), ("cut", 0), ("wait", 4), ("kill_worker", 0)):
            world.apply((name, 0, much))
        worker = world.owner()
        world.post.deliver_all()
        leaves = [one.topic.rpartition("/")[2] for one in worker.inbox]
        assert leaves.index("hello") < leaves.index("data")
        world.database.fault = "refused"
        worker.turn()
        assert not world.database.tables.letters
        world.apply(("calm", 0, 0))
    finally:
        world.close()
