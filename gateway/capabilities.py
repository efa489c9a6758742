"""What a call needs of a model, against what the catalog says the model can do. Pure.

What the catalog doesn't know is allowed: the provider then has the last word.
"""

from collections.abc import Iterable

from gateway.catalog import Catalog, ModelEntry
from gateway.catalog.entries import ModelConfig

MODALITIES = {"image": "pictures", "audio": "sound"}
PARAMETERS = {
    "tools": (frozenset({"tools"}), "tools"),
    "schema": (frozenset({"structured_outputs", "response_format"}), "an output schema"),
}
"""A need, the supported parameters of which one meets it, and its name in words."""

MOST_NAMED = 5


def lacking(needs: Iterable[str], config: ModelConfig) -> list[str]:
    """Return what of these needs the model is known not to meet, in words."""
    missing = [
        words
        for need, words in MODALITIES.items()
        if need in needs and need not in config.input and need not in config.output
    ]
    known = frozenset(config.supported_parameters)
    missing += [
        words
        for need, (meeting, words) in PARAMETERS.items()
        if need in needs and known and not meeting & known
    ]
    return missing


def models_that_can(catalog: Catalog, api: str, needs: Iterable[str]) -> list[str]:
    """Return a few models that serve this kind of work and lack nothing of it."""
    return [
        entry.id
        for entry in catalog.models.values()
        if _serves(entry, api) and not lacking(needs, entry.config)
    ][:MOST_NAMED]


def _serves(entry: ModelEntry, api: str) -> bool:
    return any(route.may_serve(api) for route in entry.routes)
