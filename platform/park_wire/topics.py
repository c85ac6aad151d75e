"""MQTT topics of wire version 1 (MQTT 3.1.1). Identifiers never hold a character that a broker gives a meaning to."""

import re
from typing import Final, Literal

from park_wire.errors import WireError

VERSION: Final = 1
ID_RULE: Final = "1 to 32 characters of a-z, 0-9 and -"
_ID: Final = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_STREAM: Final = re.compile(r"(gw-|push-)?[a-z0-9-]{1,32}", re.ASCII)

Upward = Literal["hello", "birth", "data", "status"]
UPWARD: Final[tuple[Upward, ...]] = ("hello", "birth", "data", "status")


def is_id(text: str) -> bool:
    """Whether `text` may name a gateway, device, point, enterprise or asset."""
    return _ID.fullmatch(text) is not None


def check_id(text: str, what: str) -> str:
    """Return `text`; raise WireError when it may not name a `what` ("gateway", "device", ...)."""
    if not is_id(text):
        raise WireError(f"{what} {text!r} is not a name that fits into a topic; use {ID_RULE}")
    return text


def gateway_topic(gateway: str, leaf: Upward | Literal["ack"]) -> str:
    """`park/1/gw/{gateway}/{leaf}`."""
    return f"park/{VERSION}/gw/{check_id(gateway, 'gateway')}/{leaf}"


def parse_gateway_topic(topic: str) -> tuple[str, Upward]:
    """Gateway and leaf of an upward gateway topic. Raises WireError for any other topic."""
    match topic.split("/"):
        case ["park", "1", "gw", gateway, ("hello" | "birth" | "data" | "status") as leaf]:
            return check_id(gateway, "gateway"), leaf
        case _:
            raise WireError(
                f"topic {topic[:80]!r} is none that a gateway publishes on; expected park/1/gw/<gateway>/<leaf>"
            )


def push_topic(enterprise: str, device: str, *, dry_run: bool = False) -> str:
    """`park/1/push/{enterprise}/{device}`, or `try` instead of `push` for a dry run."""
    door = "try" if dry_run else "push"
    return f"park/{VERSION}/{door}/{check_id(enterprise, 'enterprise')}/{check_id(device, 'device')}"


def receipt_topic(enterprise: str) -> str:
    """`park/1/receipt/{enterprise}`; only the centre may publish here."""
    return f"park/{VERSION}/receipt/{check_id(enterprise, 'enterprise')}"


def live_values_topic(stream: str) -> str:
    """`park/1/live/values/{stream}`, inside the centre: it crosses tenants."""
    if _STREAM.fullmatch(stream) is None:
        raise WireError(f"stream {stream[:80]!r} is none; it is gw-<gateway>, push-<enterprise> or park")
    return f"park/{VERSION}/live/values/{stream}"


LIVE_VALUES: Final = f"park/{VERSION}/live/values/+"
LIVE_ALARMS: Final = f"park/{VERSION}/live/alarms"
