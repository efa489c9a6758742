"""The present state as a provisioning file: applied to a new instance, it makes the same catalog.

Secrets are written as `${PROVIDER_SLUG_KEY}`. What the environment brings by itself, and what is
built in, stays out: the next start brings it again.
"""

import json
import re
from collections.abc import Iterator, Mapping

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.catalog import options_file
from gateway.catalog.amounts import write_price
from gateway.catalog.entries import AliasConfig, EndpointConfig, ModelConfig, ProviderConfig
from gateway.catalog.store import OpenSecret, opened_keys
from gateway.pricing import Price
from models import Alias, Model, Option, Provider

WRITTEN_SOURCES = ("file", "console")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
HEAD = "# The catalog, as `flask catalog export` found it. Secrets come from the environment.\n"

Fields = dict[str, object]


def export(session: Session, open_secret: OpenSecret, *, everything: bool = False) -> str:
    """Return the enabled objects of file and console as TOML; of all sources with `everything`.

    The keys are opened only to be counted. Raises: SecretKeyError.
    """
    sources = ("file", "console", "environment", "built-in") if everything else WRITTEN_SOURCES
    parts = [HEAD]
    for option in session.scalars(select(Option).order_by(Option.name)):
        if option.name in options_file.TABLES:
            parts.extend(_option(option.name, option.value))
    providers = select(Provider).where(Provider.is_enabled, Provider.source.in_(sources))
    for provider in session.scalars(providers.order_by(Provider.slug)):
        keys = opened_keys(provider, open_secret)
        parts.append(_table("[[providers]]", _provider(provider, len(keys))))
    models = select(Model).where(Model.is_enabled, Model.source.in_(sources))
    for model in session.scalars(models.order_by(Model.id)):
        config = msgspec.json.decode(model.config, type=ModelConfig)
        parts.append(_table("[[models]]", _model(model, config)))
        parts.extend(_table("[[models.endpoints]]", _endpoint(e)) for e in config.endpoints)
    aliases = select(Alias).where(Alias.is_enabled, Alias.source.in_(sources))
    for alias in session.scalars(aliases.order_by(Alias.id)):
        policy = msgspec.json.decode(alias.config, type=AliasConfig)
        parts.append(_table("[[aliases]]", {"id": alias.id, **_fields(policy, AliasConfig())}))
    return "\n".join(parts)


def variable_of(slug: str) -> str:
    """Return the name of the variable that an exported file takes a provider's key from."""
    return f"{slug.upper().replace('-', '_')}_KEY"


def _option(name: str, value: str) -> Iterator[str]:
    table = options_file.written(json.loads(value))
    if isinstance(table, list):
        yield from (_table(f"[[{name}]]", row) for row in table)
    elif isinstance(table, dict):
        yield _table(f"[{name}]", table)


def _provider(row: Provider, keys: int) -> Fields:
    config = msgspec.json.decode(row.config, type=ProviderConfig)
    variable = variable_of(row.slug)
    fields: Fields = {"slug": row.slug, "kind": row.kind}
    if keys == 1:
        fields["api_key"] = f"${{{variable}}}"
    elif keys:
        fields["api_keys"] = [f"${{{variable}_{number}}}" for number in range(1, keys + 1)]
    fields |= _fields(config, ProviderConfig())
    fields["apis"] = list(config.apis)
    fields["cancel_stops_billing"] = config.cancel_stops_billing
    return fields


def _model(row: Model, config: ModelConfig) -> Fields:
    fields = _fields(config, ModelConfig())
    fields.pop("endpoints", None)
    if "klass" in fields:
        fields["class"] = fields.pop("klass")
    return {"id": row.id, "name": row.name, **fields}


def _endpoint(config: EndpointConfig) -> Fields:
    plain = EndpointConfig(provider="", upstream_model="")
    return _fields(config, plain)


def _fields(config: msgspec.Struct, plain: msgspec.Struct) -> Fields:
    """Return the fields that aren't at their default, in their order."""
    return {
        name: write_price(value) if isinstance(value, Price) else value
        for name in config.__struct_fields__
        if (value := getattr(config, name)) != getattr(plain, name)
    }


def _table(header: str, fields: Mapping[str, object]) -> str:
    lines = [header, *(f"{_key(name)} = {_value(value)}" for name, value in fields.items())]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(name)} = {_value(v)}" for name, v in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(v) for v in value)}]"
    raise TypeError(f"{type(value).__name__} has no form in TOML")


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)
