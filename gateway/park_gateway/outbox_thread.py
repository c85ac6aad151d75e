"""The outbox in a thread of its own: a commit waits for the disk, and polling must not wait with it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

from park_gateway.outbox import Outbox
from park_gateway.reading import Readings

_P = ParamSpec("_P")
_T = TypeVar("_T")


class OutboxThread:
    """All that touches the outbox's file goes through `call`, one after the other.

    `changed` is set when there may be something to send.
    """

    def __init__(self, outbox: Outbox) -> None:
        self.outbox: Final = outbox
        self.changed: Final = asyncio.Event()
        self._executor = ThreadPoolExecutor(1, "outbox")

    def put(self, readings: Readings) -> None:
        """Take readings over; see `Outbox.put`."""
        self.outbox.put(readings)

    async def seal(self, until: int) -> None:
        """Commit what was put; see `Outbox.seal`."""
        try:
            await self.call(self.outbox.seal, until)
        finally:
            # A full outbox may have taken a part, and only what is sent makes room for the rest.
            self.changed.set()

    async def call(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run a method of the outbox in its thread. If the caller is cancelled, it runs to its end all the same."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(function, *args, **kwargs))

    async def close(self) -> None:
        """Close the outbox, after what is under way."""
        await self.call(self.outbox.close)
        self._executor.shutdown()
