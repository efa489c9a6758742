"""What a start does to the catalog: the environment's providers, the sandbox, and the file."""

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.orm import Session

import db
from gateway.catalog import sandbox, store, vendored
from gateway.catalog.apply import Applied, placeholders, reconcile
from gateway.catalog.file import FILE, CatalogFile, CatalogFileError, read
from gateway.catalog.sandbox import BUILT_IN
from gateway.catalog.vendored import ENVIRONMENT
from gateway.catalog.wanted import Wanted
from gateway.secrets import SecretBox
from models import Provider
from settings import Settings

DEFAULT_FILE = "turnpike.toml"
LOCK = 7_233_571_142
"""Postgres' advisory lock, so that workers that start together don't all insert the same rows."""


def provision(
    settings: Settings,
    environ: Mapping[str, str],
    box: SecretBox | None = None,
    *,
    path: Path | None = None,
    actor: str = "start",
) -> Applied:
    """Apply environment, sandbox and file in one transaction, and open the catalog to `current()`.

    `path` goes before TURNPIKE_CONFIG. Without any file, what a file once brought stays as it is.
    Raises: CatalogFileError for the file, SecretKeyError, LedgerUnavailableError.
    """
    box = box or SecretBox.from_settings(settings)
    file = read_configured(settings, environ, path)
    with db.transaction() as session:
        if not db.is_sqlite():
            session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        wanted = wanted_of(settings, file, others=_others(session))
        sources = {ENVIRONMENT, BUILT_IN} | ({FILE} if file else set())
        applied = reconcile(session, wanted, actor, box, sources)
    store.use(box.open_sealed)
    return applied


def read_configured(
    settings: Settings, environ: Mapping[str, str], path: Path | None = None
) -> CatalogFile | None:
    """Read the file that the command or the settings name, else turnpike.toml if there is one.

    Raises: CatalogFileError, also for a file that is named and missing.
    """
    if path is None and settings.config is None and not Path(DEFAULT_FILE).exists():
        return None
    return read(path or Path(settings.config or DEFAULT_FILE), environ)


def wanted_of(settings: Settings, file: CatalogFile | None, *, others: bool = False) -> Wanted:
    """Return all that is wanted. `others` says that providers from the console are on.

    The sandbox is on while nothing else is, unless the settings say otherwise.
    """
    environment = vendored.from_environment(settings.vendor_keys, settings.vendor_base_urls)
    from_file = file.wanted if file else Wanted()
    has_others = others or bool(
        environment.providers
        or [s for s, p in from_file.providers.items() if p.kind != sandbox.KIND]
    )
    is_on = settings.sandbox == "on" or (settings.sandbox is None and not has_others)
    below = sandbox.wanted(is_enabled=is_on).under(environment)
    missing = placeholders(from_file, below.providers, settings.vendor_base_urls)
    return below.under(missing).under(from_file)


def _others(session: Session) -> bool:
    from_console = select(Provider.slug).where(
        Provider.source == "console", Provider.is_enabled, Provider.kind != sandbox.KIND
    )
    return session.scalars(from_console).first() is not None


__all__ = ["CatalogFileError", "provision", "read_configured", "wanted_of"]
