"""The catalog: providers, models, endpoints, prices and aliases, as data.

`current()` is what a call reads, `provision()` what a start does; the rest is for commands.
"""

from gateway.catalog.entries import (
    AliasConfig,
    AliasEntry,
    Catalog,
    EndpointConfig,
    ModelConfig,
    ModelEntry,
    ProviderConfig,
    ProviderEntry,
    Route,
    with_markup,
)
from gateway.catalog.offers import (
    Batch,
    BonusTier,
    Byok,
    DemoKey,
    GatewayOptions,
    Offers,
    Plan,
    Topups,
    Trial,
)
from gateway.catalog.store import current, load, use

__all__ = [
    "AliasConfig",
    "AliasEntry",
    "Batch",
    "BonusTier",
    "Byok",
    "Catalog",
    "DemoKey",
    "EndpointConfig",
    "GatewayOptions",
    "ModelConfig",
    "ModelEntry",
    "Offers",
    "Plan",
    "ProviderConfig",
    "ProviderEntry",
    "Route",
    "Topups",
    "Trial",
    "current",
    "load",
    "use",
    "with_markup",
]
