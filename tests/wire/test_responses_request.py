from typing import Any

import pytest

from errors import InvalidRequestError
from wire.neutral import (
    Dropped,
    Image,
    Message,
    Other,
    OutputShape,
    Reasoning,
    Refusal,
    Request,
    Sampling,
    Target,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from wire.responses_neutral import ResponsesClient, ResponsesUpstream

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}

ITEMS = (
    Reasoning(summary=("s",), encrypted="e", signed_by="responses", id="rs_1"),
    Message(role="assistant", content=(Text(text="Hi"), Refusal(text="no"))),
    ToolCall(id="c", name="f", arguments='{"a":1}'),
    ToolCall(id="d", name="p", arguments="x", is_custom=True),
)

WRITTEN = [
    {
        "type": "message",
        "role": "system",
        "content": [{"type": "input_text", "text": "Be brief"}],
    },
    {
        "type": "message",
        "role": "user",
        "content": [
            {"type": "input_text", "text": "See"},
            {
                "type": "input_image",
                "detail": "low",
                "image_url": "data:image/png;base64,AA",
            },
        ],
    },
    {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "s"}],
        "encrypted_content": "e",
        "id": "rs_1",
    },
    {
        "type": "message",
        "role": "assistant",
        "content": [
            {"type": "output_text", "text": "Hi"},
            {"type": "refusal", "refusal": "no"},
        ],
    },
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'},
    {"type": "custom_tool_call", "call_id": "d", "name": "p", "input": "x"},
    {"type": "function_call_output", "call_id": "c", "output": "12"},
    {"type": "custom_tool_call_output", "call_id": "d", "output": "ok"},
]


def written(request: Request, **target: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    dropped = Dropped()
    body = ResponsesUpstream().write_request(request, Target(model="up", **target), dropped)
    return body, dropped.names


def test_a_request_is_written_whole() -> None:
    request = Request(
        model="m",
        system=(Message(role="system", content=(Text(text="Be brief"),)),),
        items=(
            Message(
                role="user",
                content=(Text(text="See"), Image(data="AA", media_type="image/png", detail="low")),
            ),
            *ITEMS,
            ToolResult(call_id="c", content=(Text(text="1"), Text(text="2"))),
            ToolResult(call_id="d", content=(Text(text="ok"),), is_error=True),
        ),
        tools=(
            Tool(name="f", parameters=SCHEMA),
            Tool(name="p", is_custom=True),
            Other(dialect="messages", kind="web_search_1", value={}, param="tools[2]"),
        ),
        tool_choice=ToolChoice(mode="required", names=("f", "p")),
        may_call_in_parallel=False,
        output_shape=OutputShape(schema=SCHEMA, name="a", is_strict=True),
        output_limit=100,
        sampling=Sampling(temperature=0.5, top_p=0.9, seed=1),
        thinking=Thinking(effort="high", summary="auto"),
        verbosity="low",
        is_streamed=True,
    )
    body, dropped = written(request, output_bound=50)
    assert body["input"] == WRITTEN
    assert body["tools"] == [
        {"type": "function", "name": "f", "parameters": SCHEMA, "strict": False},
        {"type": "custom", "name": "p"},
    ]
    assert body["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "p"}],
    }
    form = {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True}
    assert body["text"] == {"format": form, "verbosity": "low"}
    assert (body["max_output_tokens"], body["store"], body["stream"]) == (50, False, True)
    assert body["reasoning"] == {"effort": "high", "summary": "auto"}
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["parallel_tool_calls"] is False
    assert dropped == ("is_error", "tools[2] (web_search_1)", "seed")


def test_what_was_written_reads_the_same() -> None:
    request = Request(
        model="up",
        items=(Message(role="user", content=(Text(text="a"),), param="input[0]"),),
        tools=(Tool(name="f", parameters=SCHEMA, is_strict=False, param="tools[0]"),),
        tool_choice=ToolChoice(mode="named", names=("f",)),
        output_limit=9,
    )
    body, _ = written(request)
    again = ResponsesClient().read_request(body)
    for field in ("items", "tools", "tool_choice", "output_limit", "sampling", "system"):
        assert getattr(again, field) == getattr(request, field)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stop_sequences": ("x",)}, "stop_sequences"),
        ({"choices": 2}, "choices"),
        ({"sampling": Sampling(has_logprobs=True)}, "logprobs"),
        ({"modalities": ("audio",)}, "modalities"),
        (
            {"items": (Message(role="user", content=(Image(file_id="f", param="p"),)),)},
            "p",
        ),
    ],
)
def test_what_cant_be_carried_over_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        written(Request(**{"model": "m", "items": (), **fields}))
    assert caught.value.param == param


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt"])
def test_what_is_kept_upstream_is_refused_elsewhere(field: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        ResponsesClient().read_request({"model": "m", field: "x"})
    assert caught.value.param == field
