"""What an OPC UA value means on the wire: number, quality and time. Pure; knows the standard and no library."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from park_wire import cbor
from park_wire.batch import MOST_EVENT_BYTES
from park_wire.quality import Quality

SKEW_US: Final = 2_000_000
"""A source time this far from anchored time is accepted (chain.md 3.5)."""

_MOST_TEXT: Final = 256
_OVERFLOW: Final = 0x0480
"""InfoType DataValue with the overflow bit: the server's queue was too short for this item."""

# The upper 16 bits of a status code (IEC 62541-4, annex A; IEC 62541-8 for those of devices).
_REASONS: Final = {
    0x4090: Quality.UNCERTAIN_LAST_USABLE,  # Uncertain_LastUsableValue
    0x408F: Quality.UNCERTAIN_LAST_USABLE,  # Uncertain_NoCommunicationLastUsableValue
    0x4093: Quality.UNCERTAIN_SENSOR_NOT_ACCURATE,
    0x4094: Quality.UNCERTAIN_RANGE_EXCEEDED,  # Uncertain_EngineeringUnitsExceeded
    0x4095: Quality.UNCERTAIN_SUB_NORMAL,
    0x8089: Quality.BAD_CONFIGURATION,
    0x8033: Quality.BAD_CONFIGURATION,  # BadNodeIdInvalid
    0x8034: Quality.BAD_CONFIGURATION,  # BadNodeIdUnknown
    0x8035: Quality.BAD_CONFIGURATION,  # BadAttributeIdInvalid
    0x8074: Quality.BAD_CONFIGURATION,  # BadTypeMismatch
    0x808A: Quality.BAD_NOT_CONNECTED,
    0x8031: Quality.BAD_NOT_CONNECTED,  # BadNoCommunication
    0x808B: Quality.BAD_DEVICE_FAILURE,
    0x808C: Quality.BAD_SENSOR_FAILURE,
    0x808D: Quality.BAD_OUT_OF_SERVICE,
    0x8032: Quality.BAD_WAITING,  # BadWaitingForInitialData
    0x800A: Quality.BAD_NO_ANSWER,  # BadTimeout
    0x801F: Quality.BAD_REFUSED,  # BadUserAccessDenied
    0x803A: Quality.BAD_REFUSED,  # BadNotReadable
    0x8013: Quality.BAD_REFUSED,  # BadSecurityChecksFailed
}


def quality_of(status: int) -> Quality:
    """The wire's quality of a 32-bit status code: its severity always, its reason where the wire has one."""
    reason = _REASONS.get(status >> 16)
    if reason is not None:
        return reason
    match status >> 30:
        case 0:
            return Quality.GOOD
        case 1:
            return Quality.UNCERTAIN
        case _:
            return Quality.BAD


def is_overflow(status: int) -> bool:
    """Whether the server says that it dropped values of this item."""
    return status & _OVERFLOW == _OVERFLOW


def number_of(value: object) -> float:
    """A value as a number; NaN for what is none. True and False are 1 and 0."""
    if isinstance(value, bool | int | float):
        try:
            return float(value)
        except OverflowError:
            return math.nan
    return math.nan


def judge(number: float, quality: Quality, low: float, high: float) -> tuple[float, Quality]:
    """Value and quality as they are sent: nothing bad keeps a value, and a good value lies in its measuring range."""
    if quality >= Quality.BAD:
        return math.nan, quality
    if not math.isfinite(number):
        return math.nan, Quality.BAD_NONSENSE
    if quality is Quality.GOOD and not low <= number <= high:
        return number, Quality.UNCERTAIN_RANGE_EXCEEDED
    return number, quality


def choose_time(source: int | None, server: int | None, now: int, *, first: bool) -> tuple[int, bool]:
    """The time of a reading and whether it is certain, all in µs.

    The source's time within the skew; else the server's within the skew, else ours, and not certain. The `first` value
    of a subscription, or one that was asked for, may be as old as it likes: it still holds now.
    """
    if source is None:
        return now, True
    if abs(source - now) <= SKEW_US:
        return source, True
    if first and source < now:
        return now, True
    if server is not None and abs(server - now) <= SKEW_US:
        return server, False
    return now, False


def event_body(fields: Mapping[str, object]) -> dict[str, Any]:
    """Fields of an event as the wire takes them: plain, finite, without NUL, within the size of an event.

    What does not fit is cut, texts first; a weigh ticket with a foolish remark must not be lost for it.
    """
    body = {key: _plain(value, _MOST_TEXT) for key, value in fields.items()}
    most = _MOST_TEXT
    while len(cbor.encode(body)) > MOST_EVENT_BYTES and most > 1:
        most //= 2
        body = {key: _plain(value, most) for key, value in fields.items()}
    while len(cbor.encode(body)) > MOST_EVENT_BYTES:
        body.popitem()
    return body


def _plain(value: object, most: int) -> Any:
    match value:
        case None | bool():
            return value
        case int():
            return value if -(2**63) <= value < 2**63 else str(value)
        case float():
            return value if math.isfinite(value) else None
        case datetime():
            return value.isoformat()
        case bytes():
            return value[: most // 2].hex()
        case _:
            # A localised text shows as its text, anything else as the library prints it.
            text = getattr(value, "Text", value)
            return "" if text is None else str(text).replace("\0", "")[:most]
