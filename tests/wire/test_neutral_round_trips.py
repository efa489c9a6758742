import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wire import anthropic_neutral, chat_neutral
from wire.anthropic_call import MessagesCall
from wire.chat import ChatCall
from wire.neutral import Dropped, Target

OLDER = "claude-sonnet-4-5-20250929"
PIXEL = "iVBORw0KGgo="

words = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8
)
text = st.builds(lambda said: {"type": "text", "text": said}, words)
image = st.just(
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
)
thought = st.builds(lambda t, s: {"type": "thinking", "thinking": t, "signature": s}, words, words)
hidden = st.builds(lambda data: {"type": "redacted_thinking", "data": data}, words)
used = st.builds(
    lambda number, value: {
        "type": "tool_use", "id": f"toolu_{number}", "name": "f", "input": {"x": value},
    },
    st.integers(0, 99),
    words,
)  # fmt: skip
result = st.builds(
    lambda number, said, failed: {
        "type": "tool_result", "tool_use_id": f"toolu_{number}", "content": said,
        **({"is_error": True} if failed else {}),
    },
    st.integers(0, 99), st.lists(text | image, min_size=1, max_size=2), st.booleans(),
)  # fmt: skip
turns = st.lists(
    st.builds(
        lambda answered, results, said: [
            {"role": "assistant", "content": answered},
            {"role": "user", "content": results + said},
        ],
        st.lists(text | thought | hidden | used, min_size=1, max_size=4),
        st.lists(result, max_size=2),
        st.lists(text | image, min_size=1, max_size=2),
    ),
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(text, max_size=2),
    turns,
    st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.sampled_from([0, 0.5, 1]),
            "top_k": st.integers(0, 50),
            "stop_sequences": st.lists(words, min_size=1, max_size=3),
            "thinking": st.sampled_from(
                [{"type": "adaptive"}, {"type": "enabled", "budget_tokens": 2_000}]
            ),
            "tool_choice": st.sampled_from(
                [{"type": "auto", "disable_parallel_tool_use": True}, {"type": "tool", "name": "f"}]
            ),
            "context_management": st.just({"edits": []}),
            "stream": st.just(True),
            "cache_control": st.just({"type": "ephemeral", "ttl": "1h"}),
        },
    ),
)
def test_messages_to_neutral_and_back_keeps_all_that_messages_can_say(
    system: list[Any], later: list[list[Any]], options: dict[str, Any]
) -> None:
    first = {"role": "user", "content": [{"type": "text", "text": "q"}]}
    body = {
        "model": OLDER,
        "max_tokens": 4_000,
        "messages": [first, *(turn for pair in later for turn in pair)],
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "input_examples": [{}]}],
        **({"system": system} if system else {}),
        **options,
    }
    MessagesCall.from_body(body)
    request = anthropic_neutral.CLIENT.read_request(body)
    dropped = Dropped()
    target = Target(model=OLDER)
    assert anthropic_neutral.UPSTREAM.write_request(request, target, dropped) == body
    assert dropped.names == ()


chat_text = st.builds(lambda said: {"type": "text", "text": said}, words)
chat_image = st.just({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}})
chat_turns = st.lists(
    st.one_of(
        st.builds(lambda said: [{"role": "user", "content": said}], words),
        st.builds(
            lambda parts: [{"role": "user", "content": [*parts, {"type": "text", "text": "."}]}],
            st.lists(chat_text | chat_image, min_size=1, max_size=2),
        ),
        st.builds(
            lambda said, number, value: [
                {
                    "role": "assistant",
                    "content": said,
                    "tool_calls": [
                        {
                            "id": f"call_{number}",
                            "type": "function",
                            "function": {"name": "f", "arguments": json.dumps({"a": value})},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": f"call_{number}", "content": value},
            ],
            st.none() | words,
            st.integers(0, 9),
            words,
        ),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(
    chat_turns,
    st.fixed_dictionaries(
        {},
        optional={
            "seed": st.integers(0, 9),
            "logit_bias": st.just({"5": 1}),
            "max_completion_tokens": st.integers(1, 99),
            "reasoning_effort": st.sampled_from(["none", "low", "xhigh"]),
            "response_format": st.sampled_from(
                [
                    {"type": "json_object"},
                    {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
                ]
            ),
            "stop": st.just(["x"]),
            "prediction": st.just({"type": "content", "content": "x"}),
            "n": st.just(2),
            "tool_choice": st.sampled_from(
                ["required", {"type": "function", "function": {"name": "f"}}]
            ),
        },
    ),
)
def test_chat_to_neutral_and_back_keeps_all_that_chat_can_say(
    later: list[list[Any]], options: dict[str, Any]
) -> None:
    body = {
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Brief."},
            *(t for pair in later for t in pair),
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}}
        ],
        **options,
    }
    ChatCall.from_body(body)
    dropped = Dropped()
    request = chat_neutral.CLIENT.read_request(body)
    assert chat_neutral.UPSTREAM.write_request(request, Target(model="m"), dropped) == body
    assert dropped.names == ()
