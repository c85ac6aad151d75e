"""An outbox on a clock that a test moves, and a gateway without a field."""

import contextlib
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from park_gateway.outbox import Outbox
from park_platform.embedded.broker import Broker
from park_platform.embedded.broker_accounts import INGEST
from support.gateway_edge import Edge
from support.outboxes import Clock, close_outboxes, open_outbox


@pytest.fixture
def clock() -> Generator[Clock]:
    """The clock of this test's outboxes; they are closed behind it."""
    yield Clock()
    close_outboxes()


@pytest.fixture
def outbox(tmp_path: Path, clock: Clock) -> Outbox:
    """An empty outbox."""
    return open_outbox(tmp_path / "outbox", clock)


@pytest.fixture
def own_broker(service_folder: Path) -> Generator[Broker]:
    """A running broker that this test may stop and start."""
    broker = Broker(service_folder / "broker")
    broker.accounts.add(INGEST)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
async def edge(tmp_path: Path, broker: Broker) -> AsyncGenerator[Edge]:
    """A gateway without a field at the session's broker."""
    edge = Edge(tmp_path, broker)
    yield edge
    # A test may have closed it.
    with contextlib.suppress(RuntimeError):
        await edge.outbox.close()
    close_outboxes()
