"""Which run of a gateway speaks for each epoch: the one whose hello came last (chain 4.2)."""

from park_platform.sensing.plan import Message, RunKey
from park_wire.batch import Batch
from park_wire.messages import Hello


class Runs:
    """The owners of a gateway's epochs, and the runs that they displaced. Forgotten with a takeover."""

    def __init__(self) -> None:
        self._owners: dict[bytes, Hello] = {}
        self._displaced: set[RunKey] = set()
        self._reported: set[bytes] = set()

    def take(self, hello: Hello) -> bool:
        """Whether this run owns its epoch from now on. One that was displaced there does not come back."""
        if (hello.run, hello.epoch) in self._displaced:
            return False
        owner = self._owners.get(hello.epoch)
        if owner is not None and owner.run != hello.run:
            self._displaced.add((owner.run, hello.epoch))
        self._owners[hello.epoch] = hello
        return True

    def is_second_gateway(self, message: Message) -> bool:
        """Whether a message shows, for the first time, that a displaced run lives on: two gateways with one outbox.

        What it sealed before it was displaced is only late on its way.
        """
        run = message.envelope.run
        owner = self._owners.get(message.envelope.epoch)
        if owner is None or owner.run == run or run in self._reported or not isinstance(message, Batch):
            return False
        if message.sealed.sealed_at <= owner.sent_at:
            return False
        self._reported.add(run)
        return True
