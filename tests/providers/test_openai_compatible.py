"""What goes to an OpenAI-compatible provider, and what its failures come out as."""

import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

import clock
from errors import (
    ContextLengthError,
    ForbiddenError,
    NoEndpointsError,
    TurnpikeError,
    UpstreamBrokenError,
    UpstreamBusyError,
    UpstreamRejectedError,
    UpstreamTimeoutError,
)
from providers import failures
from providers.base import Exchange, UpstreamCall
from providers.openai_compatible import OpenAICompatible
from providers.registry import KINDS, build
from providers.sandbox import Sandbox
from providers.transport import (
    ConnectFailedError,
    ConnectionBrokenError,
    DeadlineError,
    Origin,
    Transport,
)
from tests.upstream import Upstream, good_answer

KEY = "sk-test-000111222333"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as process:
        yield process


@pytest.fixture
def space() -> str:
    return f"s{uuid.uuid4().hex[:12]}"


def exchanged(upstream: Upstream, space: str, call: UpstreamCall, key: str) -> tuple[int, bytes]:
    transport = Transport()
    provider = OpenAICompatible(Origin(upstream.base_url(space), allow_private=True), transport)
    try:
        return finish(provider.open(call, key, time.monotonic() + 10))
    finally:
        transport.close()


def finish(exchange: Exchange) -> tuple[int, bytes]:
    try:
        assert exchange.wait_head(5)
        return exchange.status, exchange.read_all(1_000_000, 5)
    finally:
        exchange.close()


def send(upstream: Upstream, space: str, call: UpstreamCall) -> tuple[int, bytes]:
    return exchanged(upstream, space, call, KEY)


def failure(status: int, body: object = b"", **headers: str) -> TurnpikeError:
    place = OpenAICompatible(
        Origin("https://api.acme.example/v1", allow_private=False), Transport()
    )
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return place.failure(status, {k.replace("_", "-"): v for k, v in headers.items()}, data)


def test_a_call_carries_the_key_the_body_and_what_it_accepts(
    upstream: Upstream, space: str
) -> None:
    call = UpstreamCall(
        api="chat",
        path="/chat/completions",
        body={"model": "m", "messages": [{"role": "user", "content": "hé"}]},
        is_streamed=False,
        headers={"X-Request-Id": "r1", "Authorization": "Bearer of-the-caller", "Cookie": "a=b"},
    )
    status, _ = send(upstream, space, call)
    (seen,) = upstream.requests(space)
    assert status == 200
    assert seen["path"] == f"/{space}/v1/chat/completions"
    assert seen["headers"]["authorization"] == f"Bearer {KEY}"
    assert seen["headers"]["content-type"] == "application/json"
    assert seen["headers"]["accept"] == "application/json"
    assert seen["headers"]["x-request-id"] == "r1"
    assert "cookie" not in seen["headers"]
    assert json.loads(seen["body"]) == call.body


def test_a_form_goes_as_it_is_and_a_get_has_no_body(upstream: Upstream, space: str) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n'
    kind = "multipart/form-data; boundary=b"
    send(
        upstream,
        space,
        UpstreamCall("audio", "/audio/transcriptions", form, is_streamed=False, content_type=kind),
    )
    send(upstream, space, UpstreamCall("models", "/models", {}, is_streamed=False, method="GET"))
    sent, listed = upstream.requests(space)
    assert (sent["body"], sent["headers"]["content-type"]) == (form.decode(), kind)
    assert sent["headers"]["accept"] == "*/*"
    assert (listed["body"], "content-type" in listed["headers"]) == ("", False)


def test_a_local_server_without_a_key_gets_no_authorization(upstream: Upstream, space: str) -> None:
    call = UpstreamCall("models", "/models", {}, is_streamed=True, method="GET")
    exchanged(upstream, space, call, "")
    (seen,) = upstream.requests(space)
    assert "authorization" not in seen["headers"]
    assert seen["headers"]["accept"] == "text/event-stream"


def test_a_redirect_is_not_followed_and_the_key_stays_at_its_host(
    upstream: Upstream, space: str
) -> None:
    elsewhere = f"http://127.0.0.1:{upstream.port}/{space}-elsewhere/v1/chat/completions"
    upstream.script(space, default={"status": 307, "headers": {"location": elsewhere}, "body": ""})
    status, _ = send(
        upstream, space, UpstreamCall("chat", "/chat/completions", {}, is_streamed=False)
    )
    assert status == 307
    assert upstream.requests(f"{space}-elsewhere") == []


@pytest.mark.parametrize("key", ["sk-1\r\nX-Evil: 1", "sk-\u00e9", "sk 1"])
def test_a_key_that_no_header_can_carry_is_never_sent(
    upstream: Upstream, space: str, key: str
) -> None:
    call = UpstreamCall("chat", "/chat/completions", {}, is_streamed=False)
    with pytest.raises(ConnectFailedError) as caught:
        exchanged(upstream, space, call, key)
    assert key not in str(caught.value)
    assert upstream.requests(space) == []


@pytest.mark.parametrize(
    ("status", "kind", "is_retryable"),
    [
        (400, UpstreamRejectedError, False),
        (413, UpstreamRejectedError, False),
        (422, UpstreamRejectedError, False),
        (401, UpstreamBrokenError, True),
        (402, UpstreamBrokenError, True),
        (403, UpstreamBrokenError, True),
        (404, UpstreamBrokenError, True),
        (408, UpstreamTimeoutError, True),
        (429, UpstreamBusyError, True),
        (500, UpstreamBrokenError, True),
        (502, UpstreamBrokenError, True),
        (503, UpstreamBusyError, True),
        (504, UpstreamTimeoutError, True),
        (529, UpstreamBusyError, True),
        (307, UpstreamBrokenError, True),
        (204, UpstreamBrokenError, True),
        (200, UpstreamBrokenError, True),
        (418, UpstreamBrokenError, True),
    ],
)
def test_the_status_decides_what_a_failure_is(
    status: int, kind: type[TurnpikeError], is_retryable: bool
) -> None:
    error = failure(status, b"\xff not json")
    assert type(error) is kind
    assert failures.is_retryable(error) is is_retryable
    assert error.status not in (401, 402, 403, 429)


def test_what_no_other_endpoint_can_help_is_not_retried() -> None:
    assert not failures.is_retryable(ForbiddenError("no"))
    assert not failures.is_retryable(NoEndpointsError("none left"))


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "max_tokens is too large"}},
        {"error": "max_tokens is too large"},
        {"object": "error", "message": "max_tokens is too large", "code": 400},
        [{"error": {"code": 400, "message": "max_tokens is too large"}}],
        {"detail": "max_tokens is too large"},
    ],
)
def test_a_refusal_is_shown_in_the_providers_own_words(body: object) -> None:
    assert failure(400, body).message == "max_tokens is too large"


def test_a_refusal_names_its_parameter() -> None:
    error = failure(422, {"error": {"message": "no", "param": "temperature"}})
    assert error.param == "temperature"


@pytest.mark.parametrize(
    "error",
    [
        {"message": "too long", "code": "context_length_exceeded"},
        {"message": "This model's maximum context length is 65536 tokens.", "code": "invalid"},
    ],
)
def test_a_prompt_that_is_too_long_has_its_own_error(error: dict[str, str]) -> None:
    assert type(failure(400, {"error": error})) is ContextLengthError


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Your credit balance is too low to access the Anthropic API."},
        {"message": "API key not valid. Please pass a valid API key.", "code": 400},
        {"message": "Access denied.", "code": "Arrearage"},
    ],
)
def test_a_400_about_our_account_is_ours_to_hide(error: dict[str, object]) -> None:
    found = failure(400, {"error": error})
    assert type(found) is UpstreamBrokenError
    assert str(error["message"]) not in found.message
    assert str(error["message"]) in str(found.detail)


def test_a_404_is_the_callers_only_when_it_names_another_thing_than_the_model() -> None:
    assert type(failure(404, {"error": {"message": "No such model", "param": "model"}})) is (
        UpstreamBrokenError
    )
    error = failure(404, {"error": {"message": "No such File object", "param": "file_id"}})
    assert type(error) is UpstreamRejectedError


def test_an_error_object_in_a_200_counts_as_the_status_that_it_names() -> None:
    assert type(failure(200, {"error": {"message": "slow down", "code": 429}})) is UpstreamBusyError
    assert type(failure(200, {"error": {"message": "oh", "code": "x"}})) is UpstreamBrokenError


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-Abc123Abc123Abc123",
        "Bearer abcdef",
        "sk-ab***********cdef",
        "AIzaSyA1234567890abcdefg",
        "0123456789abcdef0123456789abcdef",
        "https://api.acme.example/v1/secret-path?key=1",
        "api.acme.example",
    ],
)
def test_what_looks_like_a_key_or_our_address_is_never_shown(secret: str) -> None:
    error = failure(400, {"error": {"message": f"Refused: {secret} is odd", "param": secret}})
    assert secret not in error.message
    assert secret not in str(error.param)
    assert secret not in str(error.detail)
    assert error.message.startswith("Refused: ")
    assert error.message.endswith(" is odd")


def test_a_long_message_is_cut_and_control_characters_are_gone() -> None:
    message = failure(400, {"error": {"message": "a\r\nb\x00c " + "word " * 1000}}).message
    assert message.startswith("a b c word")
    assert len(message) == failures.MESSAGE_CHARS


def test_a_huge_message_of_one_word_is_scrubbed_quickly() -> None:
    begun = time.monotonic()
    failure(400, {"error": {"message": "sk-" * 10_000 + "a1-" * 10_000}})
    assert time.monotonic() - begun < 0.5


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1", 1.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("1000000000", 60.0),
        ("9" * 5000, 60.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("Sat, 21 Nov 2026 12:00:10 GMT", 10.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", None),
        ("Sat, 21 Nov 2026 23:00:00 -0000", 60.0),
        ("Sat, 99 Nov 2026 23:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_capped_and_never_trusted(value: str, seconds: float | None) -> None:
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    clock.set_source(noon.timestamp)
    try:
        assert failure(429, retry_after=value).retry_after_s == seconds
    finally:
        clock.set_source(None)
    assert format_datetime(noon, usegmt=True) == "Sat, 21 Nov 2026 12:00:00 GMT"


def test_a_transport_failure_is_a_timeout_or_a_broken_upstream() -> None:
    assert type(failures.from_transport(DeadlineError("x"))) is UpstreamTimeoutError
    broken = failures.from_transport(ConnectionBrokenError("x"))
    assert type(broken) is UpstreamBrokenError
    assert broken.detail == "ConnectionBrokenError: x"


def test_the_registry_builds_each_kind_and_names_them_for_an_unknown_one() -> None:
    place: dict[str, Any] = {
        "allow_private": False,
        "connect_timeout_s": 5.0,
        "transport": Transport(),
    }
    assert isinstance(build("openai", base_url="https://a.example/v1", **place), OpenAICompatible)
    assert isinstance(build("sandbox", base_url="", **place), Sandbox)
    with pytest.raises(ValueError, match=", ".join(KINDS)):
        build("carrier-pigeon", base_url="", **place)
    with pytest.raises(ValueError, match="https://"):
        build("openai", base_url="ftp://a.example", **place)


def test_the_fake_answers_as_a_provider_does(upstream: Upstream, space: str) -> None:
    upstream.script(space, default=good_answer("hello"))
    call = UpstreamCall("chat", "/chat/completions", {"model": "m"}, is_streamed=False)
    _, body = send(upstream, space, call)
    assert json.loads(body)["choices"][0]["message"]["content"] == "hello"
