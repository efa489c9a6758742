"""The providers as objects: one for each configuration, kept while it is in force."""

import itertools

from gateway.catalog import ProviderEntry
from providers.base import Provider
from providers.registry import build
from providers.transport import Transport

MOST_KEPT = 256


class Upstreams:
    """Makes a provider at its first call and gives the same one again; keys are taken in turn."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._kept: dict[tuple[str, str, str, bool, float], Provider] = {}
        self._turn = itertools.count()

    def provider(self, entry: ProviderEntry) -> Provider:
        """Return the object that speaks to this provider."""
        config = entry.config
        place = (
            entry.slug,
            entry.kind,
            config.base_url,
            config.private_network,
            config.connect_timeout_s,
        )
        found = self._kept.get(place)
        if found is None:
            found = build(
                entry.kind,
                base_url=config.base_url,
                allow_private=config.private_network,
                connect_timeout_s=config.connect_timeout_s,
                transport=self._transport,
            )
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[place] = found
        return found

    def key_of(self, entry: ProviderEntry) -> str:
        """Return one of the provider's keys, each in its turn; "" where it needs none."""
        keys = entry.api_keys
        return keys[next(self._turn) % len(keys)] if keys else ""

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()
