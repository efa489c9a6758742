"""`flask catalog check | apply | export`: the provisioning file from the command line."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import click
from flask import current_app
from flask.cli import AppGroup

import db
from errors import TurnpikeError
from gateway import catalog
from gateway.secrets import SecretBox
from settings import Settings, SettingsError

group = AppGroup("catalog", help="Models, providers and prices as a file.")

FILE = click.argument("file", required=False, type=click.Path(path_type=Path))
AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@group.command("check")
@FILE
@AS_JSON
def check(*, file: Path | None, as_json: bool) -> None:
    """Read FILE, or the one that is configured, and say what is wrong; nothing is changed."""
    with _refusals():
        found = _read(file)
    counts = {
        "providers": len(found.wanted.providers),
        "models": len(found.wanted.models),
        "aliases": len(found.wanted.aliases),
    }
    if as_json:
        _print_json({"ok": True, "file": found.name, **counts})
    else:
        click.echo(f"{found.name} is sound: {_listed(counts)}.")


@group.command("apply")
@FILE
@AS_JSON
def apply(*, file: Path | None, as_json: bool) -> None:
    """Bring the catalog to FILE, or the one that is configured; workers follow in two seconds."""
    settings = _settings()
    with _refusals():
        _read(file)
        applied = catalog.provision(settings, _environ(), path=file, actor="cli")
    counts = asdict(applied)
    if as_json:
        _print_json({"ok": True, **counts})
    else:
        click.echo(f"Applied: {_listed(counts)}.")


@group.command("export")
@click.option(
    "--all", "everything", is_flag=True, help="Also what environment and sandbox bring themselves."
)
@AS_JSON
def export(*, everything: bool, as_json: bool) -> None:
    """Write the present state as TOML, with `${PROVIDER_SLUG_KEY}` for secrets."""
    with _refusals():
        box = SecretBox.from_settings(_settings())
        with db.reading() as session:
            text = catalog.export(session, box.open_sealed, everything=everything)
    if as_json:
        _print_json({"toml": text})
    else:
        click.echo(text, nl=False)


def _read(file: Path | None) -> catalog.CatalogFile:
    found = catalog.read_configured(_settings(), _environ(), file)
    if found is None:
        _end("There is no turnpike.toml here; name a file, or set TURNPIKE_CONFIG.", 2)
    return found


def _settings() -> Settings:
    settings: Settings = current_app.config["TURNPIKE"]
    return settings


def _environ() -> Mapping[str, str]:
    environ: Mapping[str, str] = current_app.config["TURNPIKE_ENVIRON"]
    return environ


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (catalog.CatalogFileError, SettingsError) as error:
        _end(str(error), 1)
    except TurnpikeError as error:
        _end(error.message, 1)


def _end(message: str, status: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(status)


def _print_json(value: object) -> None:
    click.echo(json.dumps(value))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items())
