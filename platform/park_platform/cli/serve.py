"""`park serve`: the API and the live stream, one process. Settings: PARK_DB_URL, PARK_MQTT_URL, PARK_BASE_URL."""

import errno
import os
import socket
from typing import Annotated, Final

import structlog
import typer
import uvicorn

from park_platform.api.app import create_app
from park_platform.api.settings import ServeSettings
from park_platform.cli.ending import told_in_words
from park_platform.logs import log_as
from park_platform.settings import required
from park_platform.storage.connect import connect
from park_platform.storage.roles import check_roles
from park_platform.systems import load_systems
from park_wire.errors import ConfigError, Fault, StoreError

app = typer.Typer(add_completion=False, help="Serve the API and the live stream. 接口与实时数据服务")
log = structlog.get_logger()
STUCK_MS: Final = 30_000
_LARGEST_MESSAGE: Final = 4_096
# Below the usual limit of 1,024 open files, so that the database and the broker can still be reached.
_MOST_CONNECTIONS: Final = 800


@app.command()
def run(
    host: Annotated[str, typer.Option(help="Address to listen on. 监听地址")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on. 监听端口")] = 8000,
) -> None:
    """Serve until stopped. A database or broker that is away is waited for; /health says which one it is."""
    log_as("serve")
    with told_in_words():
        database_url, broker_url = required("PARK_DB_URL", "PARK_MQTT_URL")
        base_url = os.environ.get("PARK_BASE_URL") or f"http://{host}:{port}"
        settings = ServeSettings.of(database_url, broker_url, base_url)
        _check_database(database_url)
        application = create_app(settings, installed=load_systems())
        listener = listen(host, port)
    log.info("serving", host=host, port=port, base_url=settings.origin.url)
    # Behind TLS there is a proxy on this machine, which knows the caller's address.
    uvicorn.Server(uvicorn_config(application, proxied=settings.origin.secure)).run(sockets=[listener])


def uvicorn_config(application: object, *, proxied: bool) -> uvicorn.Config:
    """How uvicorn runs the application; the tests run it in the same way."""
    return uvicorn.Config(
        application,  # pyright: ignore[reportArgumentType]  # FastAPI's ASGI types are wider than uvicorn's
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=proxied,
        forwarded_allow_ips="127.0.0.1,::1",
        ws="websockets-sansio",
        ws_max_size=_LARGEST_MESSAGE,
        ws_ping_interval=10.0,
        ws_ping_timeout=20.0,
        timeout_keep_alive=30,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=3,
        lifespan="on",
    )


def listen(host: str, port: int, *, stuck_ms: int = STUCK_MS) -> socket.socket:
    """A socket that listens there. Raises ConfigError with the remedy when the address can't be had.

    A connection whose peer takes nothing for `stuck_ms` is ended by the kernel: else a live stream waits for ever.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without the protocol's number asyncio leaves Nagle's algorithm on, and answers take 40 ms longer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, stuck_ms)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        taken = error.errno == errno.EADDRINUSE
        remedy = "stop what listens there, or choose another --port" if taken else "choose an address of this machine"
        raise ConfigError([Fault("park serve", f"{host}:{port}", error.strerror or str(error), remedy)]) from error
    return listener


def _check_database(url: str) -> None:
    """Refuse to start with the wrong role or schema; a database that is away is checked when it is back."""
    try:
        with connect(url, "park serve") as connection:
            check_roles(connection, "api")
    except StoreError as error:
        log.warning("database_not_ready", reason=str(error))
