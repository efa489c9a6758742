"""Sealed reasoning of one vendor, carried through a client that speaks another's dialect.

A vendor wants its own seals back in the next turn of a tool loop. A client keeps what its dialect
calls a signature (or redacted thinking) without reading it, so another vendor's seal travels there,
marked as such, and comes out again at that vendor only.
"""

import base64
from typing import Any

import msgspec

from wire.neutral import Reasoning, ToolCall

MARK = "turnpike1."

SEALED_CALL = "call:"
"""How the id begins of a sealed text that belongs to the tool call after it."""

_decode = msgspec.json.Decoder(list[str | None]).decode


def seal(reasoning: Reasoning) -> str:
    """Return one text that holds all a foreign vendor needs; empty when it needs nothing."""
    held = [reasoning.signed_by, reasoning.signature, reasoning.encrypted, reasoning.id]
    if reasoning.signed_by is None:
        return ""
    return MARK + base64.b64encode(msgspec.json.encode(held)).decode()


def seal_of_call(call: ToolCall) -> str:
    """Return the seal of a call, for a client whose calls have no place for it."""
    held = Reasoning(
        signature=call.signature, signed_by=call.signed_by, id=f"{SEALED_CALL}{call.id}"
    )
    return seal(held)


def unseal(text: object) -> dict[str, Any] | None:
    """Return the fields of a `Reasoning` that `seal` hid; None for a seal that isn't ours."""
    if not isinstance(text, str) or not text.startswith(MARK):
        return None
    try:
        held = _decode(base64.b64decode(text[len(MARK) :], validate=True))
    except (ValueError, msgspec.MsgspecError):
        return None
    names = ("signed_by", "signature", "encrypted", "id")
    return dict(zip(names, held, strict=True)) if len(held) == len(names) else None
