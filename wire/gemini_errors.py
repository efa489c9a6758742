"""A failure as Google tells it, `google.rpc.Status`, in the shape that our errors are read from.

The names of the statuses are those of `google.rpc.Code`.
"""

from collections.abc import Mapping
from typing import Any

from wire.chat_content import error_object

STATUSES = {
    "INVALID_ARGUMENT": 400,
    "OUT_OF_RANGE": 400,
    "FAILED_PRECONDITION": 403,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 503,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 503,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""What each status means as HTTP. FAILED_PRECONDITION comes as a 400, but is about our account: it
isn't billed, or isn't served where we are."""

_TOO_LONG = "exceeds the maximum number of tokens"


def told_error(value: object) -> dict[str, Any] | None:
    """Return the error of an answer or an event, as OpenAI would tell it; None where there is none.

    `code` is the HTTP status that it stands for, but for a prompt that is too long and for a key
    that isn't valid, which have words of their own.
    """
    if isinstance(value, list) and value:
        value = value[0]  # a stream that isn't one of events comes as a list
    found = value.get("error") if isinstance(value, Mapping) else None
    error = error_object(found)
    if error is None:
        return None
    message, status = str(error.get("message") or "unknown error"), error.get("status")
    told: dict[str, Any] = {"message": message, "type": status, "code": error.get("code")}
    if isinstance(status, str) and status in STATUSES:
        told["code"] = STATUSES[status]
    if told["code"] == 400:
        if _TOO_LONG in message:
            told["code"] = "context_length_exceeded"
        elif "API_KEY_INVALID" in _reasons(error):
            told["code"] = 401
    for detail in _details(error):
        for violation in detail.get("fieldViolations") or ():
            told.setdefault("param", violation.get("field"))
        if "retryDelay" in detail:
            told["retry_after_s"] = _seconds(detail["retryDelay"])
    return told


def _details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    details = error.get("details")
    found = details if isinstance(details, list) else []
    return [detail for detail in found if isinstance(detail, Mapping)]


def _reasons(error: Mapping[str, Any]) -> set[str]:
    return {str(detail.get("reason")) for detail in _details(error)}


def _seconds(delay: object) -> float | None:
    """Read a duration, "17s" or "0.5s"."""
    try:
        return float(str(delay).removesuffix("s"))
    except ValueError:
        return None
