"""How a failure looks in each dialect. One tree of errors, one renderer for each shape."""

import re
from typing import Any

from errors import TurnpikeError

ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
"""Source: https://docs.anthropic.com/en/api/errors (read 2026-11-21)."""

OPENROUTER_TYPES = {
    400: "invalid_request",
    401: "authentication",
    402: "payment_required",
    403: "permission_denied",
    404: "not_found",
    413: "payload_too_large",
    429: "rate_limit_exceeded",
    500: "server",
    502: "provider_unavailable",
    503: "provider_overloaded",
}


_KEY = re.compile(r"\btp_(live|mgmt)_[\w-]{8,}")


def without_keys(text: str) -> str:
    """Return a text without our own keys: one that was sent in the wrong place isn't repeated."""
    return _KEY.sub(r"tp_\1_…", text)


def openai(error: TurnpikeError) -> dict[str, Any]:
    """OpenAI's shape: under /v1."""
    body: dict[str, Any] = {
        "message": without_keys(error.message),
        "type": error.type,
        "param": _param(error),
        "code": error.code,
    }
    if error.facts:
        body["metadata"] = error.facts
    return {"error": body}


def openrouter(error: TurnpikeError) -> dict[str, Any]:
    """OpenRouter's shape with a numeric code, and the flat one of D-24 beside it: under /api/v1."""
    metadata = {"error_type": OPENROUTER_TYPES.get(error.status, error.code), **error.facts}
    if error.provider is not None:
        metadata["provider_name"] = error.provider
    message = without_keys(error.message)
    body = {
        "message": message,
        "type": error.code,
        "param": _param(error),
        "code": error.status,
        "metadata": metadata,
    }
    return {"error": body, "code": error.status, "message": message}


def anthropic(error: TurnpikeError, request_id: str) -> dict[str, Any]:
    """Anthropic's shape: at messages."""
    kind = ANTHROPIC_TYPES.get(error.status, "api_error")
    return {
        "type": "error",
        "error": {"type": kind, "message": without_keys(error.message)},
        "request_id": request_id,
    }


def _param(error: TurnpikeError) -> str | None:
    return None if error.param is None else without_keys(error.param)
