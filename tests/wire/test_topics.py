"""Topics hold names that no broker gives a meaning to, and are read only in the form in which they are written."""

import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_wire.errors import WireError
from park_wire.topics import (
    LIVE_ALARMS,
    LIVE_VALUES,
    UPWARD,
    check_id,
    gateway_topic,
    is_id,
    live_values_topic,
    parse_gateway_topic,
    push_topic,
    receipt_topic,
)
from support.wire_samples import names

ALPHABET = set(string.ascii_lowercase + string.digits + "-")
WRONG = ["", "A", "a b", "a_b", "a.b", "a/b", "+", "#", "$sys", "储罐", "é", "٣", "a\n", "\n", "a\0", " a", "x" * 33]


@given(names)
def test_names_are_names(name: str) -> None:
    assert is_id(name)
    assert check_id(name, "gateway") == name


@given(st.text(max_size=40))
def test_is_id_means_what_the_contract_says(text: str) -> None:
    assert is_id(text) == (1 <= len(text) <= 32 and set(text) <= ALPHABET)


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_names_reach_no_topic(wrong: str) -> None:
    assert not is_id(wrong)
    makers: list[Callable[[str], str]] = [
        lambda name: gateway_topic(name, "data"),
        lambda name: push_topic(name, "meter-1"),
        lambda name: push_topic("acme", name),
        lambda name: push_topic(name, "meter-1", dry_run=True),
        receipt_topic,
    ]
    for make in makers:
        with pytest.raises(WireError, match="1 to 32 characters of a-z, 0-9 and -"):
            make(wrong)
    with pytest.raises(WireError, match="stream"):
        live_values_topic(wrong)


@given(names, st.sampled_from(UPWARD))
def test_gateway_topics_come_back(gateway: str, leaf: str) -> None:
    assert leaf in UPWARD
    topic = gateway_topic(gateway, next(each for each in UPWARD if each == leaf))
    assert topic == f"park/1/gw/{gateway}/{leaf}"
    assert parse_gateway_topic(topic) == (gateway, leaf)


@pytest.mark.parametrize(
    "topic",
    [
        "park/1/gw/edge-1/ack",
        "park/1/gw/edge-1",
        "park/1/gw/edge-1/data/",
        "park/1/gw/edge-1/data/x",
        "/park/1/gw/edge-1/data",
        "park/2/gw/edge-1/data",
        "park/01/gw/edge-1/data",
        "park/1/gw/Edge-1/data",
        "park/1/gw//data",
        "park/1/gw/+/data",
        "park/1/gw/edge-1/#",
        "park/1/gw/edge-1/Data",
        "park/1/push/acme/meter-1",
        "$share/g/park/1/gw/edge-1/data",
        "",
    ],
)
def test_other_topics_are_refused(topic: str) -> None:
    with pytest.raises(WireError):
        parse_gateway_topic(topic)


@given(st.text(max_size=60))
def test_any_topic_is_read_or_refused(topic: str) -> None:
    try:
        gateway, leaf = parse_gateway_topic(topic)
    except WireError:
        return
    assert gateway_topic(gateway, leaf) == topic


def test_an_error_text_is_short_whatever_the_topic() -> None:
    with pytest.raises(WireError) as caught:
        parse_gateway_topic("x" * 65_535)
    assert len(str(caught.value)) < 300


@given(names, names)
def test_topics_are_those_of_the_contract(one: str, other: str) -> None:
    assert gateway_topic(one, "ack") == f"park/1/gw/{one}/ack"
    assert push_topic(one, other) == f"park/1/push/{one}/{other}"
    assert push_topic(one, other, dry_run=True) == f"park/1/try/{one}/{other}"
    assert receipt_topic(one) == f"park/1/receipt/{one}"


@given(names)
def test_a_stream_is_a_gateway_an_enterprise_or_the_park(name: str) -> None:
    for stream in (f"gw-{name}", f"push-{name}", "park"):
        assert live_values_topic(stream) == LIVE_VALUES.replace("+", stream)
    assert LIVE_ALARMS == "park/1/live/alarms"
