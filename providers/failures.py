"""What a provider's failures mean to the caller, and what of them may be seen.

A provider's trouble with us (its 401, 402, 403, 404, 429) is ours to hide. Its trouble with the
caller's input is passed on, in its own words, less what could give away a key or where we send to.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

import clock
from errors import (
    ContextLengthError,
    TurnpikeError,
    UpstreamBrokenError,
    UpstreamBusyError,
    UpstreamRejectedError,
    UpstreamTimeoutError,
)
from providers.transport_errors import DeadlineError, TransportError

MESSAGE_CHARS = 500
"""How much of a provider's own words a caller is shown."""

RETRY_AFTER_MOST_S = 60.0
"""However long a provider asks us to stay away, we look again after this."""

_READ_BYTES = 64 * 1024
_REJECTING = frozenset({400, 413, 422})
_BUSY = frozenset({429, 503, 529})  # 529 is Anthropic's "overloaded"
_SLOW = frozenset({408, 504, 524})  # 524 is Cloudflare's "a timeout occurred"

_TOO_LONG = re.compile(r"maximum context length|prompt is too long|longer than the model's context")
"""How vendors that give no code of their own say it.

Source: https://github.com/FoundationAgents/OpenManus/issues/79 (DeepSeek, whose code is
invalid_request_error), read 2026-11-21.
"""
_OUR_ACCOUNT_CODES = re.compile(
    r"api_?key|arrearage|billing|quota|balance|unauthori[sz]ed|authentication|permission|account",
    re.IGNORECASE,
)
_OUR_ACCOUNT = re.compile(
    r"(invalid|incorrect|missing) api[ -]key|api key (not|is not|isn't) valid"
    r"|credit balance is too low|insufficient (account )?balance|account is in good standing"
    r"|exceeded your current quota",
    re.IGNORECASE,
)
"""A 400 that is about our account with the provider, not about the caller's input.

Source: https://github.com/anthropics/anthropic-sdk-typescript/issues/618 ("credit balance is
too low" is a 400), read 2026-11-21.
"""

_SECRETS = re.compile(
    r"\b(?:bearer|basic)\s+\S+"
    r"|\b(?:sk|pk|rk|tp|ak|gsk|xai|key|token|hf|nvapi)[-_][\w*.\-]{6,}"
    r"|\bAIza[\w-]{10,}",
    re.IGNORECASE,
)
_LONG_WORD = re.compile(r"[\w\-+/=]{32,}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CODE = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")


class _Said(NamedTuple):
    """What a provider's error object says; "" for what it leaves out."""

    message: str
    code: str
    param: str
    status: int


def from_answer(
    status: int, headers: Mapping[str, str], body: bytes, base_url: str = ""
) -> TurnpikeError:
    """Return what an answer of the OpenAI dialects means when it isn't a good 200.

    The status decides. A 200 (or an event) with an error object counts as the HTTP status that its
    `code` is, if it is one.
    """
    said = _said(body)
    if status == 200 and 400 <= said.status <= 599:
        status = said.status
    detail = _for_the_log(status, said, base_url)
    if status in _REJECTING and not _is_about_our_account(said):
        return _rejection(said, base_url, detail)
    if status == 404 and said.param and said.param != "model":
        return _rejection(said, base_url, detail)
    if status in _BUSY:
        return UpstreamBusyError(
            "The provider is at its limit. Try again shortly.",
            retry_after_s=retry_after_s(headers.get("retry-after", "")),
            detail=detail,
        )
    if status in _SLOW:
        return UpstreamTimeoutError("The provider didn't answer in time. Try again.", detail=detail)
    return UpstreamBrokenError(
        "The provider failed to answer. Try again, or choose another model.", detail=detail
    )


def _for_the_log(status: int, said: _Said, base_url: str) -> str:
    """Return what may be kept: words about our account only, as others may repeat a prompt."""
    code = said.code if _CODE.fullmatch(said.code) else "-"
    words = scrub(said.message, base_url) if _is_about_our_account(said) else ""
    return f"status {status}, code {code}{f': {words}' if words else ''}"


def from_transport(error: TransportError) -> TurnpikeError:
    """Return what a broken exchange means.

    An exchange that we aborted ourselves comes out as broken too: who aborted it knows better.
    """
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, DeadlineError):
        return UpstreamTimeoutError("The provider didn't answer in time. Try again.", detail=detail)
    return UpstreamBrokenError(
        "The connection to the provider failed. Try again, or choose another model.", detail=detail
    )


def is_retryable(error: TurnpikeError) -> bool:
    """Whether another endpoint may do better: yes, unless the fault is in what the caller sent."""
    return isinstance(error, UpstreamBusyError | UpstreamTimeoutError | UpstreamBrokenError)


def retry_after_s(value: str) -> float | None:
    """Read a Retry-After, in seconds or as a date; None for the past and for nonsense."""
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), RETRY_AFTER_MOST_S)
    try:
        instant = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter for a year beyond all bounds
        return None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    seconds = (instant - clock.now()).total_seconds()
    return min(seconds, RETRY_AFTER_MOST_S) if seconds >= 0 else None


def scrub(text: str, base_url: str = "") -> str:
    """Take out of a provider's words what looks like a key and where we reach it; cut to size.

    Rather too much than too little: any word of 32 characters with a letter and a digit goes.
    """
    text = _CONTROLS.sub(" ", text[: 8 * MESSAGE_CHARS])
    host = urlsplit(base_url).netloc if base_url else ""
    if host:
        ours = rf"(?:https?://)?{re.escape(host)}[^\s\"'<>]*"
        text = re.sub(ours, "[provider]", text, flags=re.IGNORECASE)
    text = _SECRETS.sub("[removed]", text)
    return _LONG_WORD.sub(_without_key, text).strip()[:MESSAGE_CHARS]


def _without_key(match: re.Match[str]) -> str:
    word = match.group()
    has_both = any(c.isdigit() for c in word) and any(c.isalpha() for c in word)
    return "[removed]" if has_both else word


def _is_about_our_account(said: _Said) -> bool:
    has_code = _OUR_ACCOUNT_CODES.search(said.code) is not None
    return has_code or _OUR_ACCOUNT.search(said.message) is not None


def _rejection(said: _Said, base_url: str, detail: str) -> TurnpikeError:
    message = scrub(said.message, base_url) or "The provider refuses this request as it stands."
    if said.code == "context_length_exceeded" or _TOO_LONG.search(said.message):
        return ContextLengthError(message, param=said.param or "messages", detail=detail)
    return UpstreamRejectedError(
        message, param=scrub(said.param, base_url)[:100] or None, detail=detail
    )


def _said(body: bytes) -> _Said:
    """Find the error in an object, in its `error` (an object or a text), or in a list of one."""
    try:
        value: Any = msgspec.json.decode(body[:_READ_BYTES])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _Said("", "", "", 0)
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("error") or value
    if isinstance(value, str):
        return _Said(value, "", "", 0)
    if not isinstance(value, dict):
        return _Said("", "", "", 0)
    code = value.get("code")
    return _Said(
        message=_text(value.get("message")) or _text(value.get("detail")),
        code=_text(code) or _text(value.get("type")),
        param=_text(value.get("param")),
        status=code if type(code) is int else 0,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
