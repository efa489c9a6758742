from typing import Any

import pytest

from errors import InvalidRequestError
from wire.gemini_neutral import GeminiUpstream
from wire.neutral import (
    Audio,
    Document,
    Dropped,
    Image,
    Message,
    OutputShape,
    Reasoning,
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

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
HELLO = Message(role="user", content=(Text(text="Hello"),))

TURNS = {
    "systemInstruction": {"parts": [{"text": "Be brief"}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "See"},
                {"inlineData": {"mimeType": "image/png", "data": "AA"}},
                {"fileData": {"mimeType": "image/webp", "fileUri": "https://a.example/b.webp"}},
                {"inlineData": {"mimeType": "application/pdf", "data": "BB"}},
                {"inlineData": {"mimeType": "audio/mp3", "data": "CC"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "t", "thought": True, "thoughtSignature": "c2ln"},
                {
                    "functionCall": {"id": "a", "name": "weather", "args": {"city": "Oslo"}},
                    "thoughtSignature": "skip_thought_signature_validator",
                },
                {
                    "functionCall": {"id": "b", "name": "time", "args": {}},
                    "thoughtSignature": "s",
                },
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "a",
                        "name": "weather",
                        "response": {"output": "4°"},
                    }
                },
                {
                    "functionResponse": {
                        "id": "b",
                        "name": "time",
                        "response": {"error": "no"},
                    }
                },
            ],
        },
        {"role": "model", "parts": [{"text": "Cold."}]},
        {"role": "user", "parts": [{"text": "Now French"}]},
    ],
}


def written(model: str = "gemini-3-flash", **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    dropped = Dropped()
    request = Request(**{"model": "m", "items": (HELLO,), **fields})
    return GeminiUpstream().write_request(request, Target(model=model), dropped), dropped.names


def config(model: str = "gemini-3-flash", **fields: Any) -> dict[str, Any]:
    body, _ = written(model, **fields)
    found: dict[str, Any] = body["generationConfig"]
    return found


def test_a_conversation_is_written_in_turns() -> None:
    call = ToolCall(id="a", name="weather", arguments='{"city":"Oslo"}')
    body, dropped = written(
        system=(Message(role="system", content=(Text(text="Be brief"),)),),
        items=(
            Message(
                role="user",
                content=(
                    Text(text="See"),
                    Image(data="AA", media_type="image/png"),
                    Image(url="https://a.example/b.webp"),
                    Document(data="BB", media_type="application/pdf", name="a.pdf"),
                    Audio(data="CC", format="mp3", media_type="audio/mp3"),
                ),
            ),
            Reasoning(text="t", signature="c2ln", signed_by="gemini"),
            Reasoning(text="foreign", signature="x", signed_by="messages"),
            call,
            ToolCall(id="b", name="time", signature="s", signed_by="gemini"),
            ToolResult(call_id="a", content=(Text(text="4°"),)),
            ToolResult(call_id="b", content=(Text(text="no"),), is_error=True),
            Message(role="assistant", content=(Text(text="Cold."),)),
            Message(role="developer", content=(Text(text="Now French"),), param="messages[7]"),
        ),
    )
    assert body == TURNS
    assert dropped == ("messages[7].role",)


def test_older_models_want_no_seal_and_think_by_budget() -> None:
    body, _ = written("gemini-2.5-pro", items=(HELLO, ToolCall(id="a", name="f")))
    assert "thoughtSignature" not in body["contents"][1]["parts"][0]
    thinking = config("gemini-2.5-flash", thinking=Thinking(effort="low"))["thinkingConfig"]
    assert thinking == {"thinkingBudget": 1_024}


@pytest.mark.parametrize(
    ("thinking", "wanted"),
    [
        (Thinking(effort="high"), {"thinkingLevel": "HIGH"}),
        (Thinking(is_enabled=False), {"thinkingLevel": "MINIMAL"}),
        (
            Thinking(is_enabled=True, budget_tokens=2_000),
            {"thinkingBudget": 2_000, "includeThoughts": True},
        ),
        (Thinking(effort="low", is_shown=True), {"thinkingLevel": "LOW", "includeThoughts": True}),
        (Thinking(effort="low", summary="auto", is_shown=False), {"thinkingLevel": "LOW"}),
    ],
)
def test_thinking_is_told_by_level(thinking: Thinking, wanted: dict[str, Any]) -> None:
    assert config(thinking=thinking)["thinkingConfig"] == wanted


def test_an_effort_that_has_no_level_is_named() -> None:
    assert "effort=max (high)" in written(thinking=Thinking(effort="max"))[1]


def test_settings_have_their_own_names() -> None:
    body, dropped = written(
        sampling=Sampling(
            temperature=0.5,
            top_p=0.9,
            top_k=4,
            presence_penalty=0.1,
            frequency_penalty=0.2,
            seed=2**40,
            logit_bias={"1": 1.0},
        ),
        output_limit=100,
        stop_sequences=("x",),
        output_shape=OutputShape(schema=SCHEMA),
        user="u",
    )
    assert body["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 4,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "maxOutputTokens": 100,
        "stopSequences": ["x"],
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }
    assert dropped == ("seed", "logit_bias", "user")


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="required"), {"mode": "ANY"}),
        (ToolChoice(mode="named", names=("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_a_choice_of_tool_has_its_mode(choice: ToolChoice, wanted: dict[str, Any]) -> None:
    body, _ = written(tools=(Tool(name="f"), Tool(name="g")), tool_choice=choice)
    assert body["toolConfig"] == {"functionCallingConfig": wanted}


def test_a_schema_keeps_what_gemini_knows_and_the_rest_is_named() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "definitions": {"D": {"type": "string", "pattern": "a+"}},
        "properties": {
            "a": {"$ref": "#/definitions/D", "description": "x"},
            "b": {"const": "c", "default": "c"},
            "pattern": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}},
        },
        "additionalProperties": False,
        "bad\r\nname": 1,
    }
    body, dropped = written(tools=(Tool(name="f", parameters=schema),))
    assert body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"] == {
        "type": "object",
        "$defs": {"D": {"type": "string"}},
        "properties": {
            "a": {"$ref": "#/$defs/D"},
            "b": {"enum": ["c"]},
            "pattern": {"type": "array", "items": {"type": "number"}},
        },
        "additionalProperties": False,
    }
    names = ("$schema", "pattern", "description", "default", "exclusiveMinimum", "?")
    assert dropped == tuple(f"tools.parameters.{name}" for name in names)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"output_shape": OutputShape(schema={"allOf": []})}, "output_shape.allOf"),
        (
            {"output_shape": OutputShape(schema={"properties": {"a": {"pattern": "b"}}})},
            "output_shape.properties.a.pattern",
        ),
        ({"choices": 2}, "choices"),
        ({"sampling": Sampling(has_logprobs=True)}, "logprobs"),
        ({"stop_sequences": tuple("abcdef")}, "stop_sequences"),
        ({"modalities": ("audio",)}, "modalities"),
        ({"items": ()}, "messages"),
        ({"items": (ToolResult(call_id="x", param="p"),)}, "p"),
        ({"items": (ToolCall(id="a", name="f", arguments="[1]", param="p"),)}, "p"),
        ({"tools": (Tool(name="f", is_custom=True, param="p"),)}, "p"),
        (
            {"items": (Message(role="user", content=(Image(file_id="file-1", param="p"),)),)},
            "p",
        ),
    ],
)
def test_what_cant_be_carried_over_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        written(**fields)
    assert caught.value.param == param


def test_the_path_names_the_model_and_whether_it_streams() -> None:
    upstream, target = GeminiUpstream(), Target(model="models/gemini-3 flash/x")
    assert (
        upstream.path(target, is_streamed=False) == "/models/gemini-3%20flash%2Fx:generateContent"
    )
    assert upstream.path(target, is_streamed=True).endswith(":streamGenerateContent?alt=sse")
