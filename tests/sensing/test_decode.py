"""A batch as the centre's readings: nothing lost, nothing invented, whatever the batch holds."""

from math import inf, isfinite, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_platform.sensing.decode import decode_batch
from park_platform.storage.streams import PointMap
from park_wire.batch import Batch, Columns, Event, seal
from park_wire.errors import WireError
from park_wire.quality import MARK_SHIFT, Mark, Quality, is_bad
from support import wire_samples

indices = st.lists(st.one_of(st.integers(0, 12), st.integers(0, 2**32 - 1)), unique=True, max_size=12)


def point_map(known: list[int]) -> PointMap:
    return PointMap(np.array(sorted(known), np.int64), np.arange(len(known), dtype=np.int32) + 1_000)


def batch_of(columns: Columns, events: list[Event] | None = None) -> Batch:
    sealed = seal(columns, events or [], config_version=bytes(32), until=0, sealed_at=0)
    return Batch(wire_samples.sample_envelope(), sealed)


@given(indices, st.data())
def test_every_reading_of_a_known_index_arrives(known: list[int], data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 30))
    index = (
        data.draw(st.lists(st.sampled_from(known) | st.integers(0, 14), min_size=n, max_size=n)) if known else [3] * n
    )
    value = data.draw(st.binary(min_size=8 * n, max_size=8 * n))
    quality = data.draw(st.binary(min_size=n, max_size=n))
    mark = data.draw(st.none() | st.binary(min_size=n, max_size=n))
    columns = Columns(
        index=wire_samples.ints("I", index),
        time=wire_samples.ints("q", range(n)),
        value=memoryview(value).cast("d"),
        quality=wire_samples.ints("B", quality),
        mark=None if mark is None else wire_samples.ints("B", mark),
    )
    decoded = decode_batch(batch_of(columns), point_map(known))

    points = {at: 1_000 + n for n, at in enumerate(sorted(known))}
    kept = [row for row in range(n) if index[row] in points]
    unknown = n - len(kept)
    assert decoded.faults == ((f"{unknown} readings have an index that no birth names",) if unknown else ())
    assert decoded.frame.point.tolist() == [points[index[row]] for row in kept]
    assert decoded.frame.time.tolist() == kept
    assert decoded.frame.value.tobytes() == b"".join(value[8 * row : 8 * row + 8] for row in kept)
    marks = [0 if mark is None or mark[row] > max(Mark) else mark[row] for row in kept]
    wire = [
        quality[row] if isfinite(columns.value[row]) or is_bad(quality[row]) else Quality.BAD_NONSENSE for row in kept
    ]
    codes = [code | mark << MARK_SHIFT for code, mark in zip(wire, marks, strict=True)]
    assert decoded.frame.quality.tolist() == codes
    assert decoded.frame.quality.dtype == np.int16


@given(st.lists(wire_samples.events, max_size=4))
def test_events_arrive_as_they_were_sent(events: list[Event]) -> None:
    decoded = decode_batch(batch_of(wire_samples.columns_of([]), events), point_map([]))
    assert decoded.events == tuple(events)
    assert len(decoded.frame) == 0


def test_a_damaged_content_is_refused() -> None:
    batch = wire_samples.read_all(wire_samples.MESSAGES["batch"][0])[0]
    sealed = batch.sealed
    broken = type(sealed)(
        sealed.config_version, sealed.until, sealed.sealed_at, sealed.z, bytes(32), sealed.columns, sealed.events
    )
    with pytest.raises(WireError, match="sha256"):
        decode_batch(Batch(batch.envelope, broken), point_map([0]))


@pytest.mark.parametrize("known", [[0, 1, 2], [0, 1, 3], [3]])
def test_the_first_index_past_the_known_ones_is_unknown(known: list[int]) -> None:
    columns = wire_samples.columns_of([(known[-1], 1, 1.5, 0), (known[-1] + 1, 2, 2.5, 0)])
    decoded = decode_batch(batch_of(columns), point_map(known))
    assert decoded.frame.value.tolist() == [1.5]
    assert decoded.faults == ("1 readings have an index that no birth names",)


def test_what_is_no_number_is_not_good_whatever_the_gateway_says() -> None:
    rows = [(0, 1, nan, 0), (0, 2, inf, 0), (0, 3, -inf, Quality.UNCERTAIN), (0, 4, nan, Quality.BAD_NO_ANSWER)]
    decoded = decode_batch(batch_of(wire_samples.columns_of([*rows, (0, 5, 1.5, 0)])), point_map([0]))
    nonsense = Quality.BAD_NONSENSE
    assert decoded.frame.quality.tolist() == [nonsense, nonsense, nonsense, Quality.BAD_NO_ANSWER, Quality.GOOD]
