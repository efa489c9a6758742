"""The catalog as clients see it: OpenAI's row, with OpenRouter's fields and the seeds'."""

from collections.abc import Callable, Mapping
from typing import Any

from errors import InvalidParameterError, ModelNotFoundError
from gateway import catalog
from gateway.catalog import AliasEntry, ModelEntry, Route, with_markup
from gateway.pricing import Price
from money import per_unit

PRICE_NAMES = {
    "prompt": "input",
    "completion": "output",
    "request": "per_request",
    "input_cache_read": "cached_input",
    "input_cache_write": "cache_write",
    "input_cache_write_1h": "cache_write_1h",
    "internal_reasoning": "reasoning",
    "audio": "audio_input",
    "audio_output": "audio_output",
    "image_token": "image_input",
    "image_output": "image_output",
    "web_search": "web_search",
}
"""OpenRouter's names for our buckets. Source: its models API (read November 2026)."""


def models(filters: Mapping[str, str]) -> tuple[list[dict[str, Any]], int]:
    """Return a page of the models that can be called and the aliases, and how many match in all.

    Raises: InvalidParameterError.
    """
    snapshot = catalog.current()
    rows = [_row(entry) for entry in snapshot.models.values() if entry.routes]
    rows += [_alias_row(alias) for alias in snapshot.aliases.values()]
    for name, keep in _FILTERS.items():
        if name in filters:
            rows = [row for row in rows if keep(row, filters[name].lower())]
    start = _whole(filters, "offset", 0)
    return rows[start : start + _whole(filters, "limit", len(rows))], len(rows)


def model(model_id: str) -> dict[str, Any]:
    """Return one model or alias.

    Raises: ModelNotFoundError.
    """
    snapshot = catalog.current()
    alias = snapshot.aliases.get(model_id)
    return _alias_row(alias) if alias is not None else _row(snapshot.find(model_id))


def endpoints(model_id: str) -> dict[str, Any]:
    """Return a model with its endpoints, in OpenRouter's fields.

    Raises: ModelNotFoundError.
    """
    entry = catalog.current().find(model_id)
    return {**_row(entry), "endpoints": [_endpoint(entry, route) for route in entry.routes]}


def _row(entry: ModelEntry) -> dict[str, Any]:
    config, price = entry.config, entry.describe()
    top = {
        "context_length": config.context_length,
        "max_completion_tokens": config.max_output_tokens,
        "is_moderated": False,
    }
    return {
        "id": entry.id,
        "object": "model",
        "created": config.created or entry.created_at // 1000,
        "owned_by": entry.id.partition("/")[0],
        "canonical_slug": entry.id,
        "name": entry.name,
        "description": config.description,
        "context_length": config.context_length,
        "architecture": {
            "modality": f"{'+'.join(config.input)}->{'+'.join(config.output)}",
            "input_modalities": list(config.input),
            "output_modalities": list(config.output),
        },
        "pricing": _pricing(price) if price is not None else None,
        "top_provider": top,
        "per_request_limits": None,
        "supported_parameters": list(config.supported_parameters),
        "tags": list(config.tags),
        "class": config.klass,
        "quality": config.quality,
        "links": {"details": f"/api/v1/models/{entry.id}/endpoints"},
    }


def _alias_row(alias: AliasEntry) -> dict[str, Any]:
    return {
        "id": alias.id,
        "object": "model",
        "created": 0,
        "owned_by": "turnpike",
        "canonical_slug": alias.id,
        "name": alias.id,
        "description": alias.config.description,
        "is_alias": True,
        "policy": alias.config.policy,
        "task": alias.config.task,
        "candidates": list(alias.config.candidates),
        "context_length": None,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
        },
        "pricing": None,
        "supported_parameters": [],
        "tags": [],
    }


def _endpoint(entry: ModelEntry, route: Route) -> dict[str, Any]:
    return {
        "name": f"{route.provider.slug} | {entry.id}",
        "tag": route.provider.slug,
        "model_id": entry.id,
        "provider_name": route.provider.slug,
        "context_length": entry.config.context_length,
        "max_completion_tokens": entry.config.max_output_tokens,
        "pricing": _pricing(with_markup(route.price, route.markup_bps)),
        "regions": list(route.provider.config.regions),
        "is_local": route.provider.config.local,
        "status": 0,
        "supported_parameters": list(entry.config.supported_parameters),
    }


def _pricing(price: Price) -> dict[str, Any]:
    """Return decimal strings of USD for one unit; what has no price of its own is left out."""
    shown: dict[str, Any] = {
        shown_name: per_unit(value)
        for shown_name, name in PRICE_NAMES.items()
        if (value := getattr(price, name)) is not None
    }
    if price.per_image:
        dearest = max(price.per_image.values())
        shown["image"] = per_unit(price.per_image.get("default", dearest))
    if price.above:
        shown["overrides"] = [
            {
                "min_prompt_tokens": tier.input_tokens,
                **({} if tier.input is None else {"prompt": per_unit(tier.input)}),
                **({} if tier.output is None else {"completion": per_unit(tier.output)}),
            }
            for tier in price.above
        ]
    return shown


def _whole(filters: Mapping[str, str], name: str, otherwise: int) -> int:
    text = filters.get(name)
    if text is None:
        return otherwise
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise InvalidParameterError(
            f"{name} must be a whole number from 0 up. Send up to six digits.", param=name
        )
    return int(text)


def _wanted(text: str) -> set[str]:
    return {part.strip() for part in text.split(",") if part.strip()}


_FILTERS: dict[str, Callable[[dict[str, Any], str], object]] = {
    "category": lambda row, text: _wanted(text) & {tag.lower() for tag in row["tags"]},
    "q": lambda row, text: text in row["id"].lower() or text in row["name"].lower(),
    "supported_parameters": lambda row, text: _wanted(text) <= set(row["supported_parameters"]),
    "output_modalities": lambda row, text: (
        text == "all" or _wanted(text) & set(row["architecture"]["output_modalities"])
    ),
}

__all__ = ["ModelNotFoundError", "endpoints", "model", "models"]
