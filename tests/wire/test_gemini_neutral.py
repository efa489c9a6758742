import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import InvalidRequestError
from providers.sse import EventSplitter
from wire.chat_usage import BAD, MISSING
from wire.gemini_errors import told_error
from wire.gemini_neutral import GeminiUpstream
from wire.gemini_usage import read_usage
from wire.neutral import (
    Audio,
    Document,
    Dropped,
    Image,
    Message,
    Other,
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
from wire.neutral_answer import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    Failed,
    ReasoningDelta,
    Started,
    TextDelta,
)
from wire.stops import Stop
from wire.usage import Usage

RECORDED = Path(__file__).parent / "recorded" / "gemini"
STREAM = (RECORDED / "stream_tools_2026-11-21.sse").read_bytes()
USAGE = Usage(input_tokens=100, cached_input_tokens=20, output_tokens=30, reasoning_tokens=31)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
HELLO = Message(role="user", content=(Text(text="Hello"),))


def written(model: str = "gemini-3-flash", **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    dropped = Dropped()
    request = Request(**{"model": "m", "items": (HELLO,), **fields})
    return GeminiUpstream().write_request(request, Target(model=model), dropped), dropped.names


def config(model: str = "gemini-3-flash", **fields: Any) -> dict[str, Any]:
    body, _ = written(model, **fields)
    found: dict[str, Any] = body["generationConfig"]
    return found


def events(stream: bytes, cuts: tuple[int, ...] = ()) -> list[Event]:
    splitter, reader = EventSplitter(), GeminiUpstream().new_reader()
    found: list[Event] = []
    for begin, end in zip((0, *cuts), (*cuts, len(stream)), strict=True):
        for event in splitter.feed(stream[begin:end]):
            found += reader.feed(event.data)
    for event in splitter.finish():
        found += reader.feed(event.data)
    return [*found, *reader.end()]


WHOLE = [
    Started(id="Kw0gaY2vBZ"),
    BlockStarted(0, Reasoning(signed_by="gemini")),
    ReasoningDelta(0, "**Looking it up**"),
    BlockStopped(0),
    BlockStarted(1, Text(text="")),
    TextDelta(1, "I'll check… "),
    TextDelta(1, "both cities."),
    BlockStopped(1),
    BlockStarted(2, ToolCall(id="a1b2", name="weather", signature="EqQCCg==", signed_by="gemini")),
    ArgumentsDelta(2, '{"city":"Zürich"}'),
    BlockStopped(2),
    BlockStarted(3, ToolCall(id="c3d4", name="weather")),
    ArgumentsDelta(3, '{"city":"Oslo"}'),
    BlockStopped(3),
]


def test_a_stream_becomes_events_with_usage_in_disjoint_buckets() -> None:
    found = events(STREAM)
    assert found[:-1] == WHOLE
    last = found[-1]
    assert isinstance(last, Ended)
    assert (last.stop, last.reading.usage) == (Stop.TOOLS, USAGE)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=12))
def test_wherever_the_reads_fall_the_events_are_the_same(cuts: list[int]) -> None:
    assert events(STREAM, tuple(sorted(set(cuts))))[:-1] == WHOLE


def test_a_stream_without_a_finish_reason_isnt_whole() -> None:
    cut = STREAM[: STREAM.rindex(b"data:")]
    assert not any(isinstance(event, Ended) for event in events(cut))


def answer(*parts: Any, reason: str | None = "STOP", **fields: Any) -> bytes:
    told = {"candidates": [{"content": {"parts": list(parts)}, "finishReason": reason}], **fields}
    return json.dumps(told).encode()


def test_a_plain_answer_is_put_together() -> None:
    read = GeminiUpstream().read_answer(
        answer(
            {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
            {"text": "See "},
            {"text": "this:"},
            {"inlineData": {"mimeType": "image/png", "data": "AA"}},
            {"functionCall": {"name": "f"}},
            {"executableCode": {"code": "1"}},
            responseId="r",
        )
    )
    assert read.items == (
        Reasoning(text="hm", signature="c2ln", signed_by="gemini"),
        Message(
            role="assistant",
            content=(Text(text="See this:"), Image(media_type="image/png", data="AA")),
        ),
        ToolCall(id="call_r_1", name="f", arguments="{}"),
        Other(dialect="gemini", kind="executableCode", value={"executableCode": {"code": "1"}}),
    )
    assert (read.stop, read.id, read.reading) == (Stop.TOOLS, "r", MISSING)


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("STOP", Stop.END),
        ("MAX_TOKENS", Stop.LENGTH),
        ("SAFETY", Stop.FILTER),
        ("RECITATION", Stop.FILTER),
        ("MODEL_ARMOR", Stop.FILTER),
        ("MALFORMED_FUNCTION_CALL", Stop.ERROR),
        ("SOMETHING_NEW", Stop.ERROR),
    ],
)
def test_each_finish_reason_has_its_stop(reason: str, stop: Stop) -> None:
    assert GeminiUpstream().read_answer(answer({"text": "a"}, reason=reason)).stop is stop


def test_what_broke_off_before_it_said_anything_has_failed() -> None:
    read = GeminiUpstream().read_answer(answer(reason="MALFORMED_FUNCTION_CALL"))
    assert read.error is not None
    assert "MALFORMED_FUNCTION_CALL" in read.error["message"]


def test_a_blocked_prompt_is_an_answer_that_was_held_back() -> None:
    raw = b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}'
    read = GeminiUpstream().read_answer(raw)
    assert (read.stop, read.items, read.error) == (Stop.FILTER, (), None)
    assert read.reading.usage == Usage(input_tokens=4)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"{}", b'{"candidates":1}', b'{"candidates":[{"content":1}]}']
)
def test_what_is_no_answer_is_told(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"answer|chunk"):
        GeminiUpstream().read_answer(raw)


def test_an_error_in_mid_stream_is_told() -> None:
    failed = b'data: {"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}\n\n'
    found = events(STREAM[: STREAM.index(b"data:", 10)] + failed)
    assert isinstance(found[-1], Failed)
    assert found[-1].error["code"] == 503


@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        ({"promptTokenCount": 5}, Usage(input_tokens=5)),
        (
            {
                "promptTokenCount": 9,
                "toolUsePromptTokenCount": 2,
                "candidatesTokenCount": 3,
                "totalTokenCount": 14,
            },
            Usage(input_tokens=11, output_tokens=3),
        ),
        (
            {
                "promptTokenCount": 10,
                "candidatesTokenCount": 8,
                "thoughtsTokenCount": 5,
                "totalTokenCount": 18,
            },
            Usage(input_tokens=10, output_tokens=3, reasoning_tokens=5),
        ),
        (
            {
                "promptTokenCount": 50,
                "cachedContentTokenCount": 20,
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 10}],
                "candidatesTokenCount": 7,
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 6}],
            },
            Usage(
                input_tokens=10,
                audio_input_tokens=20,
                cached_input_tokens=20,
                output_tokens=1,
                image_output_tokens=6,
            ),
        ),
    ],
)
def test_usage_is_read_into_buckets(usage: dict[str, Any], wanted: Usage) -> None:
    assert read_usage(usage).usage == wanted


@pytest.mark.parametrize(
    "usage",
    [
        1,
        {"promptTokenCount": -1},
        {"promptTokenCount": 1, "cachedContentTokenCount": 2},
        {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 9},
    ],
)
def test_usage_that_makes_no_sense_is_flagged(usage: Any) -> None:
    assert read_usage(usage) == BAD


counts = st.integers(0, 10**6)


@given(counts, counts, counts, counts, counts)
def test_no_token_is_counted_twice(p: int, c: int, w: int, t: int, audio: int) -> None:
    obj = {
        "promptTokenCount": p + c,
        "cachedContentTokenCount": c,
        "candidatesTokenCount": w,
        "thoughtsTokenCount": t,
        "totalTokenCount": p + c + w + t,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": audio}],
    }
    usage = read_usage(obj).usage
    assert usage is not None
    assert (usage.all_input_tokens, usage.all_output_tokens) == (p + c, w + t)


def test_a_failure_of_google_is_told_as_one_of_openai() -> None:
    busy = json.loads((RECORDED / "busy_2026-11-21.json").read_bytes())
    told = told_error(busy)
    assert told is not None
    assert (told["code"], told["retry_after_s"]) == (429, 17.0)
    assert told_error([busy]) == told
    assert told_error({"candidates": []}) is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": 400, "status": "INVALID_ARGUMENT", "message": "bad"}, 400),
        (
            {
                "code": 400,
                "status": "INVALID_ARGUMENT",
                "message": "The input token count (9) exceeds the maximum number of tokens (8).",
            },
            "context_length_exceeded",
        ),
        (
            {
                "code": 400,
                "status": "INVALID_ARGUMENT",
                "message": "API key not valid.",
                "details": [{"reason": "API_KEY_INVALID"}],
            },
            401,
        ),
        ({"code": 400, "status": "FAILED_PRECONDITION", "message": "location"}, 403),
        ({"code": 503, "status": "UNAVAILABLE", "message": "overloaded"}, 503),
    ],
)
def test_each_status_means_what_it_says(error: dict[str, Any], code: Any) -> None:
    told = told_error({"error": error})
    assert told is not None
    assert told["code"] == code


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
    assert body == {
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
