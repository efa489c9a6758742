"""The errors of the API over HTTP: one JSON shape each, with their headers, and never a page."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.live import Actor
from tests.v1.remedies import has_remedy

pytestmark = [pytest.mark.live]

CHAT = "/chat/completions"
PREFIXES = ["/v1", "/api/v1"]
OPENROUTER_TYPES = {
    400: "invalid_request",
    401: "authentication",
    402: "payment_required",
    403: "permission_denied",
    404: "not_found",
    413: "payload_too_large",
    429: "rate_limit_exceeded",
    502: "provider_unavailable",
    503: "provider_overloaded",
}
Answer = tuple[int, dict[str, str], bytes]
each_prefix = pytest.mark.parametrize("prefix", PREFIXES)


def check(answer: Answer, prefix: str, status: int, code: str) -> dict[str, Any]:
    """The one shape of an error under a prefix; returns its `error` object."""
    answered, headers, raw = answer
    assert answered == status, raw
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"]
    assert int(headers["x-ratelimit-limit"]) >= int(headers["x-ratelimit-remaining"]) >= 0
    assert int(headers["x-ratelimit-reset"]) > 1_700_000_000
    assert ("retry-after" in headers) == (status in (429, 503) or code == "in_flight_budget")
    assert "tp_live_" not in raw.decode().replace("tp_live_…", "")
    body = json.loads(raw)
    error: dict[str, Any] = body["error"]
    assert has_remedy(error["message"]), error["message"]
    if prefix == "/v1":
        assert set(body) == {"error"}
        assert set(error) - {"metadata"} == {"message", "type", "param", "code"}
        assert error["code"] == code
    else:
        assert set(body) == {"error", "code", "message"}
        assert (body["code"], body["message"]) == (status, error["message"])
        assert set(error) == {"message", "type", "param", "code", "metadata"}
        assert (error["code"], error["type"]) == (status, code)
        known = OPENROUTER_TYPES.get(status)
        assert known is None or error["metadata"]["error_type"] == known
    return error


def post(actor: Actor, path: str, body: object, **headers: str) -> Answer:
    return actor.server.request("POST", path, body, {**actor.headers, **headers})


def call(actor: Actor, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "hi"}]
    return {"model": actor.model, "messages": messages, **fields}


@each_prefix
def test_400_names_the_parameter(alice: Actor, prefix: str) -> None:
    answer = post(alice, prefix + CHAT, call(alice, max_tokens=-1))
    assert check(answer, prefix, 400, "invalid_parameter")["param"] == "max_tokens"
    check(post(alice, prefix + CHAT, b'{"model":'), prefix, 400, "invalid_request")
    check(post(alice, prefix + CHAT, b"[]"), prefix, 400, "invalid_request")
    check(post(alice, prefix + CHAT, b""), prefix, 400, "invalid_request")


@each_prefix
def test_400_of_the_provider_is_passed_on_in_its_words(alice: Actor, prefix: str) -> None:
    message = "Invalid image. Send another sk-upstream-canary-1234 of http://127.0.0.1/x."
    alice.provider_will(status=400, body={"error": {"message": message, "param": "messages"}})
    error = check(post(alice, prefix + CHAT, call(alice)), prefix, 400, "provider_rejected")
    assert "Invalid image" in error["message"]
    assert "sk-upstream" not in error["message"]


@each_prefix
@pytest.mark.parametrize(
    "credential",
    [
        None,
        "Bearer tp_live_wrong",
        "Bearer ",
        "Bearer",
        "Basic dXNlcjpwYXNz",
        "Bearer sk-proj-abcdefghijklmnop",
        "Bearer \xe9\xff\xfe",
        f"Bearer {'x' * 8000}",
    ],
)
def test_401_looks_the_same_whatever_is_wrong_with_the_key(
    alice: Actor, prefix: str, credential: str | None
) -> None:
    headers = {} if credential is None else {"Authorization": credential}
    answer = alice.server.request("POST", prefix + CHAT, call(alice), headers)
    error = check(answer, prefix, 401, "invalid_api_key")
    assert answer[1]["x-ratelimit-limit"] == "300"
    assert "sk-proj" not in error["message"]
    assert alice.asked() == []


@each_prefix
def test_401_refuses_a_management_key_at_inference_and_says_which_to_use(
    new_actor: Callable[..., Actor], prefix: str
) -> None:
    manager = new_actor(kind="management")
    answer = post(manager, prefix + CHAT, call(manager))
    error = check(answer, prefix, 401, "wrong_credential")
    assert "tp_live_" in error["message"]
    assert answer[1]["x-ratelimit-limit"] == "600"


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_the_name_of_the_scheme_may_be_written_in_any_case(alice: Actor, scheme: str) -> None:
    answer = alice.server.request(
        "GET", "/v1/credits", None, {"Authorization": f"{scheme} {alice.key}"}
    )
    assert answer[0] == 200


@pytest.mark.parametrize("path", ["/v1/credits?api_key=KEY", "/v1/credits?key=KEY"])
def test_a_key_in_the_address_or_a_cookie_doesnt_count(alice: Actor, path: str) -> None:
    headers = {"Cookie": f"tp_session={alice.key}", "X-Api-Token": alice.key}
    answer = alice.server.request("GET", path.replace("KEY", alice.key), None, headers)
    check(answer, "/v1", 401, "invalid_api_key")


@each_prefix
def test_402_tells_the_cost_and_what_can_be_afforded(
    new_actor: Callable[..., Actor], prefix: str
) -> None:
    poor = new_actor(balance_nusd=10_000_000)
    answer = post(poor, prefix + CHAT, call(poor, max_tokens=5000))
    error = check(answer, prefix, 402, "insufficient_credits")
    affordable = error["metadata"]["affordable_max_tokens"]
    assert 0 < affordable < 5000
    assert str(affordable) in error["message"]
    assert post(poor, prefix + CHAT, call(poor, max_tokens=affordable))[0] == 200


@each_prefix
def test_402_for_money_that_is_only_held_says_when_to_come_again(
    new_actor: Callable[..., Actor], prefix: str
) -> None:
    busy = new_actor(balance_nusd=30_000_000)
    busy.provider_will(words=4, hold_before=3)
    stream = busy.open_stream(max_tokens=1000)
    answer = post(busy, prefix + CHAT, call(busy, max_tokens=1000))
    busy.upstream.release(busy.space)
    assert stream.events()[-1] == "[DONE]"
    check(answer, prefix, 402, "in_flight_budget")
    assert answer[1]["retry-after"] == "1"


@each_prefix
def test_402_of_a_spending_cap_names_it(new_actor: Callable[..., Actor], prefix: str) -> None:
    capped = new_actor(cap_nusd=1000)
    answer = post(capped, prefix + CHAT, call(capped, max_tokens=1000))
    assert "limit" in check(answer, prefix, 402, "spending_cap")["message"]


@each_prefix
def test_403_for_a_model_that_isnt_on_the_keys_list(
    new_actor: Callable[..., Actor], prefix: str
) -> None:
    narrow = new_actor(models=["s0/none"])
    answer = post(narrow, prefix + CHAT, call(narrow))
    assert check(answer, prefix, 403, "model_not_allowed")["param"] == "model"


@each_prefix
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"])
def test_404_for_a_path_that_isnt_there(alice: Actor, prefix: str, method: str) -> None:
    for path in ("/nothing", "/models/", "/chat", f"/{alice.key}", "/%2e%2e/%00%0d%0aX:%20y", ""):
        answer = alice.server.request(method, prefix + path, None, alice.headers)
        if answer[0] != 405:
            check(answer, prefix, 404, "not_found")


@each_prefix
def test_404_for_a_model_that_isnt_there(alice: Actor, prefix: str) -> None:
    answer = post(alice, prefix + CHAT, {**call(alice), "model": "no/such"})
    assert check(answer, prefix, 404, "model_not_found")["param"] == "model"
    answer = alice.server.request("GET", f"{prefix}/models/no/such", None, alice.headers)
    check(answer, prefix, 404, "model_not_found")


def test_404_without_a_key_is_a_404_as_well(alice: Actor) -> None:
    check(alice.server.request("GET", "/v1/nothing"), "/v1", 404, "not_found")


@each_prefix
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE"])
def test_405_says_what_the_path_takes(alice: Actor, prefix: str, method: str) -> None:
    answer = alice.server.request(method, prefix + CHAT, None, alice.headers)
    check(answer, prefix, 405, "method_not_allowed")
    assert "POST" in answer[1]["allow"]


@each_prefix
def test_413_for_a_body_that_is_too_large(alice: Actor, prefix: str) -> None:
    answer = post(alice, prefix + CHAT, b" " * (10 * 1024 * 1024 + 1))
    check(answer, prefix, 413, "payload_too_large")
    assert answer[1]["connection"] == "close"


@each_prefix
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip"])
def test_415_for_a_compressed_body(alice: Actor, prefix: str, coding: str) -> None:
    answer = post(alice, prefix + CHAT, b"\x1f\x8b", **{"Content-Encoding": coding})
    check(answer, prefix, 415, "unsupported_media_type")


@each_prefix
def test_415_for_a_form(alice: Actor, prefix: str) -> None:
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    check(post(alice, prefix + CHAT, b"--x--", **form), prefix, 415, "unsupported_media_type")


@each_prefix
def test_429_says_when_the_next_request_is_welcome(
    new_actor: Callable[..., Actor], prefix: str
) -> None:
    slow = new_actor(rpm=1)
    first = alice_status(slow, prefix)
    answer = slow.server.request("GET", f"{prefix}/credits", None, slow.headers)
    assert first == 200
    check(answer, prefix, 429, "rate_limit_exceeded")
    assert (answer[1]["x-ratelimit-limit"], answer[1]["x-ratelimit-remaining"]) == ("1", "0")
    assert 1 <= int(answer[1]["retry-after"]) <= 61


def alice_status(actor: Actor, prefix: str) -> int:
    return actor.server.request("GET", f"{prefix}/credits", None, actor.headers)[0]


@each_prefix
@pytest.mark.parametrize("told", [500, 501, 401, 402, 403, 404, 418])
def test_502_hides_what_the_provider_has_against_us(alice: Actor, prefix: str, told: int) -> None:
    alice.provider_will(status=told, body={"error": {"message": "key sk-upstream-1-canary"}})
    answer = post(alice, prefix + CHAT, call(alice))
    error = check(answer, prefix, 502, "upstream_error")
    assert "canary" not in json.dumps(error)
    assert error["metadata"]["previous_errors"][0]["status"] == told


@each_prefix
@pytest.mark.parametrize("told", [408, 504])
def test_502_for_a_provider_that_took_too_long(alice: Actor, prefix: str, told: int) -> None:
    alice.provider_will(status=told)
    check(post(alice, prefix + CHAT, call(alice)), prefix, 502, "upstream_timeout")


@each_prefix
@pytest.mark.parametrize("wait", ["7", "9999", "-3", "soon", ""])
def test_503_passes_a_sane_wait_on(alice: Actor, prefix: str, wait: str) -> None:
    alice.provider_will(status=429, headers={"retry-after": wait} if wait else {})
    answer = post(alice, prefix + CHAT, call(alice))
    check(answer, prefix, 503, "provider_overloaded")
    assert answer[1]["retry-after"] == {"7": "7", "9999": "60"}.get(wait, "1")


@each_prefix
def test_an_error_in_mid_stream_has_the_prefixs_shape(alice: Actor, prefix: str) -> None:
    alice.provider_will(words=20, rst_after=6)
    _, headers, raw = post(alice, prefix + CHAT, call(alice, stream=True))
    assert headers["content-type"].startswith("text/event-stream")
    last = raw.decode().strip().rpartition("data: ")[2]
    error = json.loads(last)["error"]
    assert error["code"] == ("upstream_error" if prefix == "/v1" else 502)
    assert has_remedy(error["message"])
    assert "[DONE]" not in raw.decode()


def test_a_sane_request_id_is_kept_and_any_other_is_replaced(alice: Actor) -> None:
    for told in ("trace-1:a.b_c", "x" * 128):
        headers = {**alice.headers, "X-Request-Id": told}
        assert alice.server.request("GET", "/v1/credits", None, headers)[1]["x-request-id"] == told
    for told in ("", "a b", "x" * 129, "\xe9", "a\tb", '{"a":1}', alice.key + "!"):
        headers = {**alice.headers, "X-Request-Id": told}
        kept = alice.server.request("GET", "/v1/credits", None, headers)[1]["x-request-id"]
        assert kept.startswith("req_")


@pytest.mark.parametrize("path", ["/nothing", "/api", "/V1/models"])
def test_outside_the_api_a_browser_gets_a_page_and_a_program_json(alice: Actor, path: str) -> None:
    status, headers, _ = alice.server.request("GET", path, None, {"Accept": "text/html"})
    assert (status, headers["content-type"]) == (404, "text/html; charset=utf-8")
    status, headers, raw = alice.server.request("GET", path, None, {"Accept": "application/json"})
    assert (status, headers["content-type"]) == (404, "application/json")
    assert "error" in json.loads(raw)
