"""The kinds of provider that `turnpike.toml` can name."""

from collections.abc import Callable
from typing import NamedTuple

from providers.anthropic import Anthropic
from providers.base import Provider
from providers.gemini import Gemini
from providers.openai_compatible import OpenAICompatible
from providers.sandbox import Sandbox
from providers.transport import Origin, Transport


class Place(NamedTuple):
    """Where a provider is, as it was configured, and the wire to it."""

    base_url: str
    allow_private: bool
    connect_timeout_s: float
    transport: Transport

    def origin(self) -> Origin:
        """Check the address.

        Raises: ValueError, which doesn't repeat the URL.
        """
        return Origin(self.base_url, self.allow_private, self.connect_timeout_s)


KINDS: dict[str, Callable[[Place], Provider]] = {
    "openai": lambda place: OpenAICompatible(place.origin(), place.transport),
    "anthropic": lambda place: Anthropic(place.origin(), place.transport),
    "gemini": lambda place: Gemini(place.origin(), place.transport),
    "sandbox": lambda place: Sandbox(),
}
"""Each kind with what makes a provider of it. A new one is a row here."""


def build(
    kind: str,
    *,
    base_url: str,
    allow_private: bool,
    connect_timeout_s: float,
    transport: Transport,
) -> Provider:
    """Make the provider of a kind; the sandbox needs no address, and "" will do.

    Raises: ValueError for a kind that there is not, or an address that can't be one.
    """
    make = KINDS.get(kind)
    if make is None:
        raise ValueError(f"there is no kind {kind!r} of provider; there is {', '.join(KINDS)}")
    return make(Place(base_url, allow_private, connect_timeout_s, transport))
