"""Row 8 of the path: values go out, then the acks, then the PUBACKs. Everything said here is committed already."""

import numpy as np

from park_platform.sensing.link import Link
from park_platform.sensing.plan import Answers
from park_platform.storage.work import Committed
from park_sdk.frame import Frame
from park_wire.messages import LiveValues
from park_wire.topics import gateway_topic, live_values_topic


def publish_values(link: Link, stream: str, committed: Committed) -> None:
    """Publish the newest reading of each point that a commit moved; nothing for a commit that moved none."""
    frame = newest(committed.ticked.shown)
    if not len(frame):
        return
    values = LiveValues(
        stream=stream,
        seq=committed.live_seq,
        # numpy's own memoryview calls int64 "l", which is not a format of the wire.
        point=memoryview(frame.point.tobytes()).cast("i"),
        time=memoryview(frame.time.tobytes()).cast("q"),
        value=memoryview(frame.value.tobytes()).cast("d"),
        quality=memoryview(frame.quality.astype(np.int32).tobytes()).cast("i"),
    )
    link.publish(live_values_topic(stream), values.encode())


def newest(frame: Frame) -> Frame:
    """The last row of each point of a frame sorted by (point, time)."""
    if not len(frame):
        return frame
    return frame.take(np.append(frame.point[1:] != frame.point[:-1], True))


def publish_acks(link: Link, gateway: str, answers: Answers) -> None:
    """One ack for each run that is concerned, then the broker's PUBACKs."""
    for ack in answers.acks:
        link.publish(gateway_topic(gateway, "ack"), ack.encode())
    link.acknowledge(answers.pubacks)
