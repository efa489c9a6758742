"""The documents are complete: each setting, endpoint, error and command stands where it belongs."""

import dataclasses
import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import click
import pytest
from flask import Flask

from app import create_app
from blueprints.description import description
from errors import TurnpikeError
from settings import VENDORS, Settings

ROOT = Path(__file__).resolve().parent.parent
DESCRIBED = ("/v1", "/healthz", "/readyz", "/metrics", "/webhooks")
FIELDS = [field for field in dataclasses.fields(Settings) if field.metadata]
SETTINGS = [field.metadata["env"] for field in FIELDS] + [
    f"{vendor}_{what}" for vendor in VENDORS for what in ("API_KEY", "BASE_URL")
]
OF_COMPOSE = {"POSTGRES_PASSWORD", "PUBLISH"}


@pytest.fixture(scope="module")
def described_app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder = tmp_path_factory.mktemp("docs")
    return create_app(Settings(database_url=f"sqlite:///{folder}/turnpike.db"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows_and_headings(name: str) -> list[str]:
    return [line for line in read(name).splitlines() if line.startswith(("|", "#"))]


def examples() -> dict[str, str]:
    return dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", read(".env.example"), re.MULTILINE))


def plain(path: str) -> str:
    """`/api/v1/models/<path:model_id>` is described as `/v1/models/<id>`."""
    return re.sub(r"<[^>]*>", "<>", path).removeprefix("/api")


def endpoints(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        if plain(rule.rule).startswith(DESCRIBED):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield f"{method} {plain(rule.rule)}"


def commands(group: click.Group, before: str = "flask") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before} {name}")
        else:
            yield f"{before} {name}"


def codes(error: type[TurnpikeError]) -> Iterator[tuple[int, str]]:
    yield error.status, error.code
    for kind in error.__subclasses__():
        yield from codes(kind)


def test_each_setting_is_in_env_example() -> None:
    assert set(examples()) - OF_COMPOSE == set(SETTINGS)


def test_each_setting_has_its_row_in_operations() -> None:
    rows = "\n".join(row for row in rows_and_headings("docs/operations.md") if row.startswith("|"))
    assert [name for name in SETTINGS if f"`{name}`" not in rows] == []


def test_env_example_may_be_uncommented_as_it_stands() -> None:
    Settings.from_env(examples())


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_env_example_shows_the_default(field: dataclasses.Field[object]) -> None:
    env = field.metadata["env"]
    shown = getattr(Settings.from_env({env: examples()[env]}), field.name)
    assert field.default in (None, ()) or shown == field.default


def test_each_endpoint_is_described(described_app: Flask) -> None:
    described = {
        f"{method} {plain(path)}"
        for line in rows_and_headings("docs/api.md")
        for method, path in re.findall(r"`([A-Z]+) (/[^`?\s]*)", line)
    }
    assert sorted(set(endpoints(described_app)) - described) == []


def test_each_error_has_its_row() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", read("docs/api.md"), re.MULTILINE)
    assert sorted(set(codes(TurnpikeError)) - {(int(status), code) for status, code in rows}) == []


def test_each_command_has_its_heading(described_app: Flask) -> None:
    headings = set(
        re.findall(r"^#+ `(flask(?: [a-z][a-z-]*)+)", read("docs/operations.md"), re.MULTILINE)
    )
    assert headings == set(commands(described_app.cli))


def test_the_changelog_is_kept_and_names_a_version() -> None:
    text = read("CHANGELOG.md")
    releases = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", text, re.MULTILINE)
    kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert releases
    days = [date.fromisoformat(day) for _, day in releases]
    assert days == sorted(days, reverse=True)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/adr/*.md")), ids=lambda path: path.name)
def test_a_decision_says_what_was_decided_and_what_follows(path: Path) -> None:
    headings = re.findall(r"^## (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == ["Status", "Context", "Decision", "Consequences"]


def test_links_between_the_documents_lead_somewhere() -> None:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]
    broken = [
        f"{document.name}: {link}"
        for document in documents
        for link in re.findall(r"\]\(([^)#:]+)", document.read_text(encoding="utf-8"))
        if not (document.parent / link).exists()
    ]
    assert broken == []


def test_the_served_description_names_the_changelogs_version() -> None:
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert json.loads(description("http://x"))["info"]["version"] == newest[1]
