"""The housekeeper's duties."""

from structlog.testing import capture_logs

from park_platform.operations import operate
from support.database import ParkDatabase


def keep(park: ParkDatabase) -> list[int]:
    """How many partitions each round says that it has made; nothing for one that had nothing to do."""
    with park.connection("operate") as connection, capture_logs() as lines:
        operate._keep(connection)  # pyright: ignore[reportPrivateUsage]
    return [line["made"] for line in lines if line["event"] == "partitions_kept"]


def test_partitions_that_were_made_are_in_the_log(park_database: ParkDatabase) -> None:
    with park_database.connection() as connection:
        [(newest,)] = connection.execute(
            "SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'reading'::regclass"
        ).fetchall()
        connection.execute(f"DROP TABLE {newest}".encode())
    assert keep(park_database) == [1]
    assert keep(park_database) == []
