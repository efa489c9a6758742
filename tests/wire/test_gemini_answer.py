import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.sse import EventSplitter
from wire.chat_usage import BAD, MISSING
from wire.gemini_errors import told_error
from wire.gemini_neutral import GeminiUpstream
from wire.gemini_usage import read_usage
from wire.neutral import (
    Image,
    Message,
    Other,
    Reasoning,
    Text,
    ToolCall,
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
