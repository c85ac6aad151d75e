"""Schema revisions, run by storage/migrate.py. A revision that was released is never edited."""
