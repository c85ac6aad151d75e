"""A cancellation that `asyncio.wait_for` swallows still ends a loop."""

import asyncio

from park_gateway.cancel import leave_if_cancelled


async def _loop(result: "asyncio.Future[None]", turns: list[int]) -> None:
    while True:
        await asyncio.wait_for(asyncio.shield(result), 10)
        turns.append(1)
        leave_if_cancelled()
        await asyncio.sleep(3600)


async def test_a_swallowed_cancellation_is_found() -> None:
    """The result and the cancellation come in one turn of the loop."""
    result: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    turns: list[int] = []
    task = asyncio.create_task(_loop(result, turns))
    await asyncio.sleep(0.01)
    result.set_result(None)
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=2)
    assert done
    assert task.cancelled()


async def test_whoever_was_not_cancelled_goes_on() -> None:
    leave_if_cancelled()
