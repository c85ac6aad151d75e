from park_platform.storage.engines.store import open_store
from park_platform.storage.partitions import keep_partitions
from park_platform.storage.readings import copy_readings
from park_platform.storage.roles import as_owner
from support.database import ParkDatabase
from support.series import DAY, NOON, add_stream, frame_of


def test_a_round_finishes_what_a_killed_one_left(fresh_park_database: ParkDatabase) -> None:
    later = NOON + 91 * DAY
    with (
        fresh_park_database.connection() as admin,
        fresh_park_database.connection("ingest") as ingest,
        fresh_park_database.connection("operate") as operate,
    ):
        _, [p] = add_stream(admin, 1)
        with ingest.transaction():
            copy_readings(ingest, frame_of([(p, NOON - day * DAY, 1.0, 0) for day in (3, 2, 0)]), now=NOON)
        names = ["reading_20261120", "reading_20261121"]
        with as_owner(operate):
            # Killed between DETACH and DROP.
            operate.execute("ALTER TABLE reading DETACH PARTITION reading_20261120 CONCURRENTLY")
        assert set(keep_partitions(operate, later).dropped) >= set(names)
        found = operate.execute("SELECT to_regclass(%s), to_regclass(%s)", names).fetchone()
        assert found == (None, None)
        assert min(day.start for day in open_store(operate).engine.partitions(operate, "reading")) == NOON // DAY * DAY
        assert operate.execute("SELECT count(*) FROM reading").fetchone() == (1,)


def test_a_table_of_somebody_else_stays(fresh_park_database: ParkDatabase) -> None:
    with fresh_park_database.connection() as admin, fresh_park_database.connection("operate") as operate:
        for name in ("reading_old", "reading_2020010", "readings_20200101", "reading_202001011"):
            admin.execute(f"CREATE TABLE {name} (x int)")
        keep_partitions(operate, NOON)
        found = admin.execute("SELECT count(*) FROM pg_class WHERE relname ~ '^reading(s?)_(old|2020)'").fetchone()
        assert found == (4,)
