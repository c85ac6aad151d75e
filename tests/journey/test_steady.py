"""A value that stands still is no value that is missing: from an OPC UA server that says it once to the alarm."""

import asyncio
from pathlib import Path
from typing import Any

from park_gateway.app import Gateway
from park_gateway.config import load_site
from park_platform.embedded.broker import Broker
from support.database import ParkDatabase
from support.field import OpcuaServer, data_value
from support.gateway_process import gateway_url, write_site
from support.intake import Rule, make_park, running_intake

GATEWAY = "steady-1"
DELAY_S = 5.0  # longer than the 3 s after which a point without readings is stale
RULES: tuple[Rule, ...] = (
    {"id": "high", "kind": "H", "on": {"quantity": "pressure"}, "limit": 1.0, "on_delay_s": DELAY_S},
    {"id": "stale", "kind": "STALE", "on": {"quantity": "pressure"}},
    {"id": "bad", "kind": "BAD_QUALITY", "on": {"quantity": "pressure"}},
)


def _journal(park: ParkDatabase) -> list[tuple[Any, ...]]:
    with park.connection() as connection:
        return connection.execute(
            "SELECT r.key, j.kind, us_of(j.at) FROM journal j JOIN rule r ON r.id = j.rule_id ORDER BY j.at"
        ).fetchall()


def _first_high(park: ParkDatabase) -> int:
    with park.connection() as connection:
        ((at,),) = connection.execute(
            "SELECT min(us_of(r.ts)) FROM reading r JOIN point p ON p.id = r.point_id"
            " WHERE p.name = 'pressure' AND r.value > 1.0"
        ).fetchall()
    return int(at)


async def test_a_steady_over_pressure_completes_its_delay_and_is_never_stale(
    tmp_path: Path, broker: Broker, park_database: ParkDatabase
) -> None:
    make_park(park_database, broker, GATEWAY, rules=RULES)
    server = OpcuaServer()
    await server.start()
    vessel = await server.add("generic-vessel-plc")
    table = (
        f'[[device]]\nid = "plc-1"\nmodel = "{vessel.model.name}"\nperiod_ms = 500\n'
        f'endpoint = "opc.tcp://127.0.0.1:{server.port}"\nroot = "ns=2;s={vessel.root}"\n'
    )
    site = load_site(write_site(tmp_path, GATEWAY, gateway_url(broker, GATEWAY), table), {})
    try:
        with running_intake(park_database, broker):
            gateway = Gateway(site)
            await gateway.start()
            try:
                # Said once and never written again, as a server does whose PLC stands still.
                await vessel.show(sample=False, Pressure=data_value(1.5))
                for _ in range(50):
                    if await asyncio.to_thread(_journal, park_database):
                        break
                    await asyncio.sleep(0.2)
                await asyncio.sleep(4.0)
            finally:
                await gateway.stop()
    finally:
        await server.stop()
    ((rule, kind, at),) = _journal(park_database)
    assert (rule, kind) == ("high", "raised")
    assert at == _first_high(park_database) + DELAY_S * 1e6
