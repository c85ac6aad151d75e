"""What a commit keeps besides readings and alarms: events, dead letters, hellos, the packed image."""

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from park_platform.storage.connect import Connection
from park_platform.storage.engines.store import open_store
from park_platform.storage.latest import pack_image
from park_platform.storage.work import Committed, Letter, Work
from park_sdk.frame import Image
from park_wire import cbor
from park_wire.batch import Event
from park_wire.messages import Hello

_LONGEST_REASON = 1_000


def save_events(connection: Connection, works: Sequence[Work], now: int) -> int:
    """Store the events; one whose time is impossible becomes a dead letter. Returns how many were there already."""
    events = [(work.claim.stream, event) for work in works for event in work.events]
    if not events:
        return 0
    store = open_store(connection)
    oldest, newest = store.oldest_kept(now), store.newest_kept(now)
    possible = [(stream, event) for stream, event in events if oldest <= event.time <= newest]
    for stream, event in events:
        if not oldest <= event.time <= newest:
            reason = f"event of device {event.device} at {event.time} µs: outside of what is kept and 5 min ahead"
            save_letters(connection, stream, [Letter(reason, _encode(event))])
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO event (stream_id, device, kind, ts, body, body_sha256)
            VALUES (%s, %s, %s, at_us(%s), %s, sha256(%s)) ON CONFLICT DO NOTHING
            """,
            [
                (stream, event.device, event.kind, event.time, Jsonb(event.body), cbor.encode(event.body))
                for stream, event in possible
            ],
        )
        return len(possible) - max(cursor.rowcount, 0)


def _encode(event: Event) -> bytes:
    return cbor.encode([event.device, event.time, event.kind, event.body])


def save_letters(connection: Connection, stream: int, letters: Sequence[Letter]) -> None:
    """Keep payloads that could not be processed."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO dead_letter (stream_id, epoch, lane, seq, reason, payload) VALUES (%s, %s, %s, %s, %s, %s)",
            [
                # PostgreSQL keeps no NUL, and an error's text may quote what came in.
                (stream, letter.epoch, letter.lane, letter.seq, letter.reason.replace("\0", "�")[:_LONGEST_REASON],
                 letter.payload)
                for letter in letters
            ],
        )  # fmt: skip


def save_hello(connection: Connection, gateway: int, hello: Hello, term: int, now: int) -> None:
    """Keep who speaks for a gateway. Only a run that owns its epoch is entered here."""
    connection.execute(
        """
        UPDATE gateway SET run = %s, epoch = %s, hello_term = %s, online = true, hello_at = at_us(%s) WHERE id = %s
        """,
        (hello.run, hello.epoch, term, now, gateway),
    )
    connection.execute(
        """
        INSERT INTO epoch (gateway_id, epoch, made_at) VALUES (%s, %s, at_us(%s))
        ON CONFLICT (gateway_id, epoch) DO UPDATE SET made_at = COALESCE(epoch.made_at, EXCLUDED.made_at)
        """,
        (gateway, hello.epoch, hello.made_at),
    )


def save_packs(connection: Connection, works: Sequence[Work], done: Sequence[Committed], now: int) -> None:
    """Write the packed images of the streams whose turn it is, as they are after this commit."""
    packs = [
        (work.claim.stream, pack_image(_after(work.image, committed)), committed.live_seq, now)
        for work, committed in zip(works, done, strict=True)
        if work.pack
    ]
    if packs:
        with connection.cursor() as cursor:
            cursor.executemany(
                """
                INSERT INTO latest_pack (stream_id, packed, live_seq, at) VALUES (%s, %s, %s, at_us(%s))
                ON CONFLICT (stream_id)
                  DO UPDATE SET packed = EXCLUDED.packed, live_seq = EXCLUDED.live_seq, at = EXCLUDED.at
                """,
                packs,
            )


def _after(before: Image, committed: Committed) -> Image:
    image = Image(before.point, before.time.copy(), before.value.copy(), before.quality.copy())
    image.show(committed.ticked.shown)
    return image
