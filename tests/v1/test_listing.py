"""The catalog over HTTP, and the signs of life, on a server with models made to be found."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from tests.live import Actor, Server, make_actor
from tests.servers import engine_in_use, make_sqlite_template
from tests.upstream import Upstream

pytestmark = [pytest.mark.live]

TOKEN = "metrics-token-canary"
CONFIG = """
[gateway]
markup_bps = 1000

[[providers]]
slug = "acme"
kind = "openai"
base_url = "{base_url}"
api_key = "sk-acme-canary"
private_network = true
regions = ["eu"]

[[models]]
id = "acme/large"
name = "Acme Large"
description = "The large one"
context_length = 128000
max_output_tokens = 8192
input = ["text", "image"]
output = ["text"]
tags = ["code", "reasoning"]
supported_parameters = ["temperature", "tools"]
price = {{ input = "2.50", output = "10.00", cached_input = "0.25", per_request = "0.001" }}
[[models.endpoints]]
provider = "acme"
upstream_model = "large-secret-name"

[[models]]
id = "acme/deep/er"
context_length = 32000
tags = ["code"]
supported_parameters = ["temperature"]
price = {{ input = "0.0013", output = "0.005" }}
[[models.endpoints]]
provider = "acme"
upstream_model = "deeper"

[[models]]
id = "acme/unserved"
price = {{ input = "1", output = "1" }}

[[aliases]]
id = "auto-code"
policy = "best"
task = "code"
candidates = ["acme/large"]
"""


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> Iterator[tuple[Server, Actor]]:
    """A server that sells two models and an alias at a tenth above their price."""
    folder = tmp_path_factory.mktemp("shop")
    path = make_sqlite_template(folder / "turnpike.db")
    config = CONFIG.format(base_url=upstream.base_url("shop"))
    server = Server(folder, f"sqlite:///{path}", config, {"TURNPIKE_METRICS_TOKEN": TOKEN})
    with engine_in_use(server.database_url):
        server.start()
        actor = make_actor(server, upstream, space="shop")
        try:
            yield server, actor
        finally:
            server.stop()


def listed(shop: tuple[Server, Actor], query: str = "", prefix: str = "/api/v1") -> Any:
    server, actor = shop
    status, _, raw = server.request("GET", f"{prefix}/models{query}", None, actor.headers)
    assert status == 200, raw
    return json.loads(raw)


def ids(shop: tuple[Server, Actor], query: str) -> list[str]:
    return [row["id"] for row in listed(shop, query)["data"]]


def test_the_public_list_needs_no_key_and_the_other_one_does(shop: tuple[Server, Actor]) -> None:
    server, actor = shop
    assert server.request("GET", "/api/v1/models")[0] == 200
    assert server.request("GET", "/api/v1/models/acme/large")[0] == 200
    assert server.request("GET", "/api/v1/models/acme/large/endpoints")[0] == 200
    for path in ("/v1/models", "/v1/models/acme/large"):
        assert server.request("GET", path)[0] == 401
        assert server.request("GET", path, None, actor.headers)[0] == 200
    bad = {"Authorization": "Bearer tp_live_wrong"}
    assert server.request("GET", "/api/v1/models", None, bad)[0] == 200


def test_both_lists_have_the_models_that_can_be_called_and_the_aliases(
    shop: tuple[Server, Actor],
) -> None:
    for prefix in ("/v1", "/api/v1"):
        told = listed(shop, prefix=prefix)
        assert told["object"] == "list"
        found = {row["id"] for row in told["data"]}
        assert {"acme/large", "acme/deep/er", "auto-code"} <= found
        assert "acme/unserved" not in found
        assert len(found) == len(told["data"])


def test_a_row_has_e_12s_fields_with_prices_a_token_as_decimal_text(
    shop: tuple[Server, Actor],
) -> None:
    row = next(row for row in listed(shop)["data"] if row["id"] == "acme/large")
    assert (row["object"], row["owned_by"]) == ("model", "acme")
    assert isinstance(row["created"], int)
    assert row["created"] > 1_700_000_000
    assert row["context_length"] == 128_000
    assert row["top_provider"]["max_completion_tokens"] == 8192
    assert row["architecture"]["input_modalities"] == ["text", "image"]
    assert row["supported_parameters"] == ["temperature", "tools"]
    assert row["pricing"]["prompt"] == "0.00000275"
    assert row["pricing"]["completion"] == "0.000011"
    assert row["pricing"]["input_cache_read"] == "0.000000275"
    assert row["pricing"]["request"] == "0.0011"
    for price in row["pricing"].values():
        assert "e" not in price.lower()
        assert Decimal(price) > 0


def test_prices_below_a_millionth_of_a_cent_are_written_out(shop: tuple[Server, Actor]) -> None:
    row = next(row for row in listed(shop)["data"] if row["id"] == "acme/deep/er")
    assert row["pricing"] == {"prompt": "0.00000000143", "completion": "0.0000000055"}


def test_what_is_listed_is_what_is_charged(shop: tuple[Server, Actor]) -> None:
    _, actor = shop
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    actor.provider_will(usage=usage)
    price = listed(shop, "?q=acme/deep")["data"][0]["pricing"]
    body = {"model": "acme/deep/er", "messages": [{"role": "user", "content": "x" * 5000}]}
    _, headers, _ = actor.post("/v1/chat/completions", body)
    due = 1000 * Decimal(price["prompt"]) + 100 * Decimal(price["completion"])
    assert Decimal(headers["x-turnpike-cost-usd"]) == due


@pytest.mark.parametrize("model_id", ["acme/large", "acme/deep/er", "auto-code"])
def test_a_model_is_found_by_its_id_however_its_slashes_are_written(
    shop: tuple[Server, Actor], model_id: str
) -> None:
    server, actor = shop
    row = next(row for row in listed(shop)["data"] if row["id"] == model_id)
    for written in (model_id, quote(model_id, safe=""), model_id.replace("/", "%2f")):
        _, _, raw = server.request("GET", f"/v1/models/{written}", None, actor.headers)
        assert json.loads(raw) == row
        status, _, raw = server.request("GET", f"/api/v1/models/{written}")
        assert status == 200
        assert json.loads(raw)["data"] == row
        assert json.loads(raw)["id"] == model_id


def test_a_bare_name_is_found_while_it_is_unique(shop: tuple[Server, Actor]) -> None:
    server, actor = shop
    assert json.loads(server.request("GET", "/v1/models/large", None, actor.headers)[2])["id"] == (
        "acme/large"
    )


def test_the_endpoints_of_a_model_tell_who_serves_it_and_not_by_which_name(
    shop: tuple[Server, Actor],
) -> None:
    server, _ = shop
    raw = server.request("GET", "/api/v1/models/acme/large/endpoints")[2]
    (endpoint,) = json.loads(raw)["data"]["endpoints"]
    assert (endpoint["provider_name"], endpoint["model_id"]) == ("acme", "acme/large")
    assert endpoint["pricing"]["prompt"] == "0.00000275"
    assert endpoint["regions"] == ["eu"]
    for secret in (b"large-secret-name", b"127.0.0.1", b"sk-acme"):
        assert secret not in raw
    assert server.request("GET", "/api/v1/models/no/such/endpoints")[0] == 404


def test_what_isnt_there_is_a_404_with_the_nearest_names(shop: tuple[Server, Actor]) -> None:
    server, actor = shop
    _, _, raw = server.request("GET", "/v1/models/acme/larg", None, actor.headers)
    assert "acme/large" in json.loads(raw)["error"]["message"]
    for path in ("acme", "no/such", "%00", "..", "a" * 7000, "%ff%fe", "x%0d%0aX-Forged:1"):
        for prefix in ("/v1", "/api/v1"):
            status, headers, _ = server.request(
                "GET", f"{prefix}/models/{path}", None, actor.headers
            )
            assert status == 404, path
            assert "x-forged" not in headers


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?category=reasoning", ["acme/large"]),
        ("?category=code", ["acme/large", "acme/deep/er"]),
        ("?category=REASONING,nothing", ["acme/large"]),
        ("?category=nothing", []),
        ("?q=ACME", ["acme/large", "acme/deep/er"]),
        ("?q=Acme+Large", ["acme/large"]),
        ("?q=%25_", []),
        ("?q=auto", ["auto-code"]),
        ("?supported_parameters=tools&q=acme", ["acme/large"]),
        ("?supported_parameters=temperature,tools&q=acme", ["acme/large"]),
        ("?output_modalities=image", ["sandbox/image"]),
        ("?output_modalities=text&q=acme", ["acme/large", "acme/deep/er"]),
        ("?output_modalities=all&q=acme", ["acme/large", "acme/deep/er"]),
        ("?q=acme&limit=1", ["acme/deep/er"]),
        ("?q=acme&offset=1", ["acme/large"]),
        ("?q=acme&offset=9&limit=5", []),
        ("?q=acme&limit=0", []),
        ("?q=acme&unknown=1", ["acme/large", "acme/deep/er"]),
    ],
)
def test_the_list_is_narrowed_by_its_filters(
    shop: tuple[Server, Actor], query: str, found: list[str]
) -> None:
    assert sorted(ids(shop, query)) == sorted(found)


def test_a_page_tells_how_many_there_are_in_all(shop: tuple[Server, Actor]) -> None:
    told = listed(shop, "?q=acme&limit=1")
    assert (len(told["data"]), told["total_count"]) == (1, 2)


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "", "1e3", "\u0663", "9999999", "+1"])
@pytest.mark.parametrize("name", ["limit", "offset"])
def test_a_page_that_makes_no_sense_is_a_400(
    shop: tuple[Server, Actor], name: str, value: str
) -> None:
    server, _ = shop
    status, _, raw = server.request("GET", f"/api/v1/models?{name}={quote(value)}")
    assert status == 400
    assert json.loads(raw)["error"]["param"] == name


def test_a_management_key_may_not_list_what_only_callers_need(
    shop: tuple[Server, Actor], upstream: Upstream
) -> None:
    server, actor = shop
    manager = make_actor(
        server, upstream, kind="management", workspace_id=actor.workspace_id, space="shop"
    )
    status, _, told = manager.get("/v1/models")
    assert (status, told["error"]["code"]) == (401, "wrong_credential")


def test_the_signs_of_life_are_for_everybody_and_tell_nothing(shop: tuple[Server, Actor]) -> None:
    server, _ = shop
    for path in ("/healthz", "/readyz"):
        status, headers, raw = server.request("GET", path)
        assert (status, json.loads(raw)) == (200, {"status": "ok"})
        assert headers["server"] == "turnpike"


def test_metrics_are_for_the_holder_of_the_token(shop: tuple[Server, Actor]) -> None:
    server, actor = shop
    for told in (None, TOKEN, "Bearer", f"Bearer {TOKEN}x", f"Bearer {actor.key}", "Basic eDp5"):
        headers = {} if told is None else {"Authorization": told}
        status, _, raw = server.request("GET", "/metrics", None, headers)
        assert status == 404
        assert TOKEN.encode() not in raw
    allowed = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "10.0.0.1"}
    status, headers, raw = server.request("GET", "/metrics", None, allowed)
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    assert b"turnpike_generations" in raw


@pytest.mark.parametrize(
    "forwarding",
    ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Host", "X-Forwarded-Proto"],
)
def test_without_a_token_metrics_are_for_this_machine_and_not_through_a_proxy(
    server: Server, forwarding: str
) -> None:
    assert server.request("GET", "/metrics")[0] == 200
    assert server.request("GET", "/metrics", None, {forwarding: "127.0.0.1"})[0] == 404
