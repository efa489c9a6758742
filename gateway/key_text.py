"""How a key is written: a prefix, 37 random characters, and a checksum over both.

The checksum refuses a mistyped key without a look-up, and lets a secret scanner recognize a real
one.
"""

import hashlib
import re
import secrets
import string
import zlib

import ids

ALPHABET = string.ascii_letters + string.digits + "-_"
RANDOM_LENGTH = 37
CHECK_LENGTH = 6
PREFIXES = {"inference": "tp_live_", "management": "tp_mgmt_"}
LENGTH = 8 + RANDOM_LENGTH + CHECK_LENGTH
_SHAPE = re.compile(r"tp_(?:live|mgmt)_[A-Za-z0-9_-]{37}[0-9A-Za-z]{6}")


def mint(kind: str) -> str:
    """Return a new key of a kind."""
    body = PREFIXES[kind] + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return body + _check(body)


def is_sound(text: str) -> bool:
    """Whether a text has the form of a key, checksum included."""
    return _SHAPE.fullmatch(text) is not None and _is_checked(text)


def is_in(text: str) -> bool:
    """Whether a key stands anywhere in a text."""
    return redacted(text) != text


def redacted(text: str) -> str:
    """Return a text with the hint in place of every key in it."""
    return _SHAPE.sub(_hinted, text)


def hash_of(text: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(text.encode()).hexdigest()


def hint_of(text: str) -> str:
    """Return what may be shown of a key: "tp_live_…c91f"."""
    return f"{text[:8]}…{text[-4:]}"


def _hinted(found: re.Match[str]) -> str:
    return hint_of(found[0]) if _is_checked(found[0]) else found[0]


def _is_checked(text: str) -> bool:
    return text[-CHECK_LENGTH:] == _check(text[:-CHECK_LENGTH])


def _check(body: str) -> str:
    return ids.base62(zlib.crc32(body.encode()), CHECK_LENGTH)
