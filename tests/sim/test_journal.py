import asyncio
import json
import os
from pathlib import Path

import pytest

from park_sim import journal as journal_module
from park_sim.control import claim
from park_sim.journal import Journal, journal_files, read_journal
from park_wire.errors import ServiceError, StoreUnavailable

NOW = 1_795_395_600_000_000


def served(folder: Path) -> list[tuple[str, str, int]]:
    return [(line[2], line[3], line[4]) for line in read_journal(folder) if line[0] == "served"]


def test_ordinals_count_each_block_by_itself_from_1(tmp_path: Path) -> None:
    journal = Journal(tmp_path, NOW)
    given = [
        journal.next_ordinal(*block, NOW) for block in [("m-1", "h0"), ("m-1", "h0"), ("m-1", "h90"), ("m-2", "h0")]
    ]
    journal.note_fault(NOW, "stuck", "m-1", on=True, magnitude=0.0)
    journal.note_state(NOW + 1, "tank-1", "over-pressure", on=False, value=1.5)
    journal.close()
    assert given == [1, 2, 1, 1]
    assert served(tmp_path) == [("m-1", "h0", 1), ("m-1", "h0", 2), ("m-1", "h90", 1), ("m-2", "h0", 1)]
    lines = read_journal(tmp_path)
    assert lines[0] == ["start", NOW, {}]
    assert lines[-2:] == [
        ["fault", NOW, "stuck", "m-1", "on", 0.0],
        ["state", NOW + 1, "tank-1", "over-pressure", "off", 1.5],
    ]


async def test_lines_are_on_disk_soon_and_the_rest_at_the_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path, NOW)
    running = asyncio.create_task(journal.run())
    journal.next_ordinal("m-1", "h0", NOW)
    for _ in range(100):
        if served(tmp_path):
            break
        await asyncio.sleep(0.05)
    assert served(tmp_path) == [("m-1", "h0", 1)]
    journal.stop()
    await running
    journal.next_ordinal("m-1", "h0", NOW)
    journal.close()
    assert served(tmp_path) == [("m-1", "h0", 1), ("m-1", "h0", 2)]


def test_ordinals_go_on_after_a_crash_behind_a_gap_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    first = Journal(tmp_path, NOW)
    for _ in range(3):
        first.next_ordinal("m-1", "h0", NOW)
    first.close()
    with journal_files(tmp_path)[0].open("ab") as file:
        file.write(b'["served",1795395600000000,"m-1","h0",')
    second = Journal(tmp_path, NOW + 1)
    assert second.next_ordinal("m-1", "h0", NOW + 1) == 1_004
    assert second.next_ordinal("m-2", "h0", NOW + 1) == 1
    second.close()
    # The clock was set back: the newest file is still the newest.
    third = Journal(tmp_path, NOW - 5)
    assert third.next_ordinal("m-1", "h0", NOW - 5) == 2_005
    third.close()
    assert [ordinal for device, _, ordinal in served(tmp_path) if device == "m-1"] == [1, 2, 3, 1_004, 2_005]


def test_old_files_are_removed_and_ordinals_survive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_ROLL_BYTES", 200)
    monkeypatch.setattr(journal_module, "_KEPT_FILES", 3)
    journal = Journal(tmp_path, NOW)
    for at in range(60):
        journal.next_ordinal("m-1", "h0", NOW + at)
        journal.write()
    journal.close()
    assert len(journal_files(tmp_path)) == 3
    again = Journal(tmp_path, NOW + 1_000)
    assert again.next_ordinal("m-1", "h0", NOW) == 1_061
    again.close()


def test_ordinals_wrap_as_a_u32(tmp_path: Path) -> None:
    line = json.dumps(["start", NOW - 1, {"m-1/h0": 0xFFFFFFFF - 1_001}]) + "\n"
    (tmp_path / f"journal-{NOW - 1:020d}.jsonl").write_text(line, "utf-8")
    journal = Journal(tmp_path, NOW)
    assert [journal.next_ordinal("m-1", "h0", NOW) for _ in range(2)] == [0xFFFFFFFF, 0]
    journal.close()


async def test_a_full_disk_ends_the_journal_with_a_sentence(tmp_path: Path) -> None:
    journal = Journal(tmp_path, NOW)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal.fileno())
    os.close(full)
    journal.next_ordinal("m-1", "h0", NOW)
    with pytest.raises(StoreUnavailable, match="free space there or give another --data"):
        await asyncio.wait_for(journal.run(), 5)
    journal.close()


def test_a_folder_that_can_t_be_had_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "sim").write_text("a file", "utf-8")
    with pytest.raises(StoreUnavailable, match="File exists"):
        Journal(tmp_path / "sim", NOW)


def test_a_folder_is_for_one_simulator(tmp_path: Path) -> None:
    held = claim(tmp_path / "sim")
    with pytest.raises(ServiceError, match="another simulated field runs with"):
        claim(tmp_path / "sim")
    held.close()
    claim(tmp_path / "sim").close()
