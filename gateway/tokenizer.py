"""Counting tokens as OpenAI's models do, offline, with the vocabulary o200k_base under `data/`.

The vocabulary is read at the first count, because it takes half a second and 74 MB. It is built
here rather than by tiktoken's own loader, which would look for a copy on the network.
"""

import base64
import hashlib
from pathlib import Path

import tiktoken

from offload import off_loop

VOCABULARY = (
    Path(__file__).parent.parent / "data" / "tokenizer" / "fb374d419588a4632f3f557e76b4b70aebbca790"
)
"""Named as tiktoken's cache names it, so that this folder also serves as one."""

SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
SPECIAL = {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}
PATTERN = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
"""How text is cut before it is merged. Source: tiktoken 0.14.0, `o200k_base`, read 2026-11-21."""

LONG_CHARACTERS = 20_000
"""From here on a count takes milliseconds, and is done off the event loop."""

EXACT = ("gpt-4o", "chatgpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "o1", "o3", "o4-mini")
"""OpenAI's families whose vocabulary this is. Source: as above, `model.py`."""

NOT_TEXT = ("audio", "realtime", "transcribe", "tts")


class _Held:
    encoding: tiktoken.Encoding | None = None


_held = _Held()


def count(text: str) -> int:
    """Return the number of tokens of a text; what looks like a special token is plain text."""
    encoding = _held.encoding
    if encoding is None:
        encoding = _held.encoding = off_loop(_load)
    if len(text) > LONG_CHARACTERS:
        return off_loop(_count, encoding, text)
    return _count(encoding, text)


def has_exact(model_id: str) -> bool:
    """Whether `count` is what the vendor itself counts for this model's text."""
    author, _, name = model_id.rpartition("/")
    if author not in ("", "openai") or any(word in name for word in NOT_TEXT):
        return False
    return any(name == family or name.startswith((f"{family}-", f"{family}.")) for family in EXACT)


def _count(encoding: tiktoken.Encoding, text: str) -> int:
    return len(encoding.encode_ordinary(text))


def _load() -> tiktoken.Encoding:
    content = VOCABULARY.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(f"{VOCABULARY.name} under data/tokenizer is not the vocabulary o200k_base")
    ranks = {
        base64.b64decode(token): int(rank) for token, rank in map(bytes.split, content.splitlines())
    }
    return tiktoken.Encoding(
        "o200k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=SPECIAL
    )
