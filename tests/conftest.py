"""Fixtures that every test may name, the check of PARK_REQUIRE, and logging that no test leaves behind."""

from collections.abc import Generator

import pytest
import structlog
from hypothesis import settings

pytest_plugins = ("support.needs", "support.services", "support.database", "support.timescale")

# How long an example takes says how busy the machine is, and a run says of the same code what the last one said:
# `pytest --hypothesis-profile=explore` looks further.
settings.register_profile("park", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("park")


@pytest.fixture(autouse=True)
def own_logging() -> Generator[None]:
    """A command that a test runs within this process sets logging up for its own standard error, which closes."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
