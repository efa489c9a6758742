import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion

from errors import InvalidParameterError
from providers.sse import EventSplitter
from wire.chat_stream import DONE, BrokenEventError
from wire.completions import CompletionsCall
from wire.completions_answer import CompletionsAnswer, CompletionsStream
from wire.usage import Usage

USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def call(**fields: Any) -> CompletionsCall:
    return CompletionsCall.parse(json.dumps({"model": "m", **fields}).encode())


def chunk(text: str = "", reason: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"text": text, "index": index, "logprobs": None, "finish_reason": reason}
    head = {"id": "cmpl-1", "object": "text_completion", "created": 9, "model": "up"}
    return json.dumps({**head, "choices": [choice], **more}).encode()


def stream(*, wants_usage: bool = False) -> CompletionsStream:
    return CompletionsStream("gen-1", "m", wants_usage=wants_usage, created=5)


def payload(event: bytes | None) -> dict[str, Any]:
    assert event is not None
    value: dict[str, Any] = json.loads(event.removeprefix(b"data: "))
    return value


def test_all_fields_pass_and_the_default_limit_is_told() -> None:
    sent = {
        "prompt": "Once",
        "best_of": 3,
        "echo": True,
        "frequency_penalty": 0,
        "logit_bias": {"5": 1},
        "logprobs": 2,
        "n": 2,
        "presence_penalty": 0,
        "seed": -(2**63),
        "stop": ["x"],
        "stream": False,
        "suffix": "end",
        "temperature": 1,
        "top_p": 1,
        "user": "u",
    }
    read = call(**sent)
    assert read.upstream_body("up", None) == {"model": "up", **sent, "max_tokens": 16}
    assert (read.choices, read.output_limit, read.needs) == (3, 16, frozenset({"logprobs"}))
    assert (read.path, read.api, read.is_stateful) == ("/completions", "completions", False)


@pytest.mark.parametrize(
    ("prompt", "choices", "tokens"),
    [
        (None, 2, 4),
        ("four", 2, 4 + 4),
        (["a", "bc"], 4, 8 + 3),
        ([1, 2, 3], 2, 4 + 3),
        ([[1, 2], [3]], 4, 8 + 3),
        ([], 2, 4),
    ],
)
def test_a_prompt_is_text_or_tokens_or_many_of_them(prompt: Any, choices: int, tokens: int) -> None:
    read = call(prompt=prompt, n=2)
    assert (read.choices, read.input_bound(0, 0)) == (choices, tokens)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": 1}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"),
        ({"prompt": [[1], ["a"]]}, "prompt[1]"),
        ({"prompt": [True]}, "prompt"),
        ({"n": 3, "best_of": 2}, "best_of"),
        ({"echo": 1}, "echo"),
        ({"suffix": 1}, "suffix"),
        ({"logprobs": True}, "logprobs"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"model": None}, "model"),
        ({"base_url": "x"}, "base_url"),
    ],
)
def test_what_is_refused_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        call(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(("asked", "sent"), [(None, 10), (5, 5), (50, 10), (0, 0)])
def test_the_bound_only_lowers(asked: int | None, sent: int) -> None:
    assert call(prompt="x", max_tokens=asked).upstream_body("up", 10)["max_tokens"] == sent


def test_a_stream_is_asked_for_its_usage() -> None:
    read = call(prompt="x", stream=True, stream_options={"include_obfuscation": False})
    body = read.upstream_body("up", None)
    assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert not read.wants_usage
    assert call(prompt="x", stream=True, stream_options={"include_usage": True}).wants_usage


def test_an_answer_is_handed_on_with_our_id_usage_and_cost() -> None:
    raw = chunk(" upon", "stop", usage={**USAGE, "cost": 9})
    answer = CompletionsAnswer.parse(raw)
    assert (answer.finish_reason, answer.has_output, answer.error) == ("stop", True, None)
    assert answer.reading.usage == Usage(input_tokens=5, output_tokens=3)
    assert answer.delivered_texts() == [" upon"]
    shown = answer.render("gen-1", "m", {"cost": 0.5})
    read = Completion.model_validate_json(shown)
    assert (read.id, read.model, read.choices[0].text) == ("gen-1", "m", " upon")
    assert json.loads(shown)["usage"] == {**USAGE, "cost": 0.5}


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"choices":1}', b'{"choices":[1]}'])
def test_what_is_no_answer_is_told(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"completion|choices"):
        CompletionsAnswer.parse(raw)


def test_a_stream_is_rewritten_and_read_to_its_end() -> None:
    reader = stream(wants_usage=True)
    seen = payload(reader.feed(chunk("Once", usage=None)))
    assert (seen["id"], seen["model"], seen["choices"][0]["text"]) == ("gen-1", "m", "Once")
    Completion.model_construct(**seen)
    assert reader.has_content
    reader.feed(chunk("", "length", index=1))
    reader.feed(chunk("", "stop"))
    assert reader.feed(json.dumps({"choices": [], "usage": USAGE}).encode()) is None
    reader.feed(b"[DONE]")
    assert (reader.is_done, reader.finish_reason, reader.upstream_id) == (True, "stop", "cmpl-1")
    assert reader.delivered_texts() == ["Once"]
    last = reader.last_events({"cost": 1}, None)
    assert last.endswith(DONE)
    told = payload(last.removesuffix(DONE))
    assert (told["object"], told["usage"]) == ("text_completion", {**USAGE, "cost": 1})


def test_a_failure_in_mid_stream_is_told_in_the_dialect() -> None:
    reader = stream()
    reader.feed(chunk("Once"))
    assert reader.feed(b'{"error":{"message":"no"}}') is None
    assert reader.error == {"message": "no"}
    told = payload(reader.error_event({"error": {"message": "ours"}}))
    assert told["error"] == {"message": "ours"}
    assert told["choices"][0]["finish_reason"] == "error"


def test_what_is_no_chunk_breaks_the_stream() -> None:
    with pytest.raises(BrokenEventError):
        stream().feed(b'{"choices":[1]}')


@given(st.lists(st.integers(1, 700), max_size=8))
def test_wherever_the_reads_fall_the_text_is_the_same(cuts: list[int]) -> None:
    raw = b"".join(b"data: " + chunk(text) + b"\n\n" for text in ("Où ", "est", " 🐈"))
    splitter, reader = EventSplitter(), stream()
    places = sorted({cut for cut in cuts if cut < len(raw)})
    for begin, end in zip([0, *places], [*places, len(raw)], strict=True):
        for event in splitter.feed(raw[begin:end]):
            reader.feed(event.data)
    assert reader.delivered_texts() == ["Où est 🐈"]
