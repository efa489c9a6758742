import json
from typing import Any

import pytest

from errors import InvalidParameterError
from wire.anthropic_call import MessagesCall, count_tokens


def body(**fields: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": "hi"}]
    return {"model": "anthropic/claude", "max_tokens": 100, "messages": said, **fields}


def parse(**fields: Any) -> MessagesCall:
    return MessagesCall.parse(json.dumps(body(**fields)).encode())


def refused(**fields: Any) -> str | None:
    with pytest.raises(InvalidParameterError) as caught:
        parse(**fields)
    return caught.value.param


def test_what_a_coding_agent_sends_passes() -> None:
    call = parse(
        stream=True,
        system=[{"type": "text", "text": "Be brief", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": None}]},
            {"role": "system", "content": "From now on, German."},
            {"role": "assistant"},
            {"role": "user", "content": [{"type": "novelty", "x": 1}]},
        ],
        tools=[{"name": "a"}, {"type": "bash_20250124", "name": "bash"}],
        thinking={"type": "adaptive", "display": "summarized"},
        output_config={"effort": "high"},
        metadata={"user_id": "user_1"},
        context_management={"edits": []},
        betas=["x"],
    )
    assert (call.is_streamed, call.output_limit, call.user) == (True, 100, "user_1")
    assert call.needs == {"tools", "stream"}
    assert call.hosted_tools == frozenset()
    assert call.forced_tool is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"temperature": 1.5}, "temperature"),
        ({"tools": [{"description": "x"}]}, "tools[0].name"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"speed": "fast"}, "speed"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"base_url": "http://x"}, "base_url"),
        ({"fallbacks": [{"model": "a", "max_tokens": 1}]}, "fallbacks[0]"),
    ],
)
def test_what_the_official_api_refuses_or_nobody_prices_is_refused(
    fields: dict[str, Any], param: str
) -> None:
    assert refused(**fields) == param


def test_a_source_without_its_field_is_named() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png"}}
    messages = [{"role": "user", "content": [image]}]
    assert refused(messages=messages) == "messages[0].content[0].source.data"


def test_the_body_goes_upstream_untouched_but_for_model_and_limit() -> None:
    call = parse(top_k=5, anything={"a": 1}, session_id="s", fallbacks=[{"model": "b"}])
    assert call.fallback_models == ("b",)
    sent = call.upstream_body("claude-x", 50, limit_field="max_completion_tokens")
    assert sent == {**body(top_k=5, anything={"a": 1}), "model": "claude-x", "max_tokens": 50}
    assert call.upstream_body("claude-x", None)["max_tokens"] == 100
    assert call.upstream_body("claude-x", 500)["max_tokens"] == 100


def test_a_hosted_tool_is_known_and_can_be_left_out() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    call = parse(tools=[search, {"name": "mine"}], mcp_servers=[{"url": "x"}])
    assert call.hosted_tools == {"web_search_20250305", "mcp_servers"}
    sent = call.upstream_body("m", None, without_tools=call.hosted_tools)
    assert sent["tools"] == [{"name": "mine"}]
    assert "mcp_servers" not in sent
    forced = parse(tools=[search], tool_choice={"type": "tool", "name": "web_search"})
    assert forced.forced_tool == "web_search_20250305"
    assert "tool_choice" not in forced.upstream_body(
        "m", None, without_tools={"web_search_20250305"}
    )


def test_the_bound_holds_bytes_images_and_what_is_open() -> None:
    plain = parse().input_bound(1_000, 128_000)
    assert plain == 16 + 2
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A"}}
    pdf = {"type": "document", "source": {"type": "base64", "data": "A" * 400}}
    with_image = parse(messages=[{"role": "user", "content": [image]}])
    assert with_image.input_bound(1_000, 128_000) == 1_016
    assert parse(messages=[{"role": "user", "content": [pdf]}]).input_bound(1, 9_999) == 9_999
    assert parse(tools=[{"name": "a"}]).input_bound(1, 9_999) > 1_000
    assert parse().input_bound(1, 9, lambda text: len(text.split())) == 17


def test_tokens_are_counted_without_a_limit_of_output() -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": "one two three"}]}
    raw = json.dumps(asked).encode()
    assert count_tokens(raw, lambda text: len(text.split())) == {"input_tokens": 7}
    with pytest.raises(InvalidParameterError):
        count_tokens(b'{"model":"m"}', len)
