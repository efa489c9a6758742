"""Any provider that speaks the OpenAI dialects, passed through as they are."""

import re
from collections.abc import Mapping

import msgspec
from typing_extensions import override

from errors import TurnpikeError
from providers import failures
from providers.base import Exchange, Provider, UpstreamCall
from providers.transport import ConnectFailedError, Origin, Transport

_ENCODER = msgspec.json.Encoder()
_HEADER_TEXT = re.compile(r"[!-~]+")
_BODILESS = frozenset({"GET", "DELETE"})
_NEVER_FORWARDED = frozenset({"authorization", "cookie", "x-api-key", "api-key"})


class OpenAICompatible(Provider):
    """One provider's host: keys go there and nowhere else, as a path can't change it."""

    dialect = "openai"

    def __init__(self, origin: Origin, transport: Transport) -> None:
        self._origin = origin
        self._transport = transport

    @override
    def open(self, call: UpstreamCall, api_key: str, deadline_s: float) -> Exchange:
        """Send the request; without a key (a local server), without Authorization.

        Raises: TransportError; ConnectFailedError also for a key that no header can carry.
        """
        headers = {
            name: value
            for name, value in call.headers.items()
            if name.lower() not in _NEVER_FORWARDED
        }
        if api_key:
            if not _HEADER_TEXT.fullmatch(api_key):
                raise ConnectFailedError("the key has a character that no header can carry")
            headers["Authorization"] = f"Bearer {api_key}"
        headers["Accept"] = _accepted(call)
        body: bytes | tuple[bytes | bytearray, ...]
        if call.method in _BODILESS:
            body = b""
        else:
            body = _ENCODER.encode(call.body) if isinstance(call.body, dict) else call.body
            headers["Content-Type"] = call.content_type
        return self._transport.open(self._origin, call.method, call.path, headers, body, deadline_s)

    @override
    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> TurnpikeError:
        return failures.from_answer(status, headers, body, self._origin.base_url)


def _accepted(call: UpstreamCall) -> str:
    if call.path.startswith("/audio/"):
        return "*/*"
    return "text/event-stream" if call.is_streamed else "application/json"
