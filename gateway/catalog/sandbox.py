"""The built-in provider: it answers in the process, so that a new instance can be tried at once."""

import msgspec

from gateway.catalog.entries import (
    DEFAULT_APIS,
    EndpointConfig,
    ModelConfig,
    ProviderConfig,
)
from gateway.catalog.wanted import Wanted, WantedModel, WantedProvider
from gateway.pricing import Price
from providers.sandbox import MODELS as NAMES

SLUG = "sandbox"
KIND = "sandbox"
BUILT_IN = "built-in"

PARAMETERS = ("max_tokens", "max_completion_tokens", "stop", "temperature", "top_p", "tools")
FREE_TEXT = Price(input=0, output=0)


def _text(description: str) -> ModelConfig:
    return ModelConfig(
        context_length=128_000,
        max_output_tokens=8192,
        input=("text", "image"),
        tags=("sandbox",),
        klass="free",
        quality=0,
        supported_parameters=PARAMETERS,
        price=FREE_TEXT,
        description=description,
    )


def _other(given: str, price: Price, description: str, taken: str = "text") -> ModelConfig:
    return ModelConfig(
        context_length=8192,
        input=(taken,),
        output=(given,),
        tags=("sandbox",),
        klass="free",
        price=price,
        description=description,
    )


MODELS = {
    "echo": _text("Sends the last message back, word by word."),
    "lorem": _text("Writes as many words as max_tokens allows."),
    "embed": _other("embeddings", Price(input=0), "Makes a vector of a text's own letters."),
    "image": _other("image", Price(per_image={"default": 0}), "Draws a plain picture."),
    "speech": _other("audio", Price(per_million_chars=0), "Hums for as long as the text is."),
    "transcribe": _other("text", Price(per_minute=0), "Writes down how long it heard.", "audio"),
    **{
        name: _text("Fails on purpose, for the fire drill.")
        for name in NAMES
        if name.startswith("fault-")
    },
}


def wanted(*, is_enabled: bool) -> Wanted:
    """Return the provider with its models, all free."""
    return Wanted(
        providers={SLUG: provider(is_enabled=is_enabled)},
        models={
            f"{SLUG}/{name}": WantedModel(
                name=f"Sandbox {name}",
                config=msgspec.structs.replace(
                    config, endpoints=(EndpointConfig(provider=SLUG, upstream_model=name),)
                ),
                source=BUILT_IN,
                is_enabled=is_enabled,
            )
            for name, config in MODELS.items()
        },
    )


def provider(*, is_enabled: bool) -> WantedProvider:
    """Return the provider alone."""
    return WantedProvider(
        kind=KIND,
        config=ProviderConfig(apis=DEFAULT_APIS[KIND], cancel_stops_billing=True),
        source=BUILT_IN,
        is_enabled=is_enabled,
    )
