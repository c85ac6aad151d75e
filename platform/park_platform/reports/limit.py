"""Stopping a system's code that runs too long: it shares the process with everything else that people ask."""

import ctypes
import threading
from collections.abc import Callable
from typing import TypeVar

_Made = TypeVar("_Made")


class _Stop(BaseException):
    """Raised in the midst of the code that is stopped; no `except Exception` of its own holds it."""


def call_within(seconds: float, call: Callable[[], _Made]) -> _Made:
    """What `call` gives. Raises TimeoutError when it has not ended after so many seconds.

    It is stopped at its next step of Python; a single call into a library ends first.
    """
    thread = threading.get_ident()
    guard = threading.Lock()
    is_over = False

    def stop() -> None:
        with guard:
            if not is_over:
                _raise_in(thread, ctypes.py_object(_Stop))

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    try:
        try:
            timer.start()
            return call()
        finally:
            with guard:
                is_over = True
                # What was raised and has not arrived yet must not arrive in somebody else's code.
                _raise_in(thread, ctypes.py_object())
            timer.cancel()
    except _Stop:
        raise TimeoutError(f"it has not ended after {seconds:g} s") from None


def _raise_in(thread: int, error: "ctypes.py_object[type[BaseException]]") -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), error)
