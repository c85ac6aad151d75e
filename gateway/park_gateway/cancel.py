"""Cancelling a loop for good on Python 3.11."""

import asyncio


def leave_if_cancelled() -> None:
    """Raise CancelledError if the current task was cancelled and something swallowed it.

    `asyncio.wait_for` of Python 3.11 does when its result comes in the same turn of the event loop, and the libraries
    are full of it: a loop that is not asked to look would go on for ever, and whoever waits for its end too.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
