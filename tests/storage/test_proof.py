"""What `park up --check` looks at: whoever operates this database, and whether its rollups keep up."""

from park_platform.storage.connect import connect
from park_platform.storage.proof import read_housekeeping
from park_platform.storage.silence import database_clock, hold_operate_lock
from support.database import ParkDatabase
from support.series import add_stream


def test_who_holds_the_lock_is_seen_at_work(fresh_park_database: ParkDatabase) -> None:
    with (
        connect(fresh_park_database.url("operate"), "test") as looks,
        connect(fresh_park_database.url("operate"), "test") as works,
    ):
        assert read_housekeeping(looks).asked_at is None
        assert hold_operate_lock(works)
        first = read_housekeeping(looks).asked_at
        assert first is not None
        assert read_housekeeping(looks).asked_at == first, "it holds its lock, and does nothing"
        database_clock(works)
        then = read_housekeeping(looks).asked_at
        assert then is not None
        assert then > first


def test_the_lock_of_another_park_in_the_same_server_is_not_ours(
    park_database: ParkDatabase, fresh_park_database: ParkDatabase
) -> None:
    with (
        connect(park_database.url("operate"), "test") as theirs,
        connect(fresh_park_database.url("operate"), "test") as ours,
    ):
        assert hold_operate_lock(theirs)
        assert read_housekeeping(ours).asked_at is None
        assert read_housekeeping(theirs).asked_at is not None


def test_only_streams_whose_rollup_keeps_up_count(fresh_park_database: ParkDatabase) -> None:
    with fresh_park_database.connection() as admin, fresh_park_database.connection("operate") as operate:
        streams = [add_stream(admin, 1)[0] for _ in range(4)]
        admin.execute("UPDATE stream SET event_until = '2026-01-01 12:00:30+00' WHERE id = ANY(%s)", (streams[1:],))
        # New, up to date, behind, and never rolled.
        done = ["-infinity", "2026-01-01 11:59+00", "2026-01-01 11:58+00"]
        for stream, until in zip(streams, done, strict=False):
            admin.execute("INSERT INTO rollup_progress (stream_id, done) VALUES (%s, %s)", (stream, until))
        assert read_housekeeping(operate).rolled_streams == 1
