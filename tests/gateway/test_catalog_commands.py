import json
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import Engine

from cli.catalog import group
from gateway import catalog
from settings import Settings
from tests.gateway.catalog_texts import FULL

ENVIRON = {"ACME_ONE_KEY": "one", "MANY_KEY_1": "a", "MANY_KEY_2": "b"}


@pytest.fixture
def catalog_file(tmp_path: Path) -> Path:
    path = tmp_path / "acme.toml"
    path.write_text(FULL)
    return path


def catalog_run(*words: str) -> Result:
    app = Flask("test")
    app.config.update(TURNPIKE=Settings(secret_keys=("k",)), TURNPIKE_ENVIRON=ENVIRON)
    app.cli.add_command(group)
    return app.test_cli_runner().invoke(args=["catalog", *words])


def test_check_needs_no_database(catalog_file: Path) -> None:
    result = catalog_run("check", str(catalog_file))
    assert result.exit_code == 0
    assert result.stdout == "acme.toml is sound: 3 providers, 2 models, 1 aliases.\n"
    as_json = catalog_run("check", str(catalog_file), "--json")
    assert json.loads(as_json.stdout)["ok"] is True


def test_a_bad_file_is_one_line_on_stderr(catalog_file: Path) -> None:
    catalog_file.write_text(FULL.replace('kind = "openai"', 'kind = "openia"'))
    for command in ("check", "apply"):
        result = catalog_run(command, str(catalog_file), "--json")
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr.startswith('acme.toml, line 8: [[providers]] "acme-one", kind')
        assert result.stderr.count("\n") == 1


def test_a_missing_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert catalog_run("check", str(tmp_path / "none.toml")).exit_code == 1
    monkeypatch.chdir(tmp_path)
    result = catalog_run("check")
    assert result.exit_code == 2
    assert "There is no turnpike.toml here" in result.stderr
    assert catalog_run("check", "a", "b").exit_code == 2


def test_apply_and_export_go_round(database: Engine, catalog_file: Path) -> None:
    applied = catalog_run("apply", str(catalog_file), "--json")
    assert applied.exit_code == 0
    assert json.loads(applied.stdout)["prices_set"] >= 2
    assert catalog.current().find("acme/large").routes
    exported = catalog_run("export")
    assert exported.exit_code == 0
    assert "${ACME_ONE_KEY}" in exported.stdout
    catalog_file.write_text(exported.stdout)
    again = json.loads(catalog_run("apply", str(catalog_file), "--json").stdout)
    assert sum(value for name, value in again.items() if name != "ok") == 0
    assert json.loads(catalog_run("export", "--json").stdout)["toml"] == exported.stdout
