"""Embeddings: unit vectors made from the words of a text, alike for texts that are alike."""

import base64
import hashlib
import math
import struct
from collections import Counter
from typing import Any

DIMENSIONS = 64
DIMENSIONS_MOST = 4096


def embed(text: str, dimensions: int) -> tuple[float, ...]:
    """Return the unit vector of a text, as a float32 holds it; the same today and tomorrow."""
    sums = [0.0] * dimensions
    for word, count in Counter(text.lower().split() or [""]).items():
        digest = hashlib.shake_256(word.encode("utf-8", "surrogatepass")).digest(dimensions)
        for place, byte in enumerate(digest):
            sums[place] += count * (byte - 127.5)
    length = math.sqrt(sum(value * value for value in sums))
    return struct.unpack(f"<{dimensions}f", packed(tuple(value / length for value in sums)))


def packed(vector: tuple[float, ...]) -> bytes:
    """Little-endian float32, as `encoding_format: base64` has it."""
    return struct.pack(f"<{len(vector)}f", *vector)


def embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """Answer an embeddings request.

    Raises: ValueError for an input or a size that there is not.
    """
    size = body.get("dimensions") or DIMENSIONS
    if type(size) is not int or not 0 < size <= DIMENSIONS_MOST:
        raise ValueError(f"dimensions must be between 1 and {DIMENSIONS_MOST}")
    texts = _texts(body.get("input"))
    vectors = [embed(text, size) for text in texts]
    is_base64 = body.get("encoding_format") == "base64"
    tokens = sum(len(text.split()) for text in texts)
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(packed(vector)).decode() if is_base64 else vector,
            }
            for index, vector in enumerate(vectors)
        ],
        "model": body.get("model"),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _texts(value: object) -> list[str]:
    """A string, strings, token numbers, or lists of those; each number counts as a word."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        if all(isinstance(each, str) for each in value):
            return value
        if all(type(each) is int for each in value):
            return [" ".join(map(str, value))]
        if all(isinstance(each, list) and each for each in value):
            return [" ".join(map(str, each)) for each in value]
    raise ValueError("input must be a string, strings, or tokens, and not empty")
