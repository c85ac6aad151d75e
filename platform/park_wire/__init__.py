"""The contract between edge and centre: topics, batches, quality, quantities and the `park` command.

Nothing here opens a socket or a file that is not part of the package; it needs the standard library and cbor2 only.
"""
