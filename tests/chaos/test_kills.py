"""The short form of `park bench kills`: everything dies twice while readings flow, and nothing is lost or doubled.

The full form is KILLS=10 park bench kills --json, or any other number; SEED is printed with the result.
"""

import json

from bench.kills import kill_all
from support.park import park_folder, whole_park

KILLS = 2
SEED = 20261123


def test_nothing_is_lost_or_doubled_when_everything_dies_twice() -> None:
    with park_folder(on_disk=True) as folder, whole_park(folder, trace=True) as park:
        found = kill_all(park, KILLS, SEED, steady=False)
        children = park.park.supervisor.children()
    told = json.dumps(found)
    assert found["kills"] == 4 * KILLS
    assert found["accepted"] > 1_000, told
    none = ("lost", "double", "conflicts", "gaps", "dead_letters", "spurious_transitions", "missing_transitions")
    assert {key: found[key] for key in none} == dict.fromkeys(none, 0), told
    assert found["journal_faults"] == []
    assert found["system_alarms"] == {}, told
    # An over-pressure goes on all the time: its alarms are among what was compared.
    assert found["transitions"] >= 2, told
    # A kill costs a poll of each block at most; only gateway kills can.
    assert found["missed_polls_of_a_block"] <= KILLS + 1, told
    assert not any(child.given_up for child in children)
