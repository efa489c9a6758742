"""Bringing the tables to what is wanted, in the caller's transaction.

The file goes before the console and that before the environment, by slug, whole object. What is
gone from its source is disabled, never deleted. Nothing is written where nothing has changed, so a
start with the same file leaves the revision of the catalog alone.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from clock import now_ms
from gateway.catalog import prices, sandbox, store, vendored
from gateway.catalog.entries import SOURCES, ModelConfig
from gateway.catalog.file import FILE, CatalogFile
from gateway.catalog.offers import GatewayOptions
from gateway.catalog.prices import Place
from gateway.catalog.vendors import VENDORS
from gateway.catalog.wanted import Wanted, WantedModel, WantedProvider
from gateway.secrets import SecretBox
from models import Alias, Audit, Endpoint, Model, Option, Provider

Row = Provider | Model | Alias


@dataclass(slots=True)
class Applied:
    """How many objects were created, updated and disabled, and how many prices were set or wait."""

    created: int = 0
    updated: int = 0
    disabled: int = 0
    prices_set: int = 0
    prices_waiting: int = 0

    def add(self, action: str) -> None:
        """Count one object."""
        setattr(self, action, getattr(self, action) + 1)


def apply(session: Session, file: CatalogFile, actor: str, box: SecretBox) -> Applied:
    """Bring what is the file's to what the file says, and leave the other sources alone.

    Raises: SecretKeyError when a stored key can't be opened to be compared.
    """
    present = set(session.scalars(select(Provider.slug)))
    below = placeholders(file.wanted, present, {})
    return reconcile(session, below.under(file.wanted), actor, box, (FILE,))


def placeholders(wanted: Wanted, present: Collection[str], base_urls: Mapping[str, str]) -> Wanted:
    """Return the vendors and the sandbox that endpoints refer to and that aren't there: off."""
    referred = {e.provider for model in wanted.models.values() for e in model.config.endpoints}
    missing = sorted(referred - set(present) - set(wanted.providers))
    return Wanted(
        providers={
            slug: vendored.placeholder(slug, base_urls.get(slug))
            if slug in VENDORS
            else sandbox.provider(is_enabled=False)
            for slug in missing
        }
    )


def reconcile(
    session: Session, wanted: Wanted, actor: str, box: SecretBox, sources: Iterable[str]
) -> Applied:
    """Bring the tables to what is wanted; of `sources`, what isn't wanted any more is disabled.

    Raises: SecretKeyError.
    """
    return _Applying(session, actor, box, frozenset(sources)).run(wanted)


@dataclass(slots=True)
class _Applying:
    session: Session
    actor: str
    box: SecretBox
    sources: frozenset[str]
    counts: Applied = field(default_factory=Applied)
    now: int = field(default_factory=now_ms)
    taken: set[str] = field(default_factory=set)

    def run(self, wanted: Wanted) -> Applied:
        self._options(wanted.options)
        self._providers(wanted.providers)
        self._models(wanted.models)
        self._aliases(wanted)
        self.session.flush()
        self._prices()
        return self.counts

    def _options(self, options: Mapping[str, str]) -> None:
        if FILE not in self.sources:
            return
        rows = {row.name: row for row in self.session.scalars(select(Option))}
        for name, value in options.items():
            row = rows.pop(name, None)
            if row is None:
                self.session.add(Option(name=name, value=value, source=FILE, updated_at=self.now))
                self._note("created", f"options:{name}", None, value)
            elif (row.value, row.source) != (value, FILE):
                self._note("updated", f"options:{name}", row.value, value)
                row.value, row.source, row.updated_at = value, FILE, self.now
        for row in rows.values():
            if row.source == FILE:
                self._note("disabled", f"options:{row.name}", row.value, None)
                self.session.delete(row)

    def _providers(self, wanted: Mapping[str, WantedProvider]) -> None:
        rows = {row.slug: row for row in self.session.scalars(select(Provider))}
        for slug, want in wanted.items():
            row = rows.get(slug)
            values: dict[str, object] = {
                "kind": want.kind,
                "config": _json(want.config),
                "secrets": self._sealed(slug, want, row),
                "is_enabled": want.is_enabled,
            }
            self._upsert(row, Provider(slug=slug), want.source, values, f"providers:{slug}")
        self._disable_gone(rows, wanted, "providers")
        self.session.flush()

    def _sealed(self, slug: str, want: WantedProvider, row: Provider | None) -> str | None:
        """Return the sealed keys; those that are there already stay as they are, salt and all."""
        is_ours = row is not None and row.secrets is not None and self._may_take(row, want.source)
        if row is not None and is_ours:
            present = store.opened_keys(row, self.box.open_sealed)
            if present == want.api_keys:
                return row.secrets
        if not want.api_keys:
            return None
        return self.box.seal(msgspec.json.encode(want.api_keys).decode(), store.bound_to(slug))

    def _models(self, wanted: Mapping[str, WantedModel]) -> None:
        rows = {row.id: row for row in self.session.scalars(select(Model))}
        places: dict[str, dict[tuple[str, str], Endpoint]] = {}
        for endpoint in self.session.scalars(select(Endpoint)):
            here = places.setdefault(endpoint.model_id, {})
            here[(endpoint.provider_slug, endpoint.upstream_model)] = endpoint
        for model_id, want in wanted.items():
            values: dict[str, object] = {
                "name": want.name,
                "config": _json(want.config),
                "is_enabled": want.is_enabled,
            }
            row = rows.get(model_id)
            if self._upsert(row, Model(id=model_id), want.source, values, f"models:{model_id}"):
                self.taken.add(model_id)
        self._disable_gone(rows, wanted, "models")
        self.session.flush()
        for model_id in sorted(self.taken):
            self._endpoints(model_id, wanted[model_id].config, places.get(model_id, {}))

    def _endpoints(
        self, model_id: str, config: ModelConfig, rows: Mapping[tuple[str, str], Endpoint]
    ) -> None:
        wanted = {(e.provider, e.upstream_model): e for e in config.endpoints}
        for place, want in wanted.items():
            row = rows.get(place)
            if row is None:
                row = Endpoint(
                    model_id=model_id,
                    provider_slug=want.provider,
                    upstream_model=want.upstream_model,
                    created_at=self.now,
                    updated_at=self.now,
                )
                self.session.add(row)
            self._assign(row, {"priority": want.priority, "weight": want.weight})

    def _aliases(self, wanted: Wanted) -> None:
        rows = {row.id: row for row in self.session.scalars(select(Alias))}
        for alias_id, want in wanted.aliases.items():
            values: dict[str, object] = {"config": _json(want.config), "is_enabled": True}
            row = rows.get(alias_id)
            self._upsert(row, Alias(id=alias_id), want.source, values, f"aliases:{alias_id}")
        self._disable_gone(rows, wanted.aliases, "aliases")

    def _prices(self) -> None:
        """Write a version where price, cost or markup isn't what it was; what has none is off."""
        options = self.session.get(Option, store.GATEWAY)
        gateway = msgspec.json.decode(options.value if options else "{}", type=GatewayOptions)
        sources = {row.slug: row.source for row in self.session.scalars(select(Provider))}
        newest = prices.newest_versions(self.session)
        in_force = prices.versions_in_force(self.session)
        listed = vendored.price_list()
        endpoints = self.session.execute(
            select(Endpoint, Model).join(Model, Model.id == Endpoint.model_id).order_by(Endpoint.id)
        )
        for endpoint, model in endpoints:
            if not model.is_enabled:
                continue
            config = msgspec.json.decode(model.config, type=ModelConfig)
            written = config.endpoint_at(endpoint.provider_slug, endpoint.upstream_model)
            effective = written and Place(
                model_id=model.id,
                model=config,
                model_source=model.source,
                endpoint=written,
                provider_source=sources[endpoint.provider_slug],
                markup_bps=gateway.markup_bps,
            ).effective(listed)
            if model.id in self.taken:
                self._assign(endpoint, {"is_enabled": effective is not None})
            if effective and not prices.says(newest.get(endpoint.id), effective):
                version = prices.add_version(
                    self.session, endpoint.id, effective, in_force.get(endpoint.id), self.actor
                )
                self.counts.add("prices_set" if version.is_confirmed else "prices_waiting")

    def _upsert(
        self,
        row: Row | None,
        fresh: Row,
        source: str,
        values: Mapping[str, object],
        name: str,
    ) -> bool:
        """Update a row, or add the fresh one; False where a source that goes before has it."""
        if row is None:
            self._assign(fresh, {**values, "source": source})
            fresh.created_at = self.now
            self.session.add(fresh)
            if fresh.is_enabled:
                self._note("created", name, None, _shown(fresh))
            return True
        if not self._may_take(row, source):
            return False
        before = _shown(row)
        if self._assign(row, {**values, "source": source}):
            self._note("updated", name, before, _shown(row))
        return True

    def _may_take(self, row: Row, source: str) -> bool:
        """Whether an object of this source may replace the row.

        The console's is replaced by the file's alone, the file's by others once it lets it go.
        """
        if row.source == FILE and source != FILE:
            return FILE in self.sources or not row.is_enabled
        return SOURCES.index(source) <= SOURCES.index(row.source)

    def _disable_gone(self, rows: Mapping[str, Row], wanted: Iterable[str], table: str) -> None:
        for slug in rows.keys() - set(wanted):
            row = rows[slug]
            if row.source in self.sources and row.is_enabled:
                before = _shown(row)
                row.is_enabled, row.updated_at = False, self.now
                self._note("disabled", f"{table}:{slug}", before, _shown(row))

    def _assign(self, row: Row | Endpoint, values: Mapping[str, object]) -> bool:
        changed = {name: value for name, value in values.items() if getattr(row, name) != value}
        for name, value in changed.items():
            setattr(row, name, value)
        if changed:
            row.updated_at = self.now
        return bool(changed)

    def _note(self, action: str, name: str, before: str | None, after: str | None) -> None:
        self.counts.add(action)
        self.session.add(
            Audit(
                created_at=self.now,
                actor=self.actor,
                action=f"catalog.{action}",
                object=name,
                before=before,
                after=after,
            )
        )


def _shown(row: Row) -> str:
    """Return what the audit keeps of a row: never its secrets."""
    facts = {
        "source": row.source,
        "is_enabled": row.is_enabled,
        "config": msgspec.Raw(row.config.encode()),
    }
    return msgspec.json.encode(facts).decode()


def _json(config: msgspec.Struct) -> str:
    return msgspec.json.encode(config).decode()
