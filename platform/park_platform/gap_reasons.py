"""Why readings are missing, in both languages. The reason that a gap is stored with is the English one."""

from typing import Final

from park_wire.quantities import Text

LOST_OUTBOX: Final = "the gateway lost its outbox"
NOT_HELD: Final = "the gateway no longer holds these batches"
OTHER_OUTBOX: Final = "the gateway's outbox is another one"
RESTORED: Final = "the database was restored to an older state"

_CHINESE: Final = {
    LOST_OUTBOX: "网关丢失了发件箱",
    NOT_HELD: "网关已不再持有这些批次",
    OTHER_OUTBOX: "网关的发件箱与中心所知不是同一个",
    RESTORED: "数据库恢复到了较早的状态",
    # What gateways say themselves (park_gateway/outbox.py).
    "outbox full": "网关发件箱已满",
}


def reason_text(reason: str) -> Text:
    """A stored reason in both languages; one that is not known stands as it is in both."""
    return Text(_CHINESE.get(reason, reason), reason)
