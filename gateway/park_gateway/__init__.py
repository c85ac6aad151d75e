"""The edge gateway: polls meters and controllers, keeps what they say on disk, and sends it until it is committed.

It runs on a small box, so it needs no numpy, no web framework and no database driver; and it only ever reads the field.
"""
