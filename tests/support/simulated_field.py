"""The simulated field for tests: the sample site on free ports, in a folder of its own."""

import re
import socket
from pathlib import Path

from park_sim.sample import sample_site


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


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
