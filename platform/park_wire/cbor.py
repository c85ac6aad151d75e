"""CBOR as Parkhub lets it in: no duplicate keys, trailing bytes or indefinite lengths, no tag but RFC 8746 columns.

Map keys are texts or byte strings: other keys can be chosen so that their hashes collide.

cbor2 by itself accepts all of these, and compiles tag 35 as a regular expression.
"""

import io
import math
import reprlib
import sys
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeAlias

import cbor2

from park_wire.errors import WireError

# A column crosses as the raw bytes of its array; both supported processors are little-endian.
assert sys.byteorder == "little", "Parkhub runs on x86-64 and aarch64"  # noqa: S101

if TYPE_CHECKING:
    Ints: TypeAlias = memoryview[int]
    Floats: TypeAlias = memoryview[float]
else:  # memoryview takes no parameter before Python 3.14
    Ints = Floats = memoryview
_Letter = Literal["B", "I", "i", "q", "f", "d"]

# RFC 8746 tag -> (memoryview format, bytes an element)
_COLUMN_TAGS: Final[dict[int, tuple[_Letter, int]]] = {
    64: ("B", 1),
    70: ("I", 4),
    78: ("i", 4),
    79: ("q", 8),
    85: ("f", 4),
    86: ("d", 8),
}
_TAG_OF_FORMAT: Final[dict[str, int]] = {letter: tag for tag, (letter, _) in _COLUMN_TAGS.items()}
# Every tag that cbor2 6.3 decodes by itself; a test walks all tags to see that none was forgotten.
_OWN_TAGS: Final = (
    *(0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100),
    *(256, 258, 260, 261, 1004, 43000, 55799),
)


def _refuse(*_: object) -> NoReturn:
    raise WireError("CBOR tag is not allowed here; only RFC 8746 typed arrays are")


_REFUSED: Final = dict.fromkeys(_OWN_TAGS, _refuse)


def _column(tag: cbor2.CBORTag, _immutable: bool) -> Ints | Floats:
    if tag.tag not in _COLUMN_TAGS or not isinstance(tag.value, bytes):
        raise WireError(f"CBOR tag {tag.tag} is not allowed here; only RFC 8746 typed arrays are")
    letter, width = _COLUMN_TAGS[tag.tag]
    if len(tag.value) % width:
        raise WireError(f"typed array of {width}-byte elements has {len(tag.value)} bytes")
    return memoryview(tag.value).cast(letter)


def encode(value: object) -> bytes:
    """CBOR of `value`; memoryviews become typed arrays, map order is kept. Raises WireError for what has no CBOR."""
    try:
        return cbor2.dumps(value, encoders=_ENCODERS)
    except (cbor2.CBORError, ValueError, OverflowError, RecursionError) as error:
        raise WireError(f"this does not travel on the wire: {error}") from error


def as_tag(column: Ints | Floats) -> cbor2.CBORTag:
    """A column as an RFC 8746 typed array."""
    if column.format not in _TAG_OF_FORMAT:
        raise WireError(f"a column of format {column.format!r} does not travel; use one of {', '.join(_TAG_OF_FORMAT)}")
    return cbor2.CBORTag(_TAG_OF_FORMAT[column.format], column.tobytes())


def decode(payload: bytes) -> Any:
    """The value that `payload` holds, typed arrays as memoryviews. Raises WireError for anything unusual."""
    source = io.BytesIO(payload)
    try:
        value = cbor2.CBORDecoder(
            source,
            tag_hook=_column,
            semantic_decoders=_REFUSED,
            max_depth=16,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        ).decode()
    except WireError:
        raise
    except (cbor2.CBORError, ValueError, OverflowError, RecursionError) as error:
        raise WireError(f"not the CBOR that was expected: {error}") from error
    if source.tell() != len(payload):
        raise WireError(f"{len(payload) - source.tell()} bytes follow the end of the CBOR value")
    return value


def _encode_column(encoder: cbor2.CBOREncoder, column: Any) -> None:
    encoder.encode(as_tag(column))


# Left alone, cbor2 would encode the elements one by one, and never ask its `default`.
_ENCODERS: Final = {memoryview: _encode_column}


def _brief(value: Any) -> str:
    """What was found, for an error text: a hostile value may be a megabyte long."""
    return reprlib.repr(value)[:100]


class Fields:
    """Typed reading of a decoded CBOR map: every mistake is a WireError that names message and field."""

    def __init__(self, value: Any, message: str) -> None:
        if not isinstance(value, dict):
            raise WireError(f"{message} is a {type(value).__name__}, not a map")
        self._map: dict[Any, Any] = value
        self._message = message

    def _get(self, name: str) -> Any:
        try:
            return self._map[name]
        except KeyError:
            raise WireError(f"{self._message} has no field {name!r}") from None

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self._map

    def integer(self, name: str, low: int = -(2**63), high: int = 2**63 - 1) -> int:
        """An integer within [low, high]."""
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise WireError(f"{self._message}: {name} is {_brief(value)}, not an integer from {low} to {high}")
        return value

    def flag(self, name: str) -> bool:
        """A boolean."""
        value = self._get(name)
        if not isinstance(value, bool):
            raise WireError(f"{self._message}: {name} is {_brief(value)}, not true or false")
        return value

    def raw(self, name: str, length: int | None = None) -> bytes:
        """A byte string, of exactly `length` bytes when that is given."""
        value = self._get(name)
        if not isinstance(value, bytes) or (length is not None and len(value) != length):
            size = "a byte string" if length is None else f"a byte string of {length} bytes"
            raise WireError(f"{self._message}: {name} is not {size}")
        return value

    def text(self, name: str, most: int = 256) -> str:
        """A text of at most `most` characters, without NUL: PostgreSQL keeps none."""
        value = self._get(name)
        if not isinstance(value, str) or len(value) > most or "\0" in value:
            raise WireError(f"{self._message}: {name} is not a text of at most {most} characters without NUL")
        return value

    def number(self, name: str) -> float:
        """A finite float; integers count."""
        value = self._get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise WireError(f"{self._message}: {name} is {_brief(value)}, not a finite number")
        return float(value)

    def ints(self, name: str, letter: Literal["B", "I", "i", "q"]) -> Ints:
        """A typed array of integers whose elements have the memoryview format `letter`."""
        return self._column(name, letter)

    def floats(self, name: str, letter: Literal["f", "d"]) -> Floats:
        """A typed array of floats whose elements have the memoryview format `letter`."""
        return self._column(name, letter)

    def _column(self, name: str, letter: str) -> Any:
        value = self._get(name)
        if not isinstance(value, memoryview) or value.format != letter:
            raise WireError(f"{self._message}: {name} is not a typed array of tag {_TAG_OF_FORMAT[letter]}")
        return value  # pyright: ignore[reportUnknownVariableType]

    def items(self, name: str, most: int) -> list[Any]:
        """A list of at most `most` elements."""
        value = self._get(name)
        if not isinstance(value, list) or len(value) > most:  # pyright: ignore[reportUnknownArgumentType]
            raise WireError(f"{self._message}: {name} is not a list of at most {most} elements")
        return value  # pyright: ignore[reportUnknownVariableType]

    def fields(self, name: str) -> "Fields":
        """A nested map."""
        return Fields(self._get(name), f"{self._message}.{name}")

    def mapping(self, name: str) -> dict[Any, Any]:
        """A nested map as it is."""
        value = self._get(name)
        if not isinstance(value, dict):
            raise WireError(f"{self._message}: {name} is not a map")
        return value  # pyright: ignore[reportUnknownVariableType]
