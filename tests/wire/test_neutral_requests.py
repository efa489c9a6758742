import json
from pathlib import Path
from typing import Any

import pytest

from errors import InvalidParameterError, UnsupportedByModelError
from wire import anthropic_neutral, chat_neutral
from wire.anthropic_call import MessagesCall
from wire.chat import ChatCall
from wire.translated import TranslatedCall

SAMPLES = Path(__file__).parents[2] / "bench/samples"
OLDER, NEWEST = "claude-sonnet-4-5-20250929", "claude-opus-5"
PIXEL = "iVBORw0KGgo="


def to_messages(
    body: dict[str, Any], model: str = NEWEST, bound: int | None = None, **about: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **body}
    upstream = anthropic_neutral.UPSTREAM
    call = TranslatedCall(ChatCall.from_body(asked), chat_neutral.CLIENT, upstream, **about)
    return call.upstream_body(model, bound), call.dropped


def to_chat(body: dict[str, Any], **about: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    said = [{"role": "user", "content": "hi"}]
    asked = {"model": "m", "max_tokens": 4_000, "messages": said, **body}
    client, upstream = anthropic_neutral.CLIENT, chat_neutral.UPSTREAM
    call = TranslatedCall(MessagesCall.from_body(asked), client, upstream, **about)
    return call.upstream_body("gpt", None), call.dropped


def test_a_conversation_with_tools_and_a_picture_goes_to_messages() -> None:
    asked = json.loads((SAMPLES / "chat_request.json").read_text())
    sent, dropped = to_messages(asked, OLDER)
    roles = [turn["role"] for turn in sent["messages"]]
    assert roles == ["user", "assistant", "user", "assistant", "user", "assistant", "user"]
    assert sent["system"][0]["text"].startswith("You are a travel agent.")
    picture = sent["messages"][2]["content"][1]
    assert picture["source"]["media_type"] == "image/png"
    called = sent["messages"][3]["content"]
    assert [block["type"] for block in called] == ["text", "tool_use", "tool_use"]
    assert called[1]["input"] == {"from": "VIE", "to": "LIS", "day": "2027-03-09", "seats": 2}
    results = sent["messages"][4]["content"]
    assert [block["tool_use_id"] for block in results] == ["call_a1B2c3D4", "call_e5F6g7H8"]
    assert sent["tools"][0]["input_schema"]["required"] == ["city"]
    assert sent["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": False}
    assert (sent["max_tokens"], sent["temperature"]) == (800, 0.3)
    assert (sent["stream"], sent["stop_sequences"]) == (True, ["\n\nUser:"])
    assert sent["metadata"] == {"user_id": "traveler-1842"}
    assert dropped == ("image_url.detail",)


def test_a_conversation_of_messages_goes_to_chat() -> None:
    sent, dropped = to_chat(
        {
            "system": [{"type": "text", "text": "Brief.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": "weather?"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
                        {"type": "text", "text": "Looking."},
                        {"type": "tool_use", "id": "t1", "name": "look", "input": {"a": 1}},
                        {"type": "tool_use", "id": "t2", "name": "see", "input": {}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t1",
                            "content": "no",
                            "is_error": True,
                        },
                        {
                            "type": "tool_result",
                            "tool_use_id": "t2",
                            "content": [
                                {
                                    "type": "image",
                                    "source": {
                                        "type": "base64",
                                        "media_type": "image/png",
                                        "data": PIXEL,
                                    },
                                }
                            ],
                        },
                        {"type": "text", "text": "And?"},
                    ],
                },
            ],
            "tools": [{"name": "look", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
            "stop_sequences": ["END"],
        }
    )
    assert [message["role"] for message in sent["messages"]] == [
        "system", "user", "assistant", "tool", "tool", "user", "user",
    ]  # fmt: skip
    turn = sent["messages"][2]
    assert turn["content"] == "Looking."
    assert [call["function"]["arguments"] for call in turn["tool_calls"]] == ['{"a":1}', "{}"]
    assert sent["messages"][3] == {"role": "tool", "tool_call_id": "t1", "content": "no"}
    shown = sent["messages"][5]["content"][1]["image_url"]["url"]
    assert shown == f"data:image/png;base64,{PIXEL}"
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("required", False)
    assert (sent["stop"], sent["max_tokens"]) == (["END"], 4_000)
    assert set(dropped) == {"cache_control", "tool_result.is_error", "messages.thinking"}


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "a"}}, {"type": "tool", "name": "a"}),
    ],
)
def test_a_choice_of_tool_has_its_word_in_both(choice: Any, written: Any) -> None:
    tools = [{"type": "function", "function": {"name": "a"}}]
    sent, _ = to_messages({"tools": tools, "tool_choice": choice})
    assert sent["tool_choice"] == written
    assert sent["tools"][0]["input_schema"] == {"type": "object", "properties": {}}
    back, _ = to_chat({"tools": sent["tools"], "tool_choice": written})
    assert back["tool_choice"] == choice


def test_a_schema_is_asked_for_and_any_json_cannot_be() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    named = {"name": "n", "schema": schema, "strict": True}
    sent, dropped = to_messages({"response_format": {"type": "json_schema", "json_schema": named}})
    assert sent["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert dropped == ()
    back, _ = to_chat({"output_config": sent["output_config"]})
    assert back["response_format"]["json_schema"]["schema"] == schema
    with pytest.raises(UnsupportedByModelError) as caught:
        to_messages({"response_format": {"type": "json_object"}})
    assert caught.value.param == "response_format"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"], "audio": {}}, "modalities"),
        ({"functions": [{"name": "a"}]}, "functions"),
        (
            {"tools": [{"type": "custom", "custom": {"name": "a"}}]},
            "tools[0]",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}
                        ],
                    }
                ]
            },
            "messages[0].content[0]",
        ),
    ],
)
def test_what_the_answer_would_lack_is_refused(body: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedByModelError) as caught:
        to_messages(body)
    assert caught.value.param == param


def test_what_only_nudges_is_dropped_by_name() -> None:
    sent, dropped = to_messages(
        {"seed": 1, "frequency_penalty": 0.5, "presence_penalty": 0, "store": False,
         "verbosity": "low", "logit_bias": {"1": 2}, "prompt_cache_key": "k", "temperature": 1.2},
    )  # fmt: skip
    assert set(sent) == {"model", "messages", "max_tokens"}
    assert set(dropped) == {
        "seed", "frequency_penalty", "verbosity", "logit_bias", "prompt_cache_key", "temperature",
    }  # fmt: skip


def test_a_temperature_is_never_clamped() -> None:
    assert to_messages({"temperature": 1}, OLDER)[0]["temperature"] == 1
    with pytest.raises(InvalidParameterError) as caught:
        to_messages({"temperature": 1.2}, OLDER)
    assert caught.value.param == "temperature"


def test_effort_and_budget_stand_for_each_other() -> None:
    sent, dropped = to_messages({"reasoning_effort": "high", "max_tokens": 10_000}, NEWEST)
    assert (sent["thinking"], sent["output_config"]) == ({"type": "adaptive"}, {"effort": "high"})
    sent, _ = to_messages({"reasoning_effort": "high", "max_tokens": 10_000}, OLDER)
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 8_000}
    sent, _ = to_messages({"reasoning": {"max_tokens": 2_000}, "max_tokens": 10_000}, OLDER)
    assert sent["thinking"]["budget_tokens"] == 2_000
    sent, dropped = to_messages({"reasoning": {"max_tokens": 2_000}, "max_tokens": 10_000})
    assert (sent["output_config"], dropped) == ({"effort": "low"}, ("reasoning.max_tokens",))
    assert to_messages({"reasoning_effort": "none"})[0]["thinking"] == {"type": "disabled"}
    budget = {"thinking": {"type": "enabled", "budget_tokens": 2_000}}
    sent, dropped = to_chat(budget)
    assert (sent["reasoning_effort"], dropped) == ("medium", ("thinking.budget_tokens",))
    assert "reasoning_effort" not in to_chat(budget, can_reason=False)[0]
    assert to_chat({"output_config": {"effort": "low"}})[0]["reasoning_effort"] == "low"


def test_a_limit_is_always_sent_to_messages() -> None:
    assert to_messages({})[0]["max_tokens"] == 8_192
    assert to_messages({}, max_output_tokens=64_000)[0]["max_tokens"] == 64_000
    assert to_messages({"max_completion_tokens": 7}, bound=5)[0]["max_tokens"] == 5


def test_instructions_within_the_conversation_keep_their_role_where_they_may() -> None:
    said = [
        {"role": "user", "content": "a"},
        {"role": "developer", "content": "b"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"},
    ]
    sent, dropped = to_messages({"messages": said})
    assert [turn["role"] for turn in sent["messages"]] == ["user", "system", "assistant", "user"]
    assert dropped == ()
    sent, dropped = to_messages({"messages": said}, OLDER)
    assert [turn["role"] for turn in sent["messages"]] == ["user", "assistant", "user"]
    assert dropped == ("messages[1].role",)
    sent, dropped = to_messages({"messages": [{"role": "system", "content": "x"}]})
    assert (sent["messages"][0]["role"], dropped) == ("user", ("messages[0].role",))


def test_sealed_thinking_comes_back_to_who_sealed_it() -> None:
    details = [
        {"type": "reasoning.text", "text": "a", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "text": "b", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "signature": "s", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1", "index": 2},
    ]
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]
    turn = {"role": "assistant", "content": None, "reasoning_details": details, "tool_calls": calls}
    said = [
        {"role": "user", "content": "q"},
        turn,
        {"role": "tool", "tool_call_id": "c", "content": "r"},
    ]
    content = to_messages({"messages": said})[0]["messages"][1]["content"]
    assert content == [
        {"type": "thinking", "thinking": "ab", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "tool_use", "id": "c", "name": "f", "input": {}},
    ]


def test_documents_go_both_ways_and_what_cannot_is_named() -> None:
    file = {
        "type": "file",
        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"},
    }
    sent, _ = to_messages({"messages": [{"role": "user", "content": [file]}]})
    document = sent["messages"][0]["content"][0]
    assert document["source"] == {"type": "base64", "media_type": "application/pdf", "data": "AA"}
    back, _ = to_chat({"messages": [{"role": "user", "content": [document]}]})
    assert back["messages"][0]["content"] == [file]
    far = {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}}
    with pytest.raises(UnsupportedByModelError) as caught:
        to_chat({"messages": [{"role": "user", "content": [far]}]})
    assert caught.value.param == "messages[0].content[0]"


def test_a_hosted_tool_is_dropped_unless_it_is_forced() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    sent, dropped = to_chat({"tools": [search]})
    assert "tools" not in sent
    assert dropped == ("tools[0] (web_search_20250305)",)
    with pytest.raises(UnsupportedByModelError):
        to_chat({"tools": [search], "tool_choice": {"type": "tool", "name": "web_search"}})


def test_broken_arguments_are_refused_and_odd_ids_made_to_fit() -> None:
    call = {
        "id": "functions.get:0",
        "type": "function",
        "function": {"name": "f", "arguments": "{"},
    }
    said = [{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [call]}]
    with pytest.raises(InvalidParameterError) as caught:
        to_messages({"messages": said})
    assert caught.value.param == "messages[1].tool_calls[0].function.arguments"
    call["function"] = {"name": "f", "arguments": "{}"}
    said.append({"role": "tool", "tool_call_id": "functions.get:0", "content": "r"})
    turns = to_messages({"messages": said})[0]["messages"]
    used = turns[1]["content"][0]["id"]
    assert used.startswith("functions_get_0_")
    assert turns[2]["content"][0]["tool_use_id"] == used
