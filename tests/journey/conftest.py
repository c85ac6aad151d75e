"""One whole park for each journey module."""

from collections.abc import Generator

import pytest

from support.park import WholePark, park_folder, whole_park


@pytest.fixture(scope="module")
def park() -> Generator[WholePark]:
    """The sample park, real in every part, with the first readings at the API."""
    with park_folder() as folder, whole_park(folder, trace=True) as running:
        running.wait(lambda: running.latest("gw-1/tank-2/pressure").get("time"), "the first readings", 60)
        yield running
