"""Wire version 1 as bytes: gateways in the field lag behind the centre, so what they send must be read for years.

Each payload in wire-1/*.cbor stands beside a *.json with its purpose, a hex dump and what must be read from it; a
gateway in another language is tested with these files. wire-1/push/*.json are what an enterprise types.

To add a message: add it to `GOLDEN` in tests/support/golden_wire.py, then in tests/ run
`python -m support.golden_wire`, which writes the files that are missing. A file that exists is never written again:
where this test fails, the code is wrong, or the change needs a wire version 2.
"""

import json
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

import cbor2
import pytest

from park_wire.batch import Batch, read_message
from park_wire.topics import is_id
from support.golden_wire import FOLDER, GOLDEN, SIGNALLING_NAN, describe

PUSHES = sorted((FOLDER / "push").glob("*.json"))


def stored(name: str) -> tuple[bytes, dict[str, Any]]:
    path = FOLDER / f"{name}.cbor"
    return path.read_bytes(), json.loads(path.with_suffix(".json").read_text("utf-8"))


def test_every_message_has_its_files_and_no_file_stands_alone() -> None:
    expected = {f"{name}.{suffix}" for name in GOLDEN for suffix in ("cbor", "json")}
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == expected


@pytest.mark.parametrize("name", GOLDEN)
def test_todays_decoder_reads_the_stored_bytes(name: str) -> None:
    payload, told = stored(name)
    assert bytes.fromhex("".join(told["hex"])) == payload, "the hex dump is of these bytes"
    assert told["about"]
    assert describe(GOLDEN[name].read(payload)) == told["decoded"]


@pytest.mark.parametrize("name", [name for name in GOLDEN if name != "batch-live-compressed"])
def test_todays_encoder_writes_the_stored_bytes(name: str) -> None:
    assert GOLDEN[name].payload == stored(name)[0]


def test_todays_encoder_writes_the_compressed_batch_up_to_the_packing() -> None:
    """Which bytes deflate chooses depends on the machine's zlib; what they unfold to, and the sha256, do not."""
    written, told = (cbor2.loads(payload) for payload in (GOLDEN["batch-live-compressed"].payload, _compressed()))
    assert (written["z"], told["z"]) == (1, 1)
    assert zlib.decompress(written.pop("columns")) == zlib.decompress(told.pop("columns"))
    assert list(written.items()) == list(told.items())


def _compressed() -> bytes:
    return stored("batch-live-compressed")[0]


def test_bits_of_a_signalling_nan_survive() -> None:
    message = read_message(stored("batch-events-marks")[0])
    assert isinstance(message, Batch)
    assert message.content().columns.value.tobytes().endswith(SIGNALLING_NAN)


@pytest.mark.parametrize("name", GOLDEN)
def test_any_stock_library_reads_the_envelope(name: str) -> None:
    """Plain CBOR, keys in the stored order, version first: nothing here needs Parkhub."""
    message = cbor2.loads(stored(name)[0])
    assert next(iter(message.items())) == ("v", 1)
    assert all(isinstance(key, str) for key in message)


@pytest.mark.parametrize("path", PUSHES, ids=lambda path: path.stem)
def test_push_examples_are_what_the_contract_describes(path: Path) -> None:
    told: Any = json.loads(path.read_text("utf-8"))
    for item in told if path.stem == "list" else [told]:
        assert set(item) == {"time", "values"}
        assert datetime.fromisoformat(item["time"]).utcoffset() is not None, "a time without an offset means nothing"
        for name, value in item["values"].items():
            assert is_id(name)
            assert value is None or isinstance(value, int | float)


def test_there_are_push_examples_of_both_shapes() -> None:
    assert {path.stem for path in PUSHES} == {"one", "list"}
