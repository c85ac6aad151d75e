"""Services for a benchmark: a database and a broker of their own, in a folder that goes away with them."""

import os
import shutil
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from park_platform.embedded.broker import Broker
from park_platform.embedded.broker_accounts import PROCESSES, gateway_account
from park_platform.embedded.postgres import Postgres
from park_platform.storage.connect import ROLES, role_name
from park_platform.storage.migrate import database_url, migrate, prepare

# /tmp may be memory; /var/tmp survives a reboot, so it is a disk.
_DISK = os.environ.get("BENCH_FOLDER", "/var/tmp")  # noqa: S108  # the folder in it gets a random name


@dataclass(frozen=True, slots=True)
class BenchServices:
    """A migrated park database and a broker with accounts for some gateways."""

    folder: Path
    postgres: Postgres
    broker: Broker

    def database_url(self, role: str, database: str = "park") -> str:
        """How a process of this role reaches a database."""
        password = self.postgres.password(role_name(role))
        return database_url(self.postgres.url(database=database), role=role, password=password)

    def make_database(self, name: str) -> None:
        """Another migrated database."""
        prepare(self.postgres.url(), name, {role: self.postgres.password(role_name(role)) for role in ROLES})
        migrate(self.postgres.url(database=name), "plain")


@contextmanager
def bench_folder() -> Generator[Path]:
    """A folder on a real disk, unlike the tests' services: an fsync is part of what is measured."""
    folder = Path(tempfile.mkdtemp(prefix="parkhub-bench-", dir=_DISK))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def bench_broker(gateways: Sequence[str]) -> Generator[tuple[Path, Broker]]:
    """A broker with accounts for all processes and these gateways, and the folder that it lives in."""
    with bench_folder() as folder:
        broker = Broker(folder / "broker")
        broker.accounts.add(*PROCESSES, *(gateway_account(gateway) for gateway in gateways))
        broker.start()
        try:
            yield folder, broker
        finally:
            broker.stop()


@contextmanager
def bench_services(gateways: Sequence[str]) -> Generator[BenchServices]:
    """Such a broker and a database, with durability on as in a park."""
    with bench_broker(gateways) as (folder, broker):
        postgres = Postgres(folder / "postgres")
        postgres.start()
        try:
            services = BenchServices(folder, postgres, broker)
            services.make_database("park")
            yield services
        finally:
            postgres.stop()
