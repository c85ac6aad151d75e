"""The simulated field for tests: the sample site on free ports, in a folder of its own."""

import random
import re
import socket
from pathlib import Path
from typing import Final

from park_gateway.point import Protocol
from park_sim.field import Field
from park_sim.journal import Journal
from park_sim.sample import sample_site
from park_sim.site import read_field
from park_sim.world import World

START_US: Final = 1_795_413_600_000_000
"""Two in the afternoon in the park, so that everything runs."""

# Below the kernel's range for outgoing connections: no client of another test takes a port between probe and use.
_PORTS = range(20_000, 32_000)


class SampleField:
    """The devices of the sample site that speak one protocol; their world stands still unless a test moves it."""

    def __init__(self, folder: Path, protocol: Protocol) -> None:
        self.folder = folder
        self.journal = Journal(folder / "sim", START_US)
        self.devices = {
            device.id: device for device in read_field(site_on_free_ports(folder)) if device.model.protocol is protocol
        }
        self.field = Field(World(1, START_US), list(self.devices.values()), self.journal)
        self.now_us = START_US

    def move(self, by_us: int) -> None:
        """Let time pass and the world with it."""
        self.now_us += by_us
        self.field.tick(self.now_us, 0.1)


def free_ports(count: int) -> list[int]:
    """Neighbouring ports of loopback that nobody listens on now."""
    for _ in range(100):
        # Not the test's seed: runs beside this one look elsewhere.
        first = random.SystemRandom().randrange(_PORTS.start, _PORTS.stop - count)
        ports = list(range(first, first + count))
        if all(_is_free(port) for port in ports):
            return ports
    raise AssertionError(f"no {count} free ports from {_PORTS.start} to {_PORTS.stop}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def site_on_free_ports(folder: Path, *only: str) -> Path:
    """The sample SITE.toml on free ports; with `only`, just these devices."""
    text = (sample_site() / "gateway.toml").read_text("utf-8")
    head, *devices = re.split(r"(?m)^(?=\[\[device\]\])", text)
    if only:
        devices = [device for device in devices if re.search(rf'id = "({"|".join(only)})"', device)]
    text = head + "".join(devices)
    old = sorted(set(re.findall(r"127\.0\.0\.1:(\d+)", text)))
    for port, new in zip(old, free_ports(len(old)), strict=True):
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{new}")
    place = folder / "gateway.toml"
    place.write_text(text, "utf-8")
    return place
