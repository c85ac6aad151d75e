"""A gateway for tests: its site file, the program as a process of its own, and what the centre got from it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from park_gateway.site import Site
from park_gateway.trace import VARIABLE
from park_platform.embedded.broker import Broker
from park_platform.embedded.broker_accounts import gateway_account
from park_wire.batch import Batch
from support.centre import Books


def meter_table(name: str, port: int, *, unit: int = 1, period_ms: int = 20) -> str:
    """A [[device]] table of a meter that counts its reads."""
    return (
        f'[[device]]\nid = "{name}"\nmodel = "acrel-adw300"\nendpoint = "modbus-tcp://127.0.0.1:{port}"\n'
        f"unit = {unit}\nperiod_ms = {period_ms}\ntimeout_ms = 200\nsample = true\n"
    )


def write_site(folder: Path, gateway: str, broker_url: str, *devices: str) -> Path:
    """A SITE.toml with these [[device]] tables."""
    file = folder / "SITE.toml"
    head = f'[gateway]\nid = "{gateway}"\ndata = "outbox"\n[mqtt]\nurl = "{broker_url}"\n'
    file.write_text(head + "\n".join(devices), "utf-8")
    return file


def gateway_url(broker: Broker, gateway: str) -> str:
    """The broker's address for a gateway, which gets its account."""
    account = gateway_account(gateway)
    broker.accounts.add(account)
    broker.reload()
    return broker.url(account.user)


def start_gateway(site: Path, trace: Path | None = None) -> subprocess.Popen[bytes]:
    """`park gateway run`; its log comes through stderr."""
    environment = dict(os.environ)
    if trace is not None:
        environment[VARIABLE] = str(trace)
    command = [sys.executable, "-m", "park_wire.command", "gateway", "run", str(site)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


Sample = tuple[str, int]
"""Block and ordinal."""


def accepted_samples(trace: Path, device: str) -> list[Sample]:
    """The samples that the outbox accepted of a device, by its trace. A line that is being written is left out."""
    samples: list[Sample] = []
    for text in trace.read_text("utf-8").splitlines(keepends=True):
        line: dict[str, Any] = json.loads(text) if text.endswith("\n") else {"device": None}
        if line["device"] == device:
            samples += [(line["block"], ordinal) for ordinal in range(line["first"], line["last"] + 1)]
    return samples


def stored_samples(books: Books, site: Site, device: str) -> list[Sample]:
    """The samples that the centre committed of a device, once for each time that it did."""
    of_device = next(one for one in site.devices if one.id == device)
    blocks = {at: name.removeprefix("sample-") for name, at in of_device.index.items() if name.startswith("sample-")}
    stored: list[Sample] = []
    for message in list(books.committed):
        if isinstance(message, Batch):
            columns = message.content().columns
            pairs = zip(columns.index, columns.value, strict=True)
            stored += [(blocks[at], int(value)) for at, value in pairs if at in blocks]
    return stored
