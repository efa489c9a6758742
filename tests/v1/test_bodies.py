"""What a body may do to the gateway: nothing but be refused, in time and in little memory."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.live import Actor
from tests.v1.raw import Told, exchange, forget_peak, head, memory_mb, worker_pid
from tests.v1.remedies import has_remedy

pytestmark = [pytest.mark.live]

CHAT = "/v1/chat/completions"
LIMIT = 10 * 1024 * 1024
MESSAGES = '"messages":[{"role":"user","content":"hi"}]'


def send(actor: Actor, body: str | bytes) -> tuple[int, dict[str, Any]]:
    """Post a body as it is."""
    payload = body.encode() if isinstance(body, str) else body
    status, _, raw = actor.server.request("POST", CHAT, payload, actor.headers)
    told: dict[str, Any] = json.loads(raw)
    return status, told


def refused(actor: Actor, body: str | bytes) -> dict[str, Any]:
    """The error of a body that is a 400 and has reached nobody."""
    status, told = send(actor, body)
    assert status == 400, told
    assert has_remedy(told["error"]["message"]), told
    assert actor.asked() == []
    error: dict[str, Any] = told["error"]
    return error


def test_a_body_of_exactly_the_limit_is_read(alice: Actor) -> None:
    body = f'{{"model":"{alice.model}",{MESSAGES}}}'
    assert send(alice, body.ljust(LIMIT))[0] == 200


def test_a_told_length_beyond_the_limit_is_refused_before_the_body_comes(alice: Actor) -> None:
    pid = worker_pid(alice.server)
    forget_peak(pid)
    before_mb = memory_mb(pid)
    text = head(alice, "Content-Length: 1000000000") + "\r\n"
    told = Told(exchange(alice.server, [text.encode()]))
    assert (told.status, told.error["code"]) == (413, "payload_too_large")
    assert told.headers["connection"] == "close"
    assert memory_mb(pid, "VmHWM") - before_mb < 2
    assert alice.asked() == []


def test_a_chunked_body_beyond_the_limit_is_cut_in_bounded_memory(alice: Actor) -> None:
    def endless() -> Iterator[bytes]:
        yield (head(alice, "Transfer-Encoding: chunked") + "\r\n").encode()
        piece = b"%x\r\n%b\r\n" % (65536, b"a" * 65536)
        for _ in range(640):
            yield piece

    pid = worker_pid(alice.server)
    forget_peak(pid)
    before_mb = memory_mb(pid)
    told = Told(exchange(alice.server, endless()))
    assert (told.status, told.error["code"]) == (413, "payload_too_large")
    assert told.headers["connection"] == "close"
    assert memory_mb(pid, "VmHWM") - before_mb < 2 * LIMIT / 2**20
    assert alice.asked() == []


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
@pytest.mark.parametrize("levels", [101, 1_000, 100_000])
def test_a_depth_bomb_is_refused(alice: Actor, bracket: str, levels: int) -> None:
    close = "]" if bracket == "[" else "}"
    deep = bracket * levels + "1" + close * levels
    assert "deep" in refused(alice, f'{{"model":"{alice.model}",{MESSAGES},"x":{deep}}}')["message"]
    refused(alice, bracket * levels)


def test_millions_of_tiny_containers_are_refused(alice: Actor) -> None:
    refused(alice, f'{{"model":"{alice.model}",{MESSAGES},"x":[{"[]," * 600_000}1]}}')


@pytest.mark.parametrize(
    "number",
    ["9" * 5000, "-" + "9" * 5000, "18446744073709551616", "1e400", "-1e400", "1" + "0" * 400],
)
def test_a_number_that_readers_would_read_differently_is_refused(alice: Actor, number: str) -> None:
    for field in ("seed", "max_tokens", "temperature", "anything"):
        error = refused(alice, f'{{"model":"{alice.model}",{MESSAGES},"{field}":{number}}}')
        assert error["param"] == field


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x10", "1_000", "True", "'a'", "1e"],
)
def test_what_isnt_json_is_refused(alice: Actor, value: str) -> None:
    refused(alice, f'{{"model":"{alice.model}",{MESSAGES},"x":{value}}}')


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"\xff\xfe"}',
        b'{"model":"a","messages":[{"role":"user","content":"\xed\xa0\x80"}]}',
        b'{"model":"a","messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"model":"a","messages":[{"role":"user","content":"\\udc00\\ud800"}]}',
        b'\xef\xbb\xbf{"model":"a"}',
        '{"model":"a"}'.encode("utf-16"),
        '{"model":"a"}'.encode("utf-16-le"),
        '{"model":"a"}'.encode("utf-32"),
        b'{"model":"a\x00b"}',
        b'{"model":"a"}\x00',
        b"\x00",
        b'{"model":"a"}{"model":"b"}',
        b'{"model":"a",}',
        b"null",
        b'"model"',
        b"[]",
        b"",
        b"   ",
        b"model=a",
    ],
)
def test_what_isnt_one_object_in_clean_utf8_is_refused(alice: Actor, body: bytes) -> None:
    refused(alice, body)


def test_of_a_duplicate_key_the_last_one_is_priced_and_sent(alice: Actor) -> None:
    body = (
        f'{{"model":"no/such","max_tokens":9999,"model":"{alice.model}","max_tokens":3,'
        '"messages":[],"messages":[{"role":"user","content":"first","content":"last one"}]}'
    )
    status, told = send(alice, body)
    assert (status, told["model"]) == (200, alice.model)
    sent = alice.asked()[0]["body"]
    assert sent.count('"max_tokens"') == sent.count('"model"') == sent.count('"messages"') == 1
    assert json.loads(sent)["max_tokens"] == 3
    assert json.loads(sent)["messages"] == [{"role": "user", "content": "last one"}]
    row = alice.generation(told["id"])
    assert row["hold_nusd"] < 9999 * 20_000
    assert row["tokens_prompt"] == 2


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("max_tokens", [-1, 1.5, "5", True, 10**9, 2**63, [], {}]),
        ("max_completion_tokens", [-1, 1.5, "5", False, 10**9]),
        ("n", [0, -1, 10**9, 1.0, "1", True]),
        ("temperature", [-0.1, 1e9, "1", True, []]),
        ("top_p", [-1, 1.1, "x"]),
        ("presence_penalty", [-3, 3]),
        ("frequency_penalty", [-3, 3]),
        ("top_logprobs", [-1, 10**6]),
        ("logprobs", ["yes", 1]),
        ("stream", ["true", 1, 0]),
        ("stream_options", [[], "x", {"include_usage": "yes"}]),
        ("stop", [5, ["a"] * 100, [1]]),
        ("logit_bias", [[], {"1": "x"}]),
        ("seed", [1.5, "x"]),
        ("tools", [{}, [1], [{"type": "function", "function": {"name": ""}}], [{"type": "a\nb"}]]),
        ("tool_choice", [5]),
        ("response_format", ["json", []]),
        ("messages", [[], {}, "hi", [5], [{}], [{"role": "king", "content": "x"}]]),
        ("model", ["", 5, [], {}, "x" * 10_240, "a\r\nX-Forged: 1", "a\u2028b", "\u0000"]),
        ("models", ["x", [5], ["a\nb"]]),
        ("service_tier", ["flex", "priority", 5]),
        ("background", [True, 1]),
        ("session_id", [5, "a\nb", "x" * 300]),
        ("budget", ["all", 5]),
        ("api_base", ["http://169.254.169.254/", ""]),
        ("base_url", ["http://10.0.0.1/v1"]),
        ("api_key", ["sk-mine"]),
    ],
)
def test_an_absurd_parameter_is_refused_by_its_name(
    alice: Actor, field: str, values: list[Any]
) -> None:
    for value in values:
        body = {"model": alice.model, "messages": [{"role": "user", "content": "hi"}], field: value}
        error = refused(alice, json.dumps(body))
        assert (error["param"] or "").startswith(field), (field, value)
    assert alice.credits()["remaining_nusd"] == 5_000_000_000


@pytest.mark.parametrize("kind", ["a\r\nX-Forged: 1", "b\u00e9", "x" * 65, " ", "a b"])
def test_the_type_of_a_tool_cant_forge_a_header(alice: Actor, kind: str) -> None:
    body = {"model": alice.model, "messages": [{"role": "user", "content": "hi"}]}
    error = refused(alice, json.dumps({**body, "tools": [{"type": kind}]}))
    assert error["param"] == "tools[0].type"
    many = [{"type": f"tool_{number}"} for number in range(40)]
    assert refused(alice, json.dumps({**body, "tools": many}))["param"] == "tools"


@pytest.mark.parametrize("fields", [
    {"tools": [{"type": []}, {"type": "web_search"}]},
    {"tools": [{"type": {}}], "tool_choice": {"type": [], "function": {"name": "a"}}},
    {"tool_choice": {"type": {}, "function": {"name": "a"}}},
    {"response_format": {"type": []}},
    {"reasoning": {"effort": []}},
    {"modalities": [[], {}]},
])  # fmt: skip
def test_oddly_typed_parts_go_to_the_provider_or_are_refused(
    alice: Actor, fields: dict[str, Any]
) -> None:
    assert alice.chat("hi", **fields)[0] in (200, 400)


def test_hosted_tools_that_are_left_out_are_named(alice: Actor) -> None:
    tools = [{"type": "web_search"}, {"type": "code_interpreter"}]
    status, headers, _ = alice.chat("hi", tools=tools)
    assert status == 200
    assert headers["x-turnpike-dropped"] == "code_interpreter, web_search"
    assert "tools" not in json.loads(alice.asked()[0]["body"])


def test_headers_dont_steer_where_a_call_goes(alice: Actor) -> None:
    steering = {
        "X-Api-Base": "http://127.0.0.1:9/v1",
        "X-Base-Url": "http://127.0.0.1:9/v1",
        "X-OpenAI-Host": "127.0.0.1:9",
        "X-Forwarded-Host": "127.0.0.1:9",
        "X-Original-URL": "/admin",
        "X-Rewrite-URL": "/admin",
        "X-HTTP-Method-Override": "DELETE",
        "X-Api-Key": "sk-mine",
        "Cookie": "session=canary-cookie",
        "X-Forwarded-For": "10.9.8.7",
        "OpenAI-Organization": "org-canary",
    }
    body = {"model": alice.model, "messages": [{"role": "user", "content": "hi"}]}
    assert alice.post(CHAT, body, **steering)[0] == 200
    (asked,) = alice.asked()
    told = json.dumps(asked)
    for canary in (alice.key, "sk-mine", "canary-cookie", "10.9.8.7", "org-canary", "127.0.0.1:9/"):
        assert canary not in told
    assert asked["headers"]["authorization"] == f"Bearer sk-upstream-{alice.space[1:]}-canary"


def test_nothing_of_the_providers_headers_comes_back(alice: Actor) -> None:
    alice.provider_will(
        headers={
            "set-cookie": "up=1",
            "x-request-id": "up-id",
            "openai-organization": "org-up",
            "authorization": "Bearer up",
            "x-turnpike-cost-usd": "0",
            "server": "upstream/1",
        }
    )
    _, headers, told = alice.chat("hi")
    text = json.dumps([headers, told])
    for theirs in ("up=1", "up-id", "org-up", "Bearer up", "upstream/1"):
        assert theirs not in text
    assert headers["x-turnpike-cost-usd"] != "0"


def test_many_messages_are_read_quickly_and_too_many_are_refused(
    new_actor: Callable[..., Actor],
) -> None:
    rich = new_actor(balance_nusd=500_000_000_000)
    message = {"role": "user", "content": "x"}
    body = {"model": rich.model, "messages": [message] * 20_000, "max_tokens": 5}
    assert rich.post(CHAT, body)[0] == 200
    body["messages"] = [message] * 100_001
    assert rich.post(CHAT, body)[0] == 400


def test_unknown_models_forge_nothing_whatever_they_are_called(alice: Actor) -> None:
    names = [
        "../../etc/passwd",
        "%0d%0aX-Forged: 1",
        "a" * 256,
        "gpt-4\u043e",
        "\u202egnp",
        "<img src=x onerror=alert(1)>",
        "{{7*7}}",
        "'; DROP TABLE keys;--",
        "\U0001f600",
        sys.executable,
    ]
    for name in names:
        status, headers, told = alice.post(
            CHAT, {"model": name, "messages": [{"role": "user", "content": "x"}]}
        )
        assert status in (400, 404), name
        assert "x-forged" not in headers
        assert told["error"]["param"] == "model"
        assert headers["content-type"] == "application/json"
    assert alice.asked() == []
