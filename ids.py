"""Random ids, and the base-62 digits that they and the checksum of a key are written in."""

import os

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_BYTES = 12
RANDOM_LENGTH = 17
"""The digits that 96 bits take: 62**16 is less than 2**96."""

_PAIRS = tuple(high + low for high in DIGITS for low in DIGITS)


def new_id(prefix: str) -> str:
    """Return `prefix` and 96 random bits as 17 characters: `gen-4fQ…`, `key_0aZ…`."""
    return prefix + base62(int.from_bytes(os.urandom(RANDOM_BYTES), "big"), RANDOM_LENGTH)


def same(of: str, prefix: str) -> str:
    """Return the random bits of another id under a prefix of their own."""
    return prefix + of[-RANDOM_LENGTH:]


def base62(number: int, length: int) -> str:
    """Return a number in base 62, filled up with zeros; the number has to fit the length."""
    pairs = []
    for _ in range(length // 2):
        number, pair = divmod(number, 3844)
        pairs.append(_PAIRS[pair])
    if length % 2:
        pairs.append(DIGITS[number])
    pairs.reverse()
    return "".join(pairs)
