"""Quality of a reading, after OPC UA (IEC 62541-8): good, uncertain or bad, with a reason; and HJ 212 data marks.

On the wire a quality is one byte: the top two bits are the severity, the lower six the reason. In the database
`quality` is an int2: the wire's byte in bits 0-7, the data mark in bits 8-11, LATE in bit 12, ESTIMATED in bit 13.
"""

from enum import IntEnum
from typing import Final

SEVERITY_MASK: Final = 0xC0
UNCERTAIN_SEVERITY: Final = 0x40
BAD_SEVERITY: Final = 0x80


class Quality(IntEnum):
    """The wire's quality codes. A bad reading is sent, not skipped, and never reads as normal."""

    GOOD = 0x00

    UNCERTAIN = 0x40
    UNCERTAIN_LAST_USABLE = 0x41
    UNCERTAIN_SENSOR_NOT_ACCURATE = 0x42
    UNCERTAIN_RANGE_EXCEEDED = 0x43
    UNCERTAIN_SUB_NORMAL = 0x44
    UNCERTAIN_CLOCK = 0x45

    BAD = 0x80
    BAD_CONFIGURATION = 0x81
    BAD_NOT_CONNECTED = 0x82
    BAD_DEVICE_FAILURE = 0x83
    BAD_SENSOR_FAILURE = 0x84
    BAD_NO_ANSWER = 0x85
    BAD_OUT_OF_SERVICE = 0x86
    BAD_REFUSED = 0x87
    BAD_NONSENSE = 0x88
    BAD_WAITING = 0x89


class Mark(IntEnum):
    """Data marks of HJ 212-2017, table 8 (污染物在线监控系统数据传输标准). NONE: the device gives no mark."""

    NONE = 0
    NORMAL = 1
    INSTRUMENT_STOPPED = 2
    MAINTENANCE = 3
    MANUAL = 4
    INSTRUMENT_FAULT = 5
    CALIBRATING = 6
    OVER_RANGE = 7
    COMMUNICATION_FAULT = 8


MARK_LETTERS: Final = {
    "N": Mark.NORMAL,
    "F": Mark.INSTRUMENT_STOPPED,
    "M": Mark.MAINTENANCE,
    "S": Mark.MANUAL,
    "D": Mark.INSTRUMENT_FAULT,
    "C": Mark.CALIBRATING,
    "T": Mark.OVER_RANGE,
    "B": Mark.COMMUNICATION_FAULT,
}

MARK_SHIFT: Final = 8
MARK_BITS: Final = 0x0F << MARK_SHIFT
LATE: Final = 1 << 12
ESTIMATED: Final = 1 << 13


_NAMES: Final = {quality.value: quality.name.lower() for quality in Quality}


def is_bad(code: int) -> bool:
    """Whether a wire or database quality has severity bad. Severity 11 is reserved by OPC UA and counts as bad."""
    return bool(code & BAD_SEVERITY)


def is_good(code: int) -> bool:
    """Whether a wire or database quality has severity good."""
    return not code & SEVERITY_MASK


def name(code: int) -> str:
    """The code's name in lower case; an unknown reason is named by its severity and number."""
    wire = code & 0xFF
    severity = "bad" if is_bad(wire) else "uncertain" if wire & UNCERTAIN_SEVERITY else "good"
    return _NAMES.get(wire, f"{severity}_{wire & 0x3F}")
