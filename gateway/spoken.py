"""Which dialect a call is put in for a route: its own where the provider speaks it, else another.

The same dialect on both sides goes through untouched; any other pair goes through `wire.neutral`.
"""

from typing import Any

from gateway.catalog import Route
from gateway.dialects import Dialect
from wire import anthropic_neutral, chat_neutral
from wire.gemini_neutral import GeminiUpstream
from wire.neutral_answer import Client, Upstream
from wire.responses_neutral import ResponsesClient, ResponsesUpstream
from wire.translated import TranslatedCall

CLIENTS: dict[str, Client] = {
    "chat": chat_neutral.CLIENT,
    "messages": anthropic_neutral.CLIENT,
    "responses": ResponsesClient(),
}
"""The dialects that can be translated, as clients speak them."""

UPSTREAMS: dict[str, Upstream] = {
    "chat": chat_neutral.UPSTREAM,
    "messages": anthropic_neutral.UPSTREAM,
    "responses": ResponsesUpstream(),
    "gemini": GeminiUpstream(),
}
"""The dialects that can be translated to, in the order in which a provider's are preferred."""

SPOKEN_AS = {"speech": "audio", "transcriptions": "audio", "translations": "audio"}
"""Kinds of work that a provider speaks under one name."""


def spoken_by(call: Dialect, route: Route) -> Any:
    """Return the call as this route's provider is asked it: itself, or a translation.

    Raises: InvalidParameterError for what has no meaning even in its own dialect.
    """
    if call.api not in CLIENTS or call.api in route.apis:
        return call
    upstream = next((UPSTREAMS[api] for api in UPSTREAMS if api in route.apis), None)
    if upstream is None:
        return call
    return TranslatedCall(
        call,
        CLIENTS[call.api],
        upstream,
        max_output_tokens=route.config.max_output_tokens,
        can_reason=route.config.can_reason,
    )


def can_speak(api: str, route: Route) -> bool:
    """Whether a call of this kind can be put to the route's provider at all."""
    return SPOKEN_AS.get(api, api) in route.apis or (
        api in CLIENTS and any(other in route.apis for other in UPSTREAMS)
    )
