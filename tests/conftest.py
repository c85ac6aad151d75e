"""Fixtures that every test may name."""

pytest_plugins = ("support.services", "support.database", "support.timescale")
