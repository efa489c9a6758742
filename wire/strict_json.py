"""JSON from outside, read so that no two readers of it can disagree.

What is priced is what is sent: a body is read once, here, and goes upstream as our own
serialization of what was read. A duplicate key has one meaning then: the last one.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import msgspec

from errors import InvalidParameterError, InvalidRequestError

MOST_LEVELS = 100
"""Nesting beyond this is refused; no dialect needs a quarter of it."""

MOST_CONTAINERS = 500_000
"""Brackets and braces of a body, those in its texts included. Millions of tiny containers in 10 MB
keep the garbage collector busy for seconds, in which nothing else is served."""

REMEDY = "Check the model name and the message format."

_SMALLEST_INT, _LARGEST_INT = -(2**63), 2**64 - 1
_SHORTEST_HUGE_INT = b"1" * 19
_DIGITS_AS_ONES = bytes(0x31 if 0x30 <= byte <= 0x39 else 0x30 for byte in range(256))
_LOCATED_UP_TO_BYTES = 65_536
_BYTE_OF_ERROR = re.compile(r"JSON is malformed: (.+) \(byte (\d+)\)")

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder(decimal_format="number")

encode: Callable[[Any], bytes] = _encoder.encode
"""Serialize what was decoded here, or made by us; a `Decimal` becomes a JSON number."""


def decode_object(raw: bytes) -> dict[str, Any]:
    """Decode the body of a request.

    Refused: what isn't UTF-8 or has a byte order mark, NaN and infinities, numbers beyond a double,
    integers beyond 64 bits, lone surrogates, nesting beyond `MOST_LEVELS`, more than
    `MOST_CONTAINERS`, anything but one object.

    Raises: InvalidRequestError; InvalidParameterError where one value is to blame, with its path.
    """
    try:
        value = decode_value(raw)
    except BadNumberError as error:
        where = f" at `{error.path}`" if error.path else ""
        raise InvalidParameterError(
            f"A number{where} is too large to be read safely. "
            f"Send integers of at most 64 bits and finite numbers. {REMEDY}",
            param=error.path,
        ) from error
    except ValueError as error:
        raise InvalidRequestError(f"The body can't be read: {error}. {REMEDY}") from error
    if not isinstance(value, dict):
        raise InvalidRequestError(f"The body must be one JSON object. {REMEDY}")
    return value


class BadNumberError(ValueError):
    """A number that no two readers would read alike; `path` leads to it where it is known."""

    def __init__(self, path: str | None) -> None:
        super().__init__("a number is too large")
        self.path = path


def decode_value(raw: bytes) -> Any:
    """Decode any JSON by the same rules, for what doesn't come from a caller.

    Raises: ValueError, whose text says what is wrong in words that may be shown.
    """
    containers = raw.count(b"{") + raw.count(b"[")
    if containers > MOST_CONTAINERS:
        raise ValueError(f"it has more than {MOST_CONTAINERS} objects and lists")
    try:
        value = _decoder.decode(raw)
    except RecursionError as error:
        raise _too_deep() from error
    except UnicodeDecodeError as error:
        raise ValueError("it isn't UTF-8") from error
    except msgspec.ValidationError as error:
        raise BadNumberError(_path_in_text(raw)) from error
    except msgspec.DecodeError as error:
        _refuse(raw, error)
    if containers > MOST_LEVELS and _is_too_deep(value):
        raise _too_deep()
    if _SHORTEST_HUGE_INT in raw.translate(_DIGITS_AS_ONES):
        path = next(_paths(value, _is_huge), None)
        if path is not None:
            raise BadNumberError(path)
    return value


def _too_deep() -> ValueError:
    return ValueError(f"it is nested deeper than {MOST_LEVELS} levels")


def _refuse(raw: bytes, error: msgspec.DecodeError) -> NoReturn:
    if not raw.strip():
        raise ValueError("it is empty") from error
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it begins with a byte order mark; plain UTF-8 has none") from error
    found = _BYTE_OF_ERROR.fullmatch(str(error))
    if found is None:
        raise ValueError("it isn't valid JSON: it ends too early") from error
    raise ValueError(f"it isn't valid JSON: {found[1]} at byte {found[2]}") from error


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True


def _is_huge(value: object) -> bool:
    return type(value) is int and not _SMALLEST_INT <= value <= _LARGEST_INT


def _path_in_text(raw: bytes) -> str | None:
    """The decoder's path hides the names of keys, so a small body is read once more to find it."""
    if len(raw) > _LOCATED_UP_TO_BYTES:
        return None
    try:
        value = json.loads(raw, parse_int=lambda text: 0 if len(text) <= 20 else math.inf)
        return next(_paths(value, lambda leaf: leaf in (math.inf, -math.inf)), None)
    except (ValueError, RecursionError):
        return None


def _paths(value: Any, is_meant: Callable[[Any], bool], path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, is_meant, f"{path}.{_shown(key)}" if path else _shown(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _paths(inner, is_meant, f"{path}[{index}]")
    elif is_meant(value):
        yield path or "$"


def _shown(key: str) -> str:
    """A key is the caller's own text: printable and short, or a placeholder."""
    return key if len(key) <= 64 and key.isprintable() else "?"
