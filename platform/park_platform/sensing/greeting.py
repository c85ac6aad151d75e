"""What a hello tells: which batches the gateway no longer holds, and whether its outbox is the one that we know.

Only a hello of the run that owns its epoch is taken here (chain 4.2, 4.7).
"""

from park_platform.gap_reasons import LOST_OUTBOX, NOT_HELD, OTHER_OUTBOX, RESTORED
from park_platform.sensing.lanes import Lanes
from park_platform.sensing.order import LaneOrder
from park_platform.sensing.plan import Plan, storable
from park_platform.storage.work import Gap
from park_sdk.frame import NEVER
from park_wire.batch import Lane
from park_wire.messages import Hello, LanePosition


def greet(lanes: Lanes, hello: Hello, plan: Plan, gateway: str, last_epoch: bytes | None) -> None:
    """Plan what follows from a hello. `last_epoch`: the epoch that this gateway spoke before."""
    if hello.epoch not in lanes.greeted:
        _give_up_lost_epochs(lanes, hello, plan, gateway, last_epoch)
        lanes.greeted.add(hello.epoch)
    _end_restored(lanes, hello, plan, gateway)
    for lane, position in hello.lanes.items():
        _compare(lanes, hello, lane, position, plan, gateway)


def _give_up_lost_epochs(lanes: Lanes, hello: Hello, plan: Plan, gateway: str, last_epoch: bytes | None) -> None:
    older = lanes.epochs() - {hello.epoch}
    if older & {former.epoch for former in hello.former}:
        return
    # It follows none of the epochs that we know: the outbox is gone, and with it whatever was not committed.
    for epoch in sorted(older):
        for lane in Lane:
            order = lanes.of(epoch, lane)
            made_at = storable(hello.made_at)
            if order.lost:
                if order.renewed_at is None and made_at is not None:
                    # It was given up for another reason, a restore perhaps; now it is known that it will not come back.
                    plan.renewed.append((epoch, lane, made_at))
                    order.renewed_at = made_at
                continue
            order.lost, order.renewed_at = True, made_at
            # What is missing is known by number for each lane, from when on only for the gateway as a whole.
            by_time = epoch == last_epoch and lane is Lane.LIVE and lanes.last_until != NEVER
            since = lanes.last_until if by_time else None
            gap = Gap(epoch, lane, order.mark + 1, None, LOST_OUTBOX, from_ts=since, to_ts=made_at)
            plan.add_gap(gap, gateway)


def _end_restored(lanes: Lanes, hello: Hello, plan: Plan, gateway: str) -> None:
    """A restore has lost what came after its backup: of an epoch that was left since, the hello knows where it ended.

    What was not committed then has moved to another epoch, and shrinks the gap when it comes.
    """
    if not any(order.restored for order in lanes.orders().values()):
        return
    known = lanes.epochs()
    for was in hello.former:
        for lane, next_seq in ((Lane.LIVE, was.live_next), (Lane.BACKFILL, was.backfill_next)):
            order, key = lanes.of(was.epoch, lane), (was.epoch, lane)
            first, last = order.mark + 1, next_seq - 1
            if was.epoch in known and not order.restored:
                continue
            order.restored = False
            if first > last:
                order.lost = False
                plan.recover(key)
                continue
            order.awaited.append((first, last))
            if order.lost:
                order.lost = False
                plan.closed.append((*key, last))
            else:
                # Begun and left after the backup.
                plan.add_gap(Gap(*key, first, last, RESTORED), gateway)
        lanes.greeted.add(was.epoch)


def _compare(lanes: Lanes, hello: Hello, lane: Lane, position: LanePosition, plan: Plan, gateway: str) -> None:
    epoch, order = hello.epoch, lanes.of(hello.epoch, lane)
    if position.oldest_seq > order.mark + 1:
        _end_loss(order, hello, lane, plan)
        plan.first_mark.setdefault((epoch, lane), order.mark)
        first, last = order.declare_gap(position.oldest_seq - 1, position.before)
        # The live lane was known up to `until`; how far it goes on after what is missing nobody knows yet.
        by_time = lane is Lane.LIVE and lanes.last_until != NEVER
        since, until = (lanes.last_until, storable(hello.sent_at)) if by_time else (None, None)
        plan.add_gap(Gap(epoch, lane, first, last, NOT_HELD, from_ts=since, to_ts=until), gateway)
    elif order.hash_at(position.oldest_seq - 1) in {None, position.before}:
        _end_loss(order, hello, lane, plan)
    else:
        plan.need(hello.run, epoch).epoch = True
        # Said again at every hello until the gateway obeys, but lost only once.
        if not order.lost:
            order.lost, order.renewed_at = True, None
            plan.add_gap(Gap(epoch, lane, order.mark + 1, None, OTHER_OUTBOX), gateway)


def _end_loss(order: LaneOrder, hello: Hello, lane: Lane, plan: Plan) -> None:
    # A hello that was late on its way says nothing about an outbox that was lost after it was sent.
    is_late = order.renewed_at is not None and hello.sent_at <= order.renewed_at
    if order.lost and not is_late:
        order.lost, order.restored, order.renewed_at = False, False, None
        plan.recover((hello.epoch, lane))
