"""The catalog: providers, models, endpoints, prices and aliases, as data.

`current()` is what a call reads, `provision()` what a start does; the rest is for commands.
"""

from gateway.catalog.apply import Applied, apply, reconcile
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
from gateway.catalog.export import export
from gateway.catalog.file import CatalogFile, CatalogFileError, parse, read
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
from gateway.catalog.provision import provision, read_configured, wanted_of
from gateway.catalog.store import current, load, use

__all__ = [
    "AliasConfig",
    "AliasEntry",
    "Applied",
    "Batch",
    "BonusTier",
    "Byok",
    "Catalog",
    "CatalogFile",
    "CatalogFileError",
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
    "apply",
    "current",
    "export",
    "load",
    "parse",
    "provision",
    "read",
    "read_configured",
    "reconcile",
    "use",
    "wanted_of",
    "with_markup",
]
