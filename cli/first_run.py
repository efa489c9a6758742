"""`flask first-run` and `flask setup-code`: how a new server is taken into use."""

import click
from flask import current_app

from cli.output import AS_JSON, Command, emit
from gateway import catalog, setup


@click.command("first-run", cls=Command)
def first_run() -> None:
    """Say where the server is; on a new database, make and print what one begins with."""
    settings = current_app.config["TURNPIKE"]
    catalog.provision(settings, current_app.config["TURNPIKE_ENVIRON"])
    click.echo(setup.welcome(settings, setup.first_run(), catalog.current()))


@click.command("setup-code", cls=Command)
@AS_JSON
def setup_code(*, as_json: bool) -> None:
    """Make a new set-up link while there is no operator; the one before stops working."""
    code = setup.new_code()
    url = f"{setup.base_url(current_app.config['TURNPIKE'])}/setup?code={code}"
    emit({"code": code, "url": url}, as_json=as_json, text=url)
