"""Google's own Gemini API: generateContent, with its own header and its own words for failures."""

from collections.abc import Mapping

import msgspec
from typing_extensions import override

from errors import TurnpikeError
from providers import failures
from providers.base import Exchange, Provider, UpstreamCall
from providers.transport import ConnectFailedError, Origin, Transport
from wire.gemini_errors import told_error

_ENCODER = msgspec.json.Encoder()


NATIVE_PATH = "/models/"
OPENAI_PATH = "/openai"
"""Below it, the same host speaks OpenAI's dialect: for what isn't text.

Source: https://ai.google.dev/gemini-api/docs/openai (read 2026-11-21)."""


class Gemini(Provider):
    """One Gemini host: the key goes there as a header, never into an address.

    Source: https://ai.google.dev/api/generate-content (read 2026-11-21).
    """

    dialect = "gemini"

    def __init__(self, origin: Origin, transport: Transport) -> None:
        self._origin = origin
        self._transport = transport

    @override
    def open(self, call: UpstreamCall, api_key: str, deadline_s: float) -> Exchange:
        is_native = call.path.startswith(NATIVE_PATH)
        headers = {"Content-Type": call.content_type}
        headers["Accept"] = "text/event-stream" if call.is_streamed else "application/json"
        if api_key:
            if not api_key.isascii() or not api_key.isprintable():
                raise ConnectFailedError("the key has a character that no header can carry")
            if is_native:
                headers["x-goog-api-key"] = api_key
            else:
                headers["Authorization"] = f"Bearer {api_key}"
        path = call.path if is_native else OPENAI_PATH + call.path
        body = _ENCODER.encode(call.body)
        return self._transport.open(self._origin, call.method, path, headers, body, deadline_s)

    @override
    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> TurnpikeError:
        try:
            told = told_error(msgspec.json.decode(body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            told = None
        if told is not None:
            body = _ENCODER.encode({"error": told})
        return failures.from_answer(status, headers, body, self._origin.base_url)
