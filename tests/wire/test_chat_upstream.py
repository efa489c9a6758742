import copy
import json
from typing import Any

import pytest

from wire.chat import ChatCall
from wire.strict_json import encode

HELLO = {"role": "user", "content": "hello"}


def call(**fields: Any) -> ChatCall:
    body = {"model": "alias", "messages": [HELLO], **fields}
    return ChatCall.parse(json.dumps(body).encode())


def test_only_the_model_changes_in_a_plain_call() -> None:
    fields = {"temperature": 0.5, "top_k": 5, "x": [None, 1.0], "n": None}
    sent = call(**fields).upstream_body("gpt-4o", None)
    assert encode(sent) == encode({"model": "gpt-4o", "messages": [HELLO], **fields})


def test_what_is_ours_does_not_go_upstream() -> None:
    sent = call(
        budget="save",
        aicraft_budget="save",
        models=["a"],
        provider={"order": ["x"]},
        route="fallback",
        transforms=["middle-out"],
        plugins=[{"id": "web"}],
        session_id="s",
        usage={"include": True},
        api_base=None,
        base_url=None,
        api_key=None,
        background=False,
    ).upstream_body("m", None)
    assert sent == {"model": "m", "messages": [HELLO]}


def test_a_stream_always_asks_for_usage_and_keeps_its_other_options() -> None:
    options = {"include_usage": False, "include_obfuscation": False}
    sent = call(stream=True, stream_options=options).upstream_body("m", None)
    assert sent["stream_options"] == {"include_usage": True, "include_obfuscation": False}
    sent = call(stream=True, stream_options=None).upstream_body("m", None)
    assert sent["stream_options"] == {"include_usage": True}


def test_options_of_a_stream_that_is_none_are_dropped() -> None:
    assert "stream_options" not in call(stream_options={}).upstream_body("m", None)


@pytest.mark.parametrize(
    ("asked", "bound", "limit_field", "sent"),
    [
        ({}, None, None, {}),
        ({}, 100, None, {"max_tokens": 100}),
        ({}, 100, "max_completion_tokens", {"max_completion_tokens": 100}),
        ({"max_tokens": None}, 100, None, {"max_tokens": 100}),
        ({"max_tokens": 50}, 100, None, {"max_tokens": 50}),
        ({"max_tokens": 500}, 100, None, {"max_tokens": 100}),
        ({"max_tokens": 500}, None, None, {"max_tokens": 500}),
        ({"max_tokens": 0}, 100, None, {"max_tokens": 0}),
        ({"max_completion_tokens": 500}, 100, None, {"max_completion_tokens": 100}),
        (
            {"max_tokens": 500, "max_completion_tokens": 50},
            100,
            None,
            {"max_tokens": 100, "max_completion_tokens": 50},
        ),
        ({"max_tokens": 50}, 100, "max_completion_tokens", {"max_completion_tokens": 50}),
        ({"max_tokens": 50}, None, "max_completion_tokens", {"max_completion_tokens": 50}),
        ({"max_completion_tokens": 500}, 100, "max_tokens", {"max_tokens": 100}),
        ({"max_tokens": 5, "max_completion_tokens": 9}, None, "max_tokens", {"max_tokens": 9}),
    ],
)
def test_the_output_bound_only_lowers_and_speaks_the_endpoints_field(
    asked: dict[str, Any], bound: int | None, limit_field: str | None, sent: dict[str, Any]
) -> None:
    body = call(**asked).upstream_body("m", bound, limit_field=limit_field)
    assert {
        key: body[key] for key in body if key.startswith("max_") and body[key] is not None
    } == sent


def test_a_fail_over_starts_from_what_was_asked() -> None:
    asked = call(stream=True, stream_options={"x": 1}, max_tokens=500, tools=[{"type": "w"}])
    before = copy.deepcopy(asked.body)
    first = asked.upstream_body("a", 10, limit_field="max_completion_tokens", without_tools=["w"])
    second = asked.upstream_body("b", None)
    assert asked.body == before
    assert first["max_completion_tokens"] == 10
    assert (second["model"], second["max_tokens"], second["tools"]) == ("b", 500, [{"type": "w"}])


def test_hosted_tools_can_be_left_out_by_kind() -> None:
    function = {"type": "function", "function": {"name": "f"}}
    asked = call(
        tools=[{"type": "web_search"}, function], tool_choice="auto", web_search_options={}
    )
    sent = asked.upstream_body("m", None, without_tools=asked.hosted_tools)
    assert sent["tools"] == [function]
    assert sent["tool_choice"] == "auto"
    assert "web_search_options" not in sent


def test_without_any_tool_left_there_is_no_choice_of_tools() -> None:
    asked = call(tools=[{"type": "web_search"}], tool_choice="auto", parallel_tool_calls=True)
    sent = asked.upstream_body("m", None, without_tools=["web_search"])
    assert sent == {"model": "m", "messages": [HELLO]}
