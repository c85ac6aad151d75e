"""The boundary around each endpoint: whatever goes wrong with one, the others are read on."""

import asyncio
from array import array
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import structlog

from park_gateway.cancel import leave_if_cancelled
from park_gateway.clock import Anchor
from park_gateway.presence import repeat_s
from park_gateway.reading import Readings, Sink
from park_gateway.site import Device, Endpoint
from park_wire.quality import Quality

_FIRST_DELAY_S: Final = 1.0
_MOST_DELAY_S: Final = 30.0
_STEADY_S: Final = 60.0

_log: Final = structlog.get_logger()


async def keep_reading(
    endpoint: Endpoint,
    devices: Sequence[Device],
    read: Callable[[], Coroutine[Any, Any, None]],
    anchor: Anchor,
    sink: Sink,
) -> None:
    """Run `read` for the devices of an endpoint until cancelled, and again when it ends by an error of ours.

    Until it is tried again, at most 30 s later, the endpoint's points are bad.
    """
    loop = asyncio.get_running_loop()
    delay_s = _FIRST_DELAY_S
    told = ""
    while True:
        began_s = loop.time()
        try:
            # In a task of its own: a group of tasks leaves Python 3.11 unsure whether its own was cancelled.
            await asyncio.create_task(read())
        except Exception as error:  # noqa: BLE001  # one endpoint's fault is not the others'
            said = _said(error)
            if said != told:
                names = [device.id for device in devices]
                _log.error("endpoint_failed", endpoint=str(endpoint), devices=names, error=said, exc_info=error)
            told = said
        leave_if_cancelled()
        if loop.time() - began_s > _STEADY_S:
            delay_s, told = _FIRST_DELAY_S, ""
        await _stay_bad(devices, loop.time() + delay_s, anchor, sink)
        delay_s = min(2 * delay_s, _MOST_DELAY_S)


def _said(error: Exception) -> str:
    """The first of the errors that a group of tasks ended by."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return f"{type(error).__name__}: {error}"  # pyright: ignore[reportUnknownArgumentType]


async def _stay_bad(devices: Sequence[Device], until_s: float, anchor: Anchor, sink: Sink) -> None:
    loop = asyncio.get_running_loop()
    periods = [device.period_of(point) for device in devices for point in device.points]
    # A sample that was not read is no sample, so it is not bad either.
    points = [device.index[point.name] for device in devices for point in device.model.points]
    again_s = repeat_s(min(periods, default=1_000))
    while (left_s := until_s - loop.time()) > 0:
        readings = Readings()
        readings.add_bad(array("I", points), anchor.now(), Quality.BAD_NOT_CONNECTED)
        if len(readings):
            sink.put(readings)
        await asyncio.sleep(min(left_s, again_s))
