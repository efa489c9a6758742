import json
from typing import Any, get_type_hints

import pytest
from openai.types.responses import response_create_params

from errors import InvalidParameterError, InvalidRequestError
from wire.responses_call import ResponsesCall

TURN = {"role": "user", "content": "Hello"}
FUNCTION = {"type": "function", "name": "look", "parameters": {}, "strict": False}


def call(**fields: Any) -> ResponsesCall:
    return ResponsesCall.parse(json.dumps({"model": "m", **fields}).encode())


def parts(*content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(content)}]


def test_every_field_of_the_sdk_passes_untouched() -> None:
    sent = {
        "input": [TURN],
        "access_programs": {"cyber": "standard"},
        "background": False,
        "context_management": [{"type": "compaction", "compact_threshold": 1}],
        "image": {"context_compression": "auto"},
        "include": ["reasoning.encrypted_content"],
        "instructions": "be brief",
        "max_output_tokens": 0,
        "max_tool_calls": 3,
        "metadata": {"a": "b"},
        "moderation": {"model": "omni"},
        "parallel_tool_calls": True,
        "prompt_cache_key": "k",
        "prompt_cache_options": {"mode": "implicit"},
        "prompt_cache_retention": "24h",
        "reasoning": {"effort": "low", "summary": "auto"},
        "safety_identifier": "s",
        "service_tier": "auto",
        "store": True,
        "stream_options": {"include_obfuscation": False},
        "stream": True,
        "temperature": 1,
        "text": {},
        "tool_choice": "auto",
        "tools": [FUNCTION],
        "top_logprobs": 0,
        "top_p": 1,
        "truncation": "auto",
        "user": "u",
        "previous_response_id": "resp_1",
        "conversation": {"id": "conv_1"},
        "prompt": {"id": "pmpt_1"},
    }
    hints = get_type_hints(response_create_params.ResponseCreateParamsBase)
    assert set(hints) - {"model"} <= set(sent)
    read = call(**sent)
    assert read.upstream_body("up", None) == {"model": "up", **sent}
    assert (read.output_limit, read.is_streamed, read.is_stateful) == (0, True, True)
    assert read.needs == {"tools", "stream", "reasoning"}


@pytest.mark.parametrize("given", [{}, {"input": None}, {"input": "hi"}, {"input": []}])
def test_input_may_be_absent_or_a_text_or_items(given: dict[str, Any]) -> None:
    assert call(**given).upstream_body("up", None) == {"model": "up", **given}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": True}, "background"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"base_url": "https://a.example"}, "base_url"),
        ({"input": 1}, "input"),
        ({"input": ["text"]}, "input[0]"),
        ({"input": [{"type": "message"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 1}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "function_call", "call_id": 1}]}, "input[0].call_id"),
        ({"text": "json"}, "text"),
        ({"text": {"format": "json"}}, "text.format"),
        ({"reasoning": {"effort": ["low"]}}, "reasoning.effort"),
        ({"tool_choice": {"type": "allowed_tools", "tools": 1}}, "tool_choice.tools"),
        ({"tools": [{"type": "function", "name": "f", "parameters": 1}]}, "tools[0].parameters"),
        ({"input": [{"type": "reasoning", "summary": 1}]}, "input[0].summary"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": 1}]}]},
            "input[0].content[0].file_id",
        ),
        ({"max_output_tokens": -1}, "max_output_tokens"),
        ({"temperature": True}, "temperature"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "x\r\ny"}]}, "tools[0].type"),
        ({"stream": "yes"}, "stream"),
        ({"models": [1]}, "models[0]"),
        ({"model": ""}, "model"),
    ],
)
def test_what_is_refused_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        call(**fields)
    assert caught.value.param == param


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        ResponsesCall.parse(b"{")


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"prompt": {"id": "p"}},
        {"input": [{"id": "msg_1"}]},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": parts({"type": "input_image", "file_id": "file-1"})},
        {"input": parts({"type": "input_file", "file_id": "file-1"})},
        {
            "input": [
                {
                    "type": "function_call_output",
                    "call_id": "c",
                    "output": [{"type": "input_file", "file_id": "file-1"}],
                }
            ]
        },
    ],
)
def test_what_only_upstream_can_resolve_is_stateful(fields: dict[str, Any]) -> None:
    assert call(**fields).is_stateful


def test_a_reasoning_item_sent_back_is_not() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    assert not call(input=[item, TURN]).is_stateful


def test_only_tools_that_upstream_runs_are_hosted() -> None:
    tools = [
        FUNCTION,
        {"type": "custom", "name": "patch"},
        {"type": "web_search"},
        {"type": "shell"},
        {"type": "local_shell"},
        {"type": "namespace", "name": "n", "tools": []},
        {"type": "mcp", "server_label": "s"},
    ]
    assert call(tools=tools).hosted_tools == {"web_search", "mcp"}
    assert call(tools=[{"type": "shell", "environment": {"type": "local"}}]).hosted_tools == set()
    hosted = {"type": "shell", "environment": {"type": "container_auto"}}
    assert call(tools=[hosted]).hosted_tools == {"shell"}


def test_a_hosted_tool_is_dropped_wherever_it_stands() -> None:
    brought = {"type": "additional_tools", "role": "developer", "tools": [{"type": "web_search"}]}
    read = call(input=[TURN, brought], tools=[{"type": "web_search"}], tool_choice="auto")
    assert read.hosted_tools == {"web_search"}
    body = read.upstream_body("up", None, without_tools={"web_search"})
    assert body == {"model": "up", "input": [TURN, {**brought, "tools": []}]}
    mixed = call(tools=[FUNCTION, {"type": "web_search"}], tool_choice="auto")
    body = mixed.upstream_body("up", None, without_tools={"web_search"})
    assert body["tools"] == [FUNCTION]
    assert body["tool_choice"] == "auto"


@pytest.mark.parametrize(
    ("choice", "forced"),
    [
        ("auto", None),
        ({"type": "web_search"}, "web_search"),
        ({"type": "function", "name": "look"}, None),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]},
            "web_search",
        ),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]}, None),
    ],
)
def test_a_hosted_tool_that_is_insisted_on_is_told(choice: Any, forced: str | None) -> None:
    tools = [FUNCTION, {"type": "web_search"}]
    assert call(tools=tools, tool_choice=choice).forced_tool == forced


@pytest.mark.parametrize(
    ("asked", "bound", "sent"), [(None, 50, 50), (10, 50, 10), (90, 50, 50), (0, 50, 0)]
)
def test_the_bound_only_lowers(asked: int | None, bound: int, sent: int) -> None:
    fields = {} if asked is None else {"max_output_tokens": asked}
    assert call(**fields).upstream_body("up", bound)["max_output_tokens"] == sent


def test_own_fields_stay_here() -> None:
    read = call(
        input="x", budget="save", models=["m", "n"], provider={"order": ["a"]}, session_id="s"
    )
    assert read.upstream_body("up", None) == {"model": "up", "input": "x"}
    assert (read.budget, read.fallback_models, read.session_id) == ("save", ("n",), "s")
    assert read.preferences == {"order": ["a"]}


def test_the_bound_of_the_input_covers_its_bytes() -> None:
    assert call(input="é" * 100).input_bound(1_000, 9_000) >= 200
    items = [TURN, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "x" * 500}]
    assert 500 <= call(input=items).input_bound(1_000, 9_000) < 900
    assert call(input="a b c").input_bound(1_000, 9_000, lambda text: len(text.split())) == 16 + 3


@pytest.mark.parametrize(
    ("fields", "bound"),
    [
        ({"input": parts({"type": "input_image", "image_url": "data:image/png;base64,AA"})}, 1_016),
        ({"input": parts({"type": "input_image", "image_url": "https://a.example/b"})}, 9_000),
        ({"input": parts({"type": "input_file", "file_data": "data:;base64,AA"})}, 9_000),
        ({"previous_response_id": "r"}, 9_000),
        ({"input": [{"type": "compaction", "encrypted_content": "e"}]}, 9_000),
        ({"tools": [{"type": "web_search"}]}, 9_000),
    ],
)
def test_what_is_only_referred_to_fills_the_context(fields: dict[str, Any], bound: int) -> None:
    assert call(**fields).input_bound(1_000, 9_000) == bound
