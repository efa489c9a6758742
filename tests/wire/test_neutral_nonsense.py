import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from errors import TurnpikeError
from wire import anthropic_neutral, chat_neutral
from wire.anthropic_call import MessagesCall
from wire.chat import ChatCall
from wire.neutral import Dropped
from wire.translated import TranslatedCall

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "recorded/anthropic_messages.json").read_text())
CHAT = json.loads((HERE.parents[1] / "bench/samples/chat_request.json").read_text())
MESSAGES = {
    "model": "m",
    "max_tokens": 3_000,
    "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": RECORDED["answers"]["tools"]["content"]},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "text", "text": "x"}],
                },
                {"type": "document", "source": {"type": "text", "data": "x"}, "title": "T"},
                {"type": "image", "source": {"type": "url", "url": "http://x"}},
            ],
        },
    ],
    "system": [{"type": "text", "text": "x"}],
    "tools": [{"name": "f", "input_schema": {}, "description": "d"}],
    "tool_choice": {"type": "tool", "name": "f"},
    "thinking": {"type": "enabled", "budget_tokens": 2_000},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "metadata": {"user_id": "u"},
}
COMPLETION = {
    "id": "x",
    "choices": [
        {
            "message": {
                "content": "x",
                "reasoning_details": [{"type": "reasoning.text", "text": "x"}],
                "images": [{"image_url": {"url": "x"}}],
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
            },
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}
CHUNKS = [
    {"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    for delta in (
        {"reasoning_content": "a"},
        {"content": "x"},
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]},
    )
]
PAIRS: dict[str, tuple[Any, Any, Any, Any]] = {
    "chat": (ChatCall, CHAT, chat_neutral.CLIENT, anthropic_neutral.UPSTREAM),
    "messages": (MessagesCall, MESSAGES, anthropic_neutral.CLIENT, chat_neutral.UPSTREAM),
}
ANSWERS: dict[str, tuple[Any, Any]] = {
    "chat": (RECORDED["answers"]["tools"], RECORDED["streams"]["tools"]),
    "messages": (COMPLETION, CHUNKS),
}
ODD: list[Any] = [
    None,
    5,
    -1,
    "x",
    "",
    [],
    {},
    [5],
    ["x"],
    [{}],
    {"type": "x"},
    {"type": 5},
    True,
    1.5,
]
BOUNDS = {"bound_input": 10**9, "bound_output": 10**9}


def paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*here, key))


def spoiled(value: Any, chance: random.Random) -> Any:
    value = copy.deepcopy(value)
    *way, last = chance.choice(list(paths(value))[1:])
    inner = value
    for key in way:
        inner = inner[key]
    inner[last] = copy.deepcopy(chance.choice(ODD))
    return value


@pytest.mark.parametrize("client", PAIRS)
def test_an_odd_request_is_translated_or_refused_but_never_a_defect(client: str) -> None:
    kind, body, reads, writes = PAIRS[client]
    chance = random.Random(7)  # noqa: S311 - nothing secret
    for _ in range(800):
        try:
            call = TranslatedCall(kind.from_body(spoiled(body, chance)), reads, writes)
            call.upstream_body(chance.choice(["claude-opus-5", "claude-opus-4-5"]), None)
        except TurnpikeError:
            continue


@pytest.mark.parametrize("client", PAIRS)
def test_an_odd_answer_is_read_or_senseless_but_never_a_defect(client: str) -> None:
    kind, body, reads, writes = PAIRS[client]
    answer, events = ANSWERS[client]
    call = TranslatedCall(kind.from_body(body), reads, writes)
    chance = random.Random(7)  # noqa: S311 - nothing secret
    for _ in range(400):
        stream = call.new_stream("gen-1", "m", created=1, **BOUNDS)
        try:
            call.parse_answer(json.dumps(spoiled(answer, chance)).encode(), **BOUNDS).render(
                "gen-1", "m", {}
            )
            for event in spoiled(events, chance):
                stream.feed(json.dumps(event).encode())
            stream.end()
            stream.last_events({}, None)
        except ValueError:
            continue


def test_what_is_dropped_can_stand_in_a_header() -> None:
    dropped = Dropped()
    for name in ("a\r\nX-Evil: 1", "é,b", "", "x" * 500, "a\r\nX-Evil: 1"):
        dropped.note(name)
    assert dropped.names == ("a??X-Evil: 1", "??b", "x" * 100)
    for number in range(1_000):
        dropped.note(str(number))
    assert len(dropped.names) == 40
