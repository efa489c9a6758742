"""Anthropic's own API: its Messages, with its own headers and its own words for failures."""

from collections.abc import Mapping

import msgspec
from typing_extensions import override

from errors import TurnpikeError
from providers import failures
from providers.base import Exchange, Provider, UpstreamCall
from providers.transport import ConnectFailedError, Origin, Transport

VERSION = "2023-06-01"
"""What translated calls are written for; a client's own version goes with its own call.

Source: https://docs.anthropic.com/en/api/versioning (read 2026-11-21)."""

FORWARDED = ("anthropic-beta", "anthropic-version")
"""What of a client's headers concerns the provider."""

_ENCODER = msgspec.json.Encoder()


class Anthropic(Provider):
    """One Anthropic host: the key goes there and nowhere else."""

    dialect = "messages"

    def __init__(self, origin: Origin, transport: Transport) -> None:
        self._origin = origin
        self._transport = transport

    @override
    def open(self, call: UpstreamCall, api_key: str, deadline_s: float) -> Exchange:
        headers = {"anthropic-version": VERSION}
        headers |= {name: call.headers[name] for name in FORWARDED if name in call.headers}
        if api_key:
            if not api_key.isascii() or not api_key.isprintable():
                raise ConnectFailedError("the key has a character that no header can carry")
            headers["x-api-key"] = api_key
        headers["Accept"] = "text/event-stream" if call.is_streamed else "application/json"
        headers["Content-Type"] = call.content_type
        body = call.body if isinstance(call.body, bytes) else _ENCODER.encode(call.body)
        return self._transport.open(self._origin, call.method, call.path, headers, body, deadline_s)

    @override
    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> TurnpikeError:
        return failures.from_answer(status, headers, body, self._origin.base_url)
