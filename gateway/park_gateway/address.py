"""Addresses that people write: hosts and OPC UA node ids. What passes here is taken by the libraries that use it."""

import binascii
import ipaddress
import re
import uuid
from base64 import b64decode
from typing import Final

HOST_RULE: Final = "write an IP address, or a name whose parts between dots are 1 to 63 letters, digits and hyphens"
NAMESPACE_RULE: Final = "a namespace is a number from 0 to 65535"
NODE_RULE: Final = f"write ns=2;s=tank-1, or i=, g= or b= in place of s=; {NAMESPACE_RULE}"

_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_MOST_HOST: Final = 253
_NODE: Final = re.compile(r"(?:ns=([0-9]{1,9});)?([isgb])=(.+)")
_MOST_NAMESPACE: Final = 65_535
_MOST_NUMBER: Final = 2**32 - 1


def is_host(text: str) -> bool:
    """Whether this is an IP address or a name that can be looked up."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _is_name(text)
    return True


def _is_name(text: str) -> bool:
    try:
        name = text.encode("idna").decode("ascii").removesuffix(".")
    except UnicodeError:
        return False
    return len(name) <= _MOST_HOST and all(_LABEL.fullmatch(label) for label in name.split("."))


def is_node_id(text: str) -> bool:
    """Whether this is a whole OPC UA node id, its namespace and number within what travels."""
    found = _NODE.fullmatch(text)
    if found is None or not text.isprintable() or int(found[1] or 0) > _MOST_NAMESPACE:
        return False
    kind, identifier = found[2], found[3]
    try:
        match kind:
            case "i":
                return identifier.isascii() and identifier.isdecimal() and int(identifier) <= _MOST_NUMBER
            case "g":
                uuid.UUID(identifier)
            case "b":
                b64decode(identifier, validate=True)
            case _:
                # UTF-8 is how it travels.
                identifier.encode()
    except (ValueError, binascii.Error):
        return False
    return True
