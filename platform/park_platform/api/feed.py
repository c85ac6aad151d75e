"""Live values from the broker into the hub: one paho thread, QoS 0, no session. Decides nothing."""

import secrets
from typing import Any

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion

from park_platform.api.hub import Hub
from park_platform.settings import BrokerAddress
from park_wire.errors import WireError
from park_wire.messages import LiveValues
from park_wire.topics import LIVE_VALUES

log = structlog.get_logger()


class Feed:
    """A subscription to `live/values/+` that comes back by itself."""

    def __init__(self, address: BrokerAddress, hub: Hub) -> None:
        self._address = address
        self._hub = hub
        self._said_lost = False
        self._said_malformed = False
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"park-serve-{secrets.token_hex(16)}",
            clean_session=True,
            protocol=paho.MQTTv311,
        )
        if address.user is not None:
            self._client.username_pw_set(address.user, address.password)
        self._client.reconnect_delay_set(min_delay=1, max_delay=2)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def start(self) -> None:
        """Connect in the background; a broker that is not there is tried again every 1 to 2 s."""
        self._client.connect_async(self._address.host, self._address.port, keepalive=10)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect and end the thread."""
        self._said_lost = True
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.error("broker_refused", reason=str(reason), remedy="check user and password in PARK_MQTT_URL")
            return
        self._client.subscribe(LIVE_VALUES, qos=0)

    def _on_subscribe(self, _client: Any, _data: Any, _mid: Any, reasons: list[Any], _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            log.error(
                "broker_refused", topic=LIVE_VALUES, remedy="give the user of PARK_MQTT_URL the rights of `serve`"
            )
            return
        log.info("broker_connected", host=self._address.host, port=self._address.port)
        self._said_lost = False
        # Only now: what is committed between this and the reading of `latest` arrives here.
        self._hub.broker_up = True
        self._hub.want_all()

    def _on_connect_fail(self, _client: Any, _data: Any) -> None:
        self._lost("no connection")

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._hub.broker_up = False
        self._lost(str(reason))

    def _lost(self, reason: str) -> None:
        if not self._said_lost:
            self._said_lost = True
            log.warning("broker_lost", reason=reason, host=self._address.host, port=self._address.port)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        try:
            values = LiveValues.decode(bytes(message.payload))
        except WireError as error:
            if not self._said_malformed:
                self._said_malformed = True
                log.warning("live_values_malformed", topic=message.topic, error=str(error))
            return
        if not message.retain:
            self._hub.receive(values)
