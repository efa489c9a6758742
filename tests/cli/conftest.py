"""The commands as `flask` runs them: with the app, on the database of the test."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import Engine

import db
from app import alchemy, create_app
from settings import Settings

SECRET_KEY = "0123456789abcdef0123456789abcdef"

Run = Callable[..., Result]
Answer = Callable[..., Any]


@pytest.fixture
def app(database: Engine) -> Iterator[Flask]:
    """The app on the test's database."""
    url = database.url.render_as_string(hide_password=False)
    made = create_app(Settings(database_url=url, secret_keys=(SECRET_KEY,)))
    with made.app_context():
        yield made
        alchemy.engine.dispose()
    db.use(database)


@pytest.fixture
def run(app: Flask) -> Run:
    """Run a command by its words."""

    def run(*words: str, **options: Any) -> Result:
        return app.test_cli_runner().invoke(args=words, **options)

    return run


@pytest.fixture
def answer(run: Run) -> Answer:
    """Run a command with --json, and return the one object that it prints."""

    def answer(*words: str, **options: Any) -> Any:
        result = run(*words, "--json", **options)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.count("\n") == 1
        return json.loads(result.stdout)

    return answer
