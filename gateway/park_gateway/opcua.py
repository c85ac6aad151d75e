"""An OPC UA session with one subscription, through asyncua. There is nothing here that writes.

The library's own reconnecting is not used: what it restores, and when, can't be told from outside. A session that is
lost for any reason is given up as a whole by `subscriber`, which makes a new one. Its queue of notifications is not
used either, because it drops the oldest in silence: each publish response is handed on as it comes.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import asyncua.ua

from park_gateway.opcua_security import explain_refusal, new_client, secure
from park_gateway.site import Endpoint
from park_wire.errors import DeviceError, Refused, Unreachable

REQUEST_TIMEOUT_S: Final = 4.0
# Where a server states no limit of its own.
_MOST_PER_CALL: Final = 1_000
_QUEUE: Final = 10
_EVENT_QUEUE: Final = 1_000
_MOST_NOTES: Final = 10_000
_KEEP_ALIVE_MS: Final = 5_000
_LIFETIME_MS: Final = 60_000

# The library's types are partly unknown; what leaves this file is our own.
_ua: Final[Any] = asyncua.ua
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_T = TypeVar("_T")

# It logs every failure; here a device is logged once when lost and once when back.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Value:
    """A value as the server gave it: its own handle, raw value, 32-bit status code, times in µs UTC where given."""

    handle: int
    raw: object
    status: int
    source: int | None
    server: int | None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event: the handle of its source, its time in µs UTC where given, the chosen fields by the body's keys."""

    handle: int
    time: int | None
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class WatchValue:
    """A variable to be monitored. A `handle` is ours; it comes back in each value."""

    handle: int
    node: str
    sampling_ms: float


@dataclass(frozen=True, slots=True)
class WatchEvents:
    """A source of events to be monitored.

    `type` is the event type's id in the node's namespace, `fields` the body's keys with the event's property for each.
    """

    handle: int
    node: str
    type: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Watched:
    """The server's answer: a 32-bit status code, its name, and the sampling interval that it grants, in ms."""

    status: int
    name: str
    sampling_ms: float

    @property
    def is_good(self) -> bool:
        """Whether the server took it."""
        return self.status >> 30 == 0


Listener = Callable[[list[Value], list[Occurrence]], None]


class Session:
    """An open session. `lost` says why it ended, None while it lives. Made by `open_session`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.lost: str | None = None
        client = new_client(endpoint, REQUEST_TIMEOUT_S)
        client.name = client.description = "Parkhub gateway"
        client.application_uri = "urn:parkhub:gateway"
        client.connection_lost_callback = self._on_lost
        if endpoint.credential is not None:
            client.set_user(endpoint.credential.user)
            client.set_password(endpoint.credential.password)
        self._client = client
        self._listener: Listener | None = None
        self._fields: dict[int, tuple[str, ...]] = {}
        self._subscription = 0
        self._items_per_call = self._reads_per_call = _MOST_PER_CALL

    async def connect(self) -> None:
        """Open socket, channel and session, and ask for the server's limits."""
        await self._open()
        with self._translated():
            ids = _ua.ObjectIds
            limits = await self._read(
                [
                    _ua.NodeId(ids.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall),
                    _ua.NodeId(ids.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead),
                ]
            )
        # 0, or no such node, is no limit.
        stated = [value.raw if isinstance(value.raw, int) and value.raw > 0 else _MOST_PER_CALL for value in limits]
        self._items_per_call, self._reads_per_call = (min(limit, _MOST_PER_CALL) for limit in stated)

    async def _open(self) -> None:
        identity = await secure(self._client, self.endpoint)
        try:
            with self._translated():
                await asyncio.wait_for(self._client.connect(), 2 * REQUEST_TIMEOUT_S)
        except DeviceError as error:
            # Many servers answer a channel that they don't want by silence or by hanging up.
            hidden = identity is not None and not isinstance(error.__cause__, ConnectionRefusedError)
            if hidden or isinstance(error, Refused):
                refusal = await explain_refusal(self.endpoint, identity, str(error.__cause__) or "no answer")
                raise (refusal or error) from error.__cause__
            raise

    async def close(self) -> None:
        """End the session, politely while the server answers."""
        with contextlib.suppress(OSError, TimeoutError, UnicodeError, _ua.UaError):
            await asyncio.wait_for(self._client.disconnect(), REQUEST_TIMEOUT_S)

    async def subscribe(self, period_ms: float, listener: Listener) -> float:
        """Create the subscription; the publishing interval that the server grants, in ms.

        `listener` is called in the event loop with what each publish response brings.
        """
        self._listener = listener
        asked = _ua.CreateSubscriptionParameters()
        asked.RequestedPublishingInterval = period_ms
        asked.RequestedMaxKeepAliveCount = max(1, int(_KEEP_ALIVE_MS / period_ms))
        asked.RequestedLifetimeCount = max(10, int(_LIFETIME_MS / period_ms))
        asked.MaxNotificationsPerPublish = _MOST_NOTES
        asked.PublishingEnabled = True
        with self._translated():
            revised = await self._client.uaclient.session.create_subscription(asked, self._on_publish)
        self._subscription = revised.SubscriptionId
        return float(revised.RevisedPublishingInterval)

    async def watch(self, wanted: Sequence[WatchValue | WatchEvents]) -> list[Watched]:
        """Monitor variables and events, within what the server takes in one call. One answer for each, in order."""
        answers: list[Watched] = []
        for some in _chunks(wanted, self._items_per_call):
            params = _ua.CreateMonitoredItemsParameters()
            params.SubscriptionId = self._subscription
            params.TimestampsToReturn = _ua.TimestampsToReturn.Both
            params.ItemsToCreate = [self._request(one) for one in some]
            with self._translated():
                results = await self._client.uaclient.session.create_monitored_items(params)
            for result in results:
                code = result.StatusCode
                answers.append(Watched(int(code.value), code.name, float(result.RevisedSamplingInterval)))
        return answers

    async def read(self, nodes: Sequence[str]) -> list[Value]:
        """Read variables now. Handles count from 0."""
        values: list[Value] = []
        for some in _chunks(nodes, self._reads_per_call):
            with self._translated():
                values += await self._read([_ua.NodeId.from_string(node) for node in some], len(values))
        return values

    async def _read(self, nodes: list[Any], first: int = 0) -> list[Value]:
        results = await self._client.uaclient.session.read_attributes(nodes, _ua.AttributeIds.Value)
        return [_value(handle, result) for handle, result in enumerate(results, first)]

    def _request(self, wanted: WatchValue | WatchEvents) -> Any:
        request = _ua.MonitoredItemCreateRequest()
        request.MonitoringMode = _ua.MonitoringMode.Reporting
        request.ItemToMonitor.NodeId = _ua.NodeId.from_string(wanted.node)
        parameters = request.RequestedParameters
        parameters.ClientHandle = wanted.handle
        parameters.DiscardOldest = True
        if isinstance(wanted, WatchValue):
            request.ItemToMonitor.AttributeId = _ua.AttributeIds.Value
            parameters.SamplingInterval = wanted.sampling_ms
            parameters.QueueSize = _QUEUE
            # A value that is written again unchanged is a reading too, as long as its source says when.
            parameters.Filter = _ua.DataChangeFilter(Trigger=_ua.DataChangeTrigger.StatusValueTimestamp)
        else:
            request.ItemToMonitor.AttributeId = _ua.AttributeIds.EventNotifier
            parameters.QueueSize = _EVENT_QUEUE
            parameters.Filter = _event_filter(wanted, request.ItemToMonitor.NodeId.NamespaceIndex)
            self._fields[wanted.handle] = tuple(wanted.fields)
        return request

    def _on_publish(self, result: Any) -> None:
        # The library swallows what a callback raises; the event loop's handler does not.
        asyncio.get_running_loop().call_soon(self._take, result)

    def _take(self, result: Any) -> None:
        values: list[Value] = []
        events: list[Occurrence] = []
        for part in result.NotificationMessage.NotificationData or ():
            if isinstance(part, _ua.DataChangeNotification):
                values += [_value(note.ClientHandle, note.Value) for note in part.MonitoredItems]
            elif isinstance(part, _ua.EventNotificationList):
                events += [self._occurrence(note) for note in part.Events]
            elif isinstance(part, _ua.StatusChangeNotification) and not part.Status.is_good():
                self.lost = self.lost or f"the server ended the subscription: {part.Status.name}"
        if self._listener is not None and (values or events):
            self._listener(values, events)

    def _occurrence(self, note: Any) -> Occurrence:
        time, *fields = [field.Value for field in note.EventFields]
        return Occurrence(
            note.ClientHandle, _time_us(time), dict(zip(self._fields[note.ClientHandle], fields, strict=True))
        )

    async def _on_lost(self, error: Exception) -> None:
        self.lost = self.lost or f"the connection was lost: {error}"

    @contextlib.contextmanager
    def _translated(self) -> Generator[None]:
        """The library's errors as ours."""
        try:
            yield
        except (OSError, TimeoutError, UnicodeError) as error:
            reason = str(error) or f"no answer within {REQUEST_TIMEOUT_S:g} s"
            raise Unreachable(f"{self.endpoint}: {reason}; check the server, its address and the network") from error
        except _ua.UaError as error:
            raise Refused(
                f"{self.endpoint}: {error}; check the credential and the server's security settings"
            ) from error


@contextlib.asynccontextmanager
async def open_session(endpoint: Endpoint) -> AsyncGenerator[Session]:
    """A session with a server. Raises Unreachable and Refused, as everything does that is done with it."""
    session = Session(endpoint)
    try:
        await session.connect()
        yield session
    finally:
        await session.close()


def _event_filter(wanted: WatchEvents, namespace: int) -> Any:
    kind = _ua.NodeId(wanted.type, namespace)
    of_type = _ua.ContentFilterElement()
    of_type.FilterOperator = _ua.FilterOperator.OfType
    of_type.FilterOperands = [_ua.LiteralOperand(Value=_ua.Variant(kind))]
    chosen = _ua.EventFilter()
    chosen.SelectClauses = [_clause(_ua.NodeId(_ua.ObjectIds.BaseEventType), "Time", 0)]
    chosen.SelectClauses += [_clause(kind, name, namespace) for name in wanted.fields.values()]
    chosen.WhereClause.Elements = [of_type]
    return chosen


def _clause(kind: Any, name: str, namespace: int) -> Any:
    clause = _ua.SimpleAttributeOperand()
    clause.TypeDefinitionId = kind
    clause.BrowsePath = [_ua.QualifiedName(name, namespace)]
    clause.AttributeId = _ua.AttributeIds.Value
    return clause


def _value(handle: int, value: Any) -> Value:
    return Value(
        handle,
        None if value.Value is None else value.Value.Value,
        0 if value.StatusCode is None else int(value.StatusCode.value),
        _time_us(value.SourceTimestamp),
        _time_us(value.ServerTimestamp),
    )


def _time_us(stamp: object) -> int | None:
    """A timestamp of the library, which is UTC whether it says so or not, in µs."""
    if not isinstance(stamp, datetime):
        return None
    aware = stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp
    return (aware - _EPOCH) // _MICROSECOND


def _chunks(items: Sequence[_T], size: int) -> Iterable[Sequence[_T]]:
    return (items[at : at + size] for at in range(0, len(items), size))
