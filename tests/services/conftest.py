"""A PostgreSQL cluster that is ready to be started, for tests that start, kill and damage one."""

import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from park_platform.embedded.postgres import Postgres
from support.services import make_service_folder


@pytest.fixture(scope="session")
def made() -> Generator[Path]:
    """A cluster that was made and stopped; copying it is quicker than making one."""
    folder = make_service_folder()
    server = Postgres(folder / "postgres")
    server.start()
    server.stop()
    yield folder / "postgres"
    shutil.rmtree(folder)


@pytest.fixture
def folder(made: Path, service_folder: Path) -> Path:
    """A folder with a cluster for one test."""
    subprocess.run(["cp", "-a", made, service_folder], check=True)
    (service_folder / "postgres" / "port").unlink()
    return service_folder / "postgres"
