"""Where readings and rollups live: one Protocol (engine.py), two engines, chosen once at migration."""
