"""The served description of the API: complete, valid, and what the server really does."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.definitions import OPENAPI_31

from app import create_app
from blueprints.description import description
from settings import Settings
from tests.live import Actor

BASE = "http://turnpike.test"
DOCUMENT = json.loads(description(BASE))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
DESCRIBED = ("/v1/", "/api/v1/", "/healthz", "/readyz", "/metrics")
EXAMPLES = 5
CONFORMS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MODELS = {
    "embeddings": "embed",
    "images": "image",
    "speech": "speech",
    "transcriptions": "transcribe",
    "translations": "transcribe",
}
OPERATIONS = sorted(
    (method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder = tmp_path_factory.mktemp("openapi")
    return create_app(Settings(database_url=f"sqlite:///{folder}/turnpike.db"))


def routes(app: Flask) -> list[tuple[str, str]]:
    return sorted(
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(DESCRIBED)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    )


def test_each_route_is_described_and_nothing_else(app: Flask) -> None:
    assert routes(app) == OPERATIONS


def test_the_description_is_valid_openapi() -> None:
    jsonschema_rs.validator_for(OPENAPI_31).validate(DOCUMENT)
    ids = [
        operation["operationId"]
        for item in DOCUMENT["paths"].values()
        for operation in item.values()
    ]
    assert len(ids) == len(set(ids))


def test_the_description_is_served_with_the_servers_own_address(app: Flask) -> None:
    response = app.test_client().get("/openapi.json", base_url=BASE)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert json.loads(response.data)["servers"] == [{"url": BASE}]


@pytest.mark.live
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_are_as_described(alice: Actor, method: str, path: str) -> None:
    operation = SCHEMA[path][method]
    headers = {"Authorization": f"Bearer {alice.key}"}
    model = next((MODELS[word] for word in path.split("/") if word in MODELS), "large")
    generation_id = alice.chat()[2]["id"]
    known = {"model_id": alice.model, "generation_id": generation_id, "id": generation_id}
    alice.generation(generation_id)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        if isinstance(case.body, dict):
            case.body["model"] = f"{alice.space}/{model}"
            case.body.pop("stream", None)
        for part in (case.path_parameters, case.query):
            for name in set(part or ()) & set(known):
                if len(part[name]) % 2:
                    part[name] = known[name]
        response = case.call(base_url=alice.server.base_url, headers=headers)
        assert response.status_code != 500, response.text
        case.validate_response(response, checks=CONFORMS)

    ask()
