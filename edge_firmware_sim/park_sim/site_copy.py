"""A site's files, copied to where they run, with ports that are free on this machine.

Ports are kept from copy to copy in `ports.json`, so that a second start finds the field where it was.
"""

import json
import re
import shutil
import socket
from pathlib import Path
from typing import Final

from park_wire.errors import ConfigError, Fault

_ENDPOINT: Final = re.compile(r'(?m)^(endpoint = "[a-z-]+(?:\.tcp)?://127\.0\.0\.1:)(\d+)')
# Below the kernel's range for outgoing connections, so that none takes a port while the field restarts.
_PORTS: Final = range(15_020, 19_000)


def copy_site(source: Path, target: Path) -> dict[int, int]:
    """Copy the `*.toml` and `*.csv` files of a site; returns which port of the source became which one.

    Only loopback endpoints are changed. Raises ConfigError when `source` has no gateway.toml and park.toml.
    """
    missing = [name for name in ("gateway.toml", "park.toml") if not (source / name).is_file()]
    if missing:
        raise ConfigError(
            Fault(str(source), name, "is not there", "name a folder with gateway.toml and park.toml")
            for name in missing
        )
    target.mkdir(parents=True, exist_ok=True)
    for file in [*source.glob("*.toml"), *source.glob("*.csv")]:
        shutil.copyfile(file, target / file.name)
    if (source / "models").is_dir():
        shutil.copytree(source / "models", target / "models", dirs_exist_ok=True)
    gateway = target / "gateway.toml"
    text = gateway.read_text("utf-8")
    ports = _free_ports({int(port) for _, port in _ENDPOINT.findall(text)}, target / "ports.json")
    gateway.write_text(_ENDPOINT.sub(lambda found: found[1] + str(ports[int(found[2])]), text), "utf-8")
    return ports


def _free_ports(wanted: set[int], file: Path) -> dict[int, int]:
    former = {int(port): kept for port, kept in json.loads(file.read_text("utf-8")).items()} if file.exists() else {}
    ports: dict[int, int] = {}
    for port in sorted(wanted):
        candidates = (former.get(port, port), port, *_PORTS)
        ports[port] = next(
            candidate for candidate in candidates if candidate not in ports.values() and _is_free(candidate)
        )
    file.write_text(json.dumps(ports), "utf-8")
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
