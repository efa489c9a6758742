"""What a message of OpenAI's chat thought, in the three ways that there are to tell it."""

from collections.abc import Iterator
from typing import Any

from wire.neutral import Reasoning

DIALECT = "chat"

FORMATS = {
    "anthropic-claude-v1": "messages",
    "openai-responses-v1": "responses",
    "google-gemini-v1": "gemini",
}
"""Who sealed a `reasoning_details` entry, by OpenRouter's names of the formats.

Source: https://openrouter.ai/docs/use-cases/reasoning-tokens (read 2026-11-21)."""


def read_reasoning(message: dict[str, Any]) -> Iterator[Reasoning]:
    """Give what a message thought: OpenRouter's details, or the plain text that others have.

    The name of the field stands for a seal: those who use it want it back under that name.
    """
    details = message.get("reasoning_details")
    if type(details) is list and details:
        for detail in _merged(details):
            if (found := _detail(detail)) is not None:
                yield found
        return
    for field in ("reasoning_content", "reasoning"):
        if type(text := message.get(field)) is str and text:
            yield Reasoning(text=text, signature=field, signed_by=DIALECT)
            return


def _merged(details: list[Any]) -> list[dict[str, Any]]:
    """Put the pieces of a stream together, that clients send back as they came."""
    merged: list[dict[str, Any]] = []
    for detail in details:
        if type(detail) is not dict:
            continue
        last = merged[-1] if merged else {}
        if detail.get("type") == "reasoning.text" == last.get("type") and (
            detail.get("index", 0) == last.get("index", 0) and not last.get("signature")
        ):
            text = _text(last, "text") + _text(detail, "text")
            merged[-1] = {**last, **detail, "text": text}
        else:
            merged.append(detail)
    return merged


def _detail(detail: dict[str, Any]) -> Reasoning | None:
    kind, told = detail.get("type"), detail.get("format")
    signed_by = FORMATS.get(told) if type(told) is str else None
    common: dict[str, Any] = {"signed_by": signed_by, "id": detail.get("id")}
    if kind == "reasoning.text":
        return Reasoning(text=_text(detail, "text"), signature=detail.get("signature"), **common)
    if kind == "reasoning.summary":
        return Reasoning(summary=(_text(detail, "summary"),), **common)
    if kind == "reasoning.encrypted" and not _is_of_call(detail):
        return Reasoning(encrypted=detail.get("data"), **common)
    return None


def _is_of_call(detail: dict[str, Any]) -> bool:
    """Gemini seals calls: OpenRouter tells the seal as a detail with the call's id."""
    return detail.get("format") == "google-gemini-v1" and bool(detail.get("id"))


def seals_by_call(message: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the seals of calls by their ids, and who sealed them."""
    details = message.get("reasoning_details")
    if type(details) is not list:
        return {}
    return {
        str(detail["id"]): (detail.get("data") or "", "gemini")
        for detail in details
        if type(detail) is dict and _is_of_call(detail)
    }


def _text(detail: dict[str, Any], field: str) -> str:
    value = detail.get(field)
    return value if isinstance(value, str) else ""
