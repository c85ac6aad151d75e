"""The simulated park: its physics, its field devices as real servers, its faults and the truth about all of it."""
