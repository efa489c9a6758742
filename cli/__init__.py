"""The operator's commands, each imported when it is asked for: a serving process imports none."""

from collections.abc import Iterator, MutableMapping
from importlib import import_module

import click
from flask import Flask
from typing_extensions import override

PLACES = {
    "backup": ("database", "backup"),
    "catalog": ("catalog", "group"),
    "credits": ("money", "credits"),
    "db": ("database", "db_group"),
    "first-run": ("first_run", "first_run"),
    "holds": ("money", "holds"),
    "keys": ("people", "keys_group"),
    "ledger": ("money", "ledger"),
    "restore": ("database", "restore"),
    "secrets": ("secrets", "group"),
    "seed": ("seed", "seed"),
    "setup-code": ("first_run", "setup_code"),
    "users": ("people", "users_group"),
}
"""Each command's module in this package, and its name there."""


def register(app: Flask) -> None:
    """Add every command to `flask`."""
    app.cli.commands = Commands()


class Commands(MutableMapping[str, click.Command]):
    """The commands by name; reading one imports its module."""

    def __init__(self) -> None:
        self._added: dict[str, click.Command] = {}

    @override
    def __getitem__(self, name: str) -> click.Command:
        if name not in self._added:
            module, attribute = PLACES[name]
            self._added[name] = getattr(import_module(f"cli.{module}"), attribute)
        return self._added[name]

    @override
    def __setitem__(self, name: str, command: click.Command) -> None:
        self._added[name] = command

    @override
    def __delitem__(self, name: str) -> None:
        del self._added[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(sorted(PLACES.keys() | self._added.keys()))

    @override
    def __len__(self) -> int:
        return len(PLACES.keys() | self._added.keys())
