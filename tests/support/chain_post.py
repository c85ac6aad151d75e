"""The broker of the chain's model: it keeps what is on its way, and the trace says what becomes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.gateway_wire import Wire


@dataclass(slots=True)
class Post:
    """What is on its way, in the order in which it was sent; each is a delivery that is still to be made."""

    parcels: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    mislaid: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    """What may come long after."""

    def deliver(self, at: int) -> None:
        """Bring one: 0 is the oldest, any other overtakes."""
        if self.parcels:
            self.parcels.pop(at % len(self.parcels))()

    def deliver_all(self) -> bool:
        """Bring what is on its way now, in order; whether there was anything."""
        parcels, self.parcels = self.parcels, []
        for deliver in parcels:
            deliver()
        return bool(parcels)

    def drop(self, at: int) -> None:
        """One gets lost."""
        if self.parcels:
            self.parcels.pop(at % len(self.parcels))

    def mislay(self, at: int) -> None:
        """One is forgotten in some queue."""
        if self.parcels:
            self.mislaid.append(self.parcels.pop(at % len(self.parcels)))

    def find(self, at: int) -> None:
        """What was mislaid comes now."""
        if self.mislaid:
            self.mislaid.pop(at % len(self.mislaid))()

    def duplicate(self, at: int) -> None:
        """One will come a second time, after all others."""
        if self.parcels:
            self.parcels.append(self.parcels[at % len(self.parcels)])


@dataclass(slots=True)
class PostWire(Wire):
    """A gateway's wire whose messages lie in the post until somebody brings them."""

    post: Post = field(default_factory=Post)

    def carry(self, bring: Callable[..., None], *what: Any) -> None:
        """Keep a message for its delivery."""
        self.post.parcels.append(lambda: bring(*what))
