"""The provisioning file: read strictly, or refused in one line that names the line and the field.

Prices are decimal strings; `${NAME}` comes from the environment. Nothing here touches the database.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import msgspec

from gateway.catalog import options_file
from gateway.catalog.amounts import AmountError, WrittenPrice, read_price
from gateway.catalog.entries import (
    DEFAULT_APIS,
    AliasConfig,
    EndpointConfig,
    ModelConfig,
    ProviderConfig,
)
from gateway.catalog.places import Path, line_of
from gateway.catalog.rules import RULES
from gateway.catalog.wanted import Wanted, WantedAlias, WantedModel, WantedProvider
from gateway.catalog.written import (
    WrittenAlias,
    WrittenEndpoint,
    WrittenFile,
    WrittenModel,
    WrittenProvider,
)
from gateway.pricing import Price

FILE = "file"
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
AT = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?", re.DOTALL)
STEP = re.compile(r"\.([\w-]+)|\[(\d+)\]")
UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
PLAIN_CANCEL = ("openai", "anthropic", "sandbox")
AMOUNTS = re.compile(r"price|cost|usd")


class CatalogFileError(ValueError):
    """The provisioning file can't be used; the message is one line and says what to do."""


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """A file that was read: what it wants, and its name for messages."""

    name: str
    wanted: Wanted


def read(path: FilePath, environ: Mapping[str, str]) -> CatalogFile:
    """Read a file. Raises: CatalogFileError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogFileError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CatalogFileError(f"{path} is not UTF-8; save it as that") from error
    return parse(text, environ, path.name)


def parse(text: str, environ: Mapping[str, str], name: str = "turnpike.toml") -> CatalogFile:
    """Read the text of a file. Raises: CatalogFileError."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogFileError(f"{name}: this is not TOML: {error}") from error
    reading = _Reading(name, text, tree)
    written = reading.convert(_filled(tree, environ, (), reading))
    for rule in RULES:
        for path, problem in rule(written):
            raise reading.error(path, problem)
    return CatalogFile(name, reading.wanted(written))


@dataclass(frozen=True, slots=True)
class _Reading:
    """One reading of one text, so that each error can say where."""

    name: str
    text: str
    tree: dict[str, Any]

    def error(self, path: Path, problem: str) -> CatalogFileError:
        line = line_of(self.text, path)
        at = f", line {line}" if line else ""
        return CatalogFileError(f"{self.name}{at}: {self._named(path)}: {problem}")

    def convert(self, tree: object) -> WrittenFile:
        try:
            return msgspec.convert(tree, type=WrittenFile)
        except msgspec.ValidationError as error:
            raise self._translated(str(error)) from error

    def wanted(self, file: WrittenFile) -> Wanted:
        return Wanted(
            providers={row.slug: _provider(row) for row in file.providers},
            models={
                row.id: self._model(("models", number), row)
                for number, row in enumerate(file.models)
            },
            aliases={row.id: WantedAlias(_alias(row), FILE) for row in file.aliases},
            options=self._options(file),
        )

    def _options(self, file: WrittenFile) -> dict[str, str]:
        try:
            return options_file.tables(file)
        except AmountError as error:
            raise self.error(_split(error.field), str(error)) from error

    def _model(self, path: Path, row: WrittenModel) -> WantedModel:
        config = ModelConfig(
            context_length=row.context_length,
            max_output_tokens=row.max_output_tokens,
            input=row.input,
            output=row.output,
            tags=row.tags,
            klass=row.klass,
            quality=row.quality,
            max_image_tokens=row.max_image_tokens,
            supported_parameters=row.supported_parameters,
            can_reason=row.can_reason,
            price=self._price((*path, "price"), row.price),
            markup_bps=row.markup_bps,
            description=row.description,
            created=row.created,
            endpoints=tuple(
                self._endpoint((*path, "endpoints", at), endpoint)
                for at, endpoint in enumerate(row.endpoints)
            ),
        )
        return WantedModel(name=row.name or row.id, config=config, source=FILE)

    def _endpoint(self, path: Path, row: WrittenEndpoint) -> EndpointConfig:
        return EndpointConfig(
            provider=row.provider,
            upstream_model=row.upstream_model,
            priority=row.priority,
            weight=row.weight,
            apis=row.apis,
            stateful=row.stateful,
            hosted_tools=row.hosted_tools,
            price=self._price((*path, "price"), row.price),
            cost=self._price((*path, "cost"), row.cost),
        )

    def _price(self, path: Path, written: WrittenPrice | None) -> Price | None:
        if written is None:
            return None
        try:
            return read_price(written)
        except AmountError as error:
            raise self.error((*path, *_split(error.field)), str(error)) from error

    def _translated(self, message: str) -> CatalogFileError:
        match = AT.fullmatch(message)
        what, at = (match["what"], match["path"]) if match else (message, None)
        path: Path = tuple(name or int(number) for name, number in STEP.findall(at or ""))
        if unknown := UNKNOWN.fullmatch(what):
            field = unknown[1]
            return self.error(
                (*path, field),
                f"there is no field {field} here; turnpike.sample.toml has all there are",
            )
        remedy = what
        if "got `float`" in what or "got `int`" in what:
            is_amount = any(AMOUNTS.search(str(step)) for step in path)
            remedy += '; write amounts as strings, such as "2.50"' if is_amount else ""
        return self.error(path, remedy)

    def _named(self, path: Path) -> str:
        """`("models", 0, "price")` as a reader finds it: [[models]] "acme/large", price."""
        if not path:
            return "the file"
        if len(path) < 2 or not isinstance(path[1], int):
            return ".".join(map(str, path))
        row = self.tree[str(path[0])][path[1]]
        name = row.get("id", row.get("slug")) if isinstance(row, dict) else None
        where = f"[[{path[0]}]] " + (f'"{name}"' if name else f"number {path[1] + 1}")
        return f"{where}, {'.'.join(map(str, path[2:]))}" if path[2:] else where


def _filled(value: object, environ: Mapping[str, str], path: Path, reading: _Reading) -> object:
    """Return a value with every `${NAME}` in it replaced."""
    if isinstance(value, dict):
        return {k: _filled(v, environ, (*path, k), reading) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v, environ, (*path, n), reading) for n, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def found(match: re.Match[str]) -> str:
        text = _variable(environ, match[1])
        if not text:
            raise reading.error(
                path, f"{match[1]} is not set in the environment; set it, or write the value here"
            )
        return text

    return VARIABLE.sub(found, value)


def _variable(environ: Mapping[str, str], name: str) -> str | None:
    """Return a variable, or the content of the file that `NAME_FILE` names."""
    if environ.get(name):
        return environ[name]
    path = environ.get(f"{name}_FILE")
    if not path:
        return None
    try:
        return FilePath(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _provider(row: WrittenProvider) -> WantedProvider:
    stops = row.cancel_stops_billing
    return WantedProvider(
        kind=row.kind,
        config=ProviderConfig(
            base_url=(row.base_url or "").rstrip("/"),
            apis=DEFAULT_APIS[row.kind] if row.apis is None else row.apis,
            stateful=row.stateful,
            hosted_tools=row.hosted_tools,
            private_network=row.private_network,
            regions=row.regions,
            platforms=row.platforms,
            connect_timeout_s=row.connect_timeout_s,
            first_byte_timeout_s=row.first_byte_timeout_s,
            idle_timeout_s=row.idle_timeout_s,
            cancel_stops_billing=(row.local or row.kind in PLAIN_CANCEL)
            if stops is None
            else stops,
            local=row.local,
        ),
        api_keys=row.api_keys or ((row.api_key,) if row.api_key else ()),
        source=FILE,
    )


def _alias(row: WrittenAlias) -> AliasConfig:
    return AliasConfig(
        policy=row.policy,
        task=row.task,
        candidates=row.candidates,
        tasks=row.tasks,
        description=row.description,
    )


def _split(field: str) -> Path:
    return tuple(_steps(field))


def _steps(field: str) -> Iterator[str | int]:
    for step in field.split("."):
        yield int(step) if step.isdigit() else step
