"""The simulated field for tests: the sample site on free ports, in a folder of its own."""

import random
import re
import socket
from pathlib import Path

from park_sim.sample import sample_site

# Below the kernel's range for outgoing connections: no client of another test takes a port between probe and use.
_PORTS = range(20_000, 32_000)


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
