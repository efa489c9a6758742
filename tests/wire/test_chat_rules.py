import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import InvalidParameterError, InvalidRequestError
from wire.chat import ChatCall

HELLO = {"role": "user", "content": "hello"}


def parse(**fields: Any) -> ChatCall:
    return ChatCall.parse(json.dumps({"model": "m", "messages": [HELLO], **fields}).encode())


def refused_param(**fields: Any) -> str | None:
    with pytest.raises(InvalidParameterError) as caught:
        parse(**fields)
    assert caught.value.status == 400
    assert caught.value.message.endswith(".")
    assert caught.value.message.count(". ") >= 1, "the message ends in a remedy"
    return caught.value.param


def test_the_smallest_request_has_every_default() -> None:
    call = parse()
    assert (call.model, call.is_streamed, call.wants_usage) == ("m", False, False)
    assert (call.output_limit, call.choices, call.budget) == (None, 1, None)
    assert (call.fallback_models, call.preferences) == ((), None)
    assert (call.session_id, call.user, call.needs) == (None, None, frozenset())
    assert (call.hosted_tools, call.is_stateful, call.predicted_output) == (frozenset(), False, 0)
    assert (call.api, call.path) == ("chat", "/chat/completions")


@pytest.mark.parametrize(
    "name", [None, "", 5, [], "x" * 257, "a\nb", "a\r\nX: y", "\0", "a\u202eb"]
)
def test_a_model_name_is_short_printable_text(name: Any) -> None:
    assert refused_param(model=name) == "model"


def test_a_missing_model_is_refused() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        ChatCall.parse(b'{"messages":[{"role":"user","content":"x"}]}')
    assert caught.value.param == "model"
    assert caught.value.message.endswith("Check the model name: GET /v1/models lists them.")


@pytest.mark.parametrize("name", ["m", "x" * 256, "openai/gpt-4o:floor", "~a/b@preset/c d", "模型"])
def test_any_printable_name_may_be_asked_for(name: str) -> None:
    assert parse(model=name).model == name


@pytest.mark.parametrize("messages", [None, [], {}, "hi", 5])
def test_messages_are_a_list_of_at_least_one(messages: Any) -> None:
    assert refused_param(messages=messages) == "messages"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("hi", "messages[1]"),
        (None, "messages[1]"),
        ({"content": "x"}, "messages[1].role"),
        ({"role": "robot", "content": "x"}, "messages[1].role"),
        ({"role": ["user"], "content": "x"}, "messages[1].role"),
        ({"role": None, "content": "x"}, "messages[1].role"),
        ({"role": "user"}, "messages[1].content"),
        ({"role": "tool", "tool_call_id": "c"}, "messages[1].content"),
        ({"role": "user", "content": 5}, "messages[1].content"),
        ({"role": "user", "content": {"type": "text"}}, "messages[1].content"),
        ({"role": "user", "content": ["x"]}, "messages[1].content[0]"),
        ({"role": "user", "content": [{"text": "x"}]}, "messages[1].content[0]"),
        ({"role": "user", "content": [{"type": 1}]}, "messages[1].content[0]"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[1].content[0].text"),
        (
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": 1}],
            },
            "messages[1].content[1].text",
        ),
        ({"role": "user", "content": [{"type": "image_url"}]}, "messages[1].content[0].image_url"),
        (
            {"role": "user", "content": [{"type": "input_audio", "input_audio": "x"}]},
            "messages[1].content[0].input_audio",
        ),
        ({"role": "user", "content": [{"type": "file", "file": 1}]}, "messages[1].content[0].file"),
        ({"role": "assistant", "content": None, "tool_calls": {}}, "messages[1].tool_calls"),
        ({"role": "assistant", "content": None, "tool_calls": [1]}, "messages[1].tool_calls"),
        ({"role": "user", "content": "x", "name": 5}, "messages[1].name"),
        ({"role": "tool", "content": "x", "tool_call_id": 5}, "messages[1].tool_call_id"),
    ],
)
def test_a_malformed_message_is_refused_with_the_path_to_it(message: Any, param: str) -> None:
    assert refused_param(messages=[HELLO, message]) == param


@pytest.mark.parametrize(
    "message",
    [
        {"role": "developer", "content": "x"},
        {"role": "system", "content": [{"type": "text", "text": "x"}]},
        {"role": "user", "content": None},
        {"role": "user", "content": []},
        {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "https://x"}}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": "https://x"}]},
        {"role": "assistant"},
        {"role": "assistant", "content": None, "tool_calls": None},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {}}]},
        {"role": "assistant", "content": "x", "reasoning_content": "y", "refusal": None},
        {"role": "tool", "content": "x", "tool_call_id": "c"},
        {"role": "function", "content": None, "name": "f"},
    ],
)
def test_what_the_specification_allows_in_a_message_passes(message: Any) -> None:
    assert parse(messages=[HELLO, message]).body["messages"][1] == message


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("value", [-1, 1.5, 5.0, "5", True, 10**9, 2**63, -(2**31), [], -0.0])
def test_an_output_limit_is_an_integer_in_range(field: str, value: Any) -> None:
    assert refused_param(**{field: value}) == field


def test_the_larger_output_limit_is_the_one_that_counts() -> None:
    assert parse(max_tokens=0).output_limit == 0
    assert parse(max_tokens=10**7).output_limit == 10**7
    assert parse(max_tokens=5, max_completion_tokens=7).output_limit == 7
    assert parse(max_tokens=7, max_completion_tokens=5).output_limit == 7
    assert parse(max_tokens=None, max_completion_tokens=5).output_limit == 5


@pytest.mark.parametrize(
    ("field", "bad", "good"),
    [
        ("n", [0, -1, 129, 10**9, 1.0, "1", True], [1, 128]),
        ("temperature", [-0.1, 2.1, 1e9, "1", True], [0, 2, 0.7, -0.0]),
        ("top_p", [-0.1, 1.1, "1", False], [0, 1, 0.5]),
        ("presence_penalty", [-2.1, 2.1, "0"], [-2, 2]),
        ("frequency_penalty", [-2.1, 2.1, []], [-2, 2, 0.0]),
        ("logprobs", [1, "true", 10**9], [True, False]),
        ("top_logprobs", [-1, 21, 1.0, True], [0, 20]),
        ("stop", [5, {}, ["x"] * 17], ["x", [], ["a", "b", "c", "d"]]),
        ("seed", [1.5, "1", True], [-(2**63), 2**63 - 1, 2**64 - 1]),
        ("stream", ["true", 1, 0], [True, False]),
        ("stream_options", [True, [], "x"], [{}, {"include_obfuscation": False}]),
        ("tools", [{}, "x", [{}] * 4_097], [[], [{"type": "function", "function": {"name": "f"}}]]),
        ("tool_choice", [5, True, []], ["auto", "none", {"type": "function"}]),
        ("functions", [{}, "x"], [[{"name": "f"}]]),
        ("function_call", [5], ["auto", {"name": "f"}]),
        ("parallel_tool_calls", ["x", 1], [True]),
        ("response_format", ["json", []], [{"type": "text"}]),
        ("logit_bias", [[], {"1": "x"}, {"1": True}, {"1": None}], [{}, {"50256": -100, "1": 0.5}]),
        ("metadata", ["x", []], [{}, {"a": "b"}]),
        ("modalities", ["text"], [["text", "audio"]]),
        ("audio", ["x"], [{"voice": "alloy", "format": "wav"}]),
        ("prediction", ["x"], [{"type": "content", "content": "x"}]),
        ("reasoning", ["high"], [{"effort": "high"}]),
        ("reasoning_effort", [1], ["low", "none"]),
        ("verbosity", [1], ["low"]),
        ("store", ["x"], [True]),
        ("user", [1], ["u"]),
        ("web_search_options", [True], [{}]),
        ("service_tier", ["flex", "priority", "scale", 1], ["auto", "default", "standard_only"]),
        ("background", [True, 1, "x"], [False]),
        ("api_base", ["https://evil", "", 0], []),
        ("base_url", ["https://evil", {}], []),
        ("api_key", ["sk-x"], []),
        ("budget", ["cheap", 1, []], ["save", "quality", "auto"]),
        ("aicraft_budget", ["cheap", True], ["save", "quality", "auto"]),
        ("models", ["m", {}, ["m"] * 17], [[], ["a", "b"]]),
        ("provider", ["openai", []], [{}, {"order": ["openai"]}]),
        ("session_id", [1, "x" * 257, "a\nb"], ["s", "x" * 256]),
    ],
)
def test_each_field_takes_what_the_specification_takes(
    field: str, bad: list[Any], good: list[Any]
) -> None:
    for value in bad:
        assert refused_param(**{field: value}) == field
    for value in [*good, None]:
        assert parse(**{field: value}).body[field] == value


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stop": ["a", 5]}, "stop[1]"),
        ({"tools": [5]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": 5}]}, "tools[0].function"),
        ({"tools": [{"function": {"name": ""}}]}, "tools[0].function.name"),
        ({"tools": [{"function": {"name": "x" * 1_000_000}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].custom.name"),
        ({"functions": [{"name": 5}]}, "functions[0].name"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"models": ["a", ""]}, "models[1]"),
    ],
)
def test_what_is_wrong_within_a_field_has_its_path(fields: dict[str, Any], param: str) -> None:
    assert refused_param(**fields) == param


def test_unknown_fields_are_nobody_elses_business() -> None:
    call = parse(top_k=5, min_p=-1, grammar={"a": [1]}, max_tokens_to_sample="x")
    assert call.body["grammar"] == {"a": [1]}


def test_usage_is_wanted_only_from_a_stream_that_asks_for_it() -> None:
    asked = {"include_usage": True}
    assert parse(stream=True, stream_options=asked).wants_usage
    assert parse(stream=True, usage={"include": True}).wants_usage
    assert not parse(stream=True, stream_options={"include_usage": False}).wants_usage
    assert not parse(stream=True, stream_options=None).wants_usage
    assert not parse(stream_options=asked).wants_usage


def test_our_own_fields_are_read() -> None:
    call = parse(
        aicraft_budget="save",
        models=["m", "a", "b", "a"],
        provider={"only": ["x"]},
        session_id="s",
        user="u",
    )
    assert (call.budget, call.fallback_models) == ("save", ("a", "b"))
    assert (call.preferences, call.session_id, call.user) == ({"only": ["x"]}, "s", "u")
    assert parse(budget="quality", aicraft_budget="save").budget == "quality"


def test_a_user_is_stored_without_what_a_log_or_a_column_could_not_hold() -> None:
    assert parse(user="a\0b\nc").user == "a?b?c"
    assert parse(user="x" * 1_000).user == "x" * 256
    assert parse(user="a\0b").upstream_body("m", None)["user"] == "a\0b"


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({}, set()),
        ({"stream": True}, {"stream"}),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, {"tools"}),
        ({"tools": []}, set()),
        ({"functions": [{"name": "f"}]}, {"tools"}),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {"schema"}),
        ({"response_format": {"type": "json_object"}}, set()),
        ({"logprobs": True}, {"logprobs"}),
        ({"logprobs": False, "top_logprobs": 0}, set()),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x"}}, {"audio"}),
        ({"reasoning_effort": "high"}, {"reasoning"}),
        ({"reasoning_effort": "none"}, set()),
        ({"reasoning": {"max_tokens": 100}}, {"reasoning"}),
        ({"reasoning": {"effort": "low"}}, {"reasoning"}),
        ({"reasoning": {"effort": "low", "enabled": False}}, set()),
        ({"reasoning": {"exclude": True}}, set()),
    ],
)
def test_needs_are_read_from_the_fields(fields: dict[str, Any], needs: set[str]) -> None:
    assert parse(**fields).needs == needs


@pytest.mark.parametrize(
    ("part", "needs", "is_stateful"),
    [
        ({"type": "text", "text": "x"}, set(), False),
        ({"type": "image_url", "image_url": {"url": "https://x"}}, {"image"}, False),
        (
            {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}},
            {"audio"},
            False,
        ),
        ({"type": "file", "file": {"file_data": "x"}}, {"file"}, False),
        ({"type": "file", "file": {"file_id": "file-1"}}, {"file"}, True),
    ],
)
def test_needs_are_read_from_the_parts(part: Any, needs: set[str], is_stateful: bool) -> None:
    call = parse(messages=[{"role": "user", "content": [part]}])
    assert (set(call.needs), call.is_stateful) == (needs, is_stateful)


def test_a_reference_to_an_earlier_sound_is_state_of_its_upstream() -> None:
    message = {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}
    call = parse(messages=[HELLO, message])
    assert call.is_stateful
    assert call.needs == set()


def test_tools_that_upstream_runs_itself_are_named() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}, {"type": "web_search"}, {"type": 5}]
    call = parse(tools=tools, web_search_options={})
    assert call.hosted_tools == {"web_search", "web_search_options"}


def test_a_prediction_tells_what_it_may_add_to_the_output() -> None:
    assert parse(prediction={"type": "content", "content": "x" * 1_000}).predicted_output >= 1_000


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [HELLO] * 100_000},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 100_000}]},
        {"messages": [HELLO] * 100_001},
        {"tools": [{"type": "function", "function": {"name": "f"}}] * 100_000},
        {"stop": ["x"] * 100_000},
        {"logit_bias": {str(n): 1 for n in range(100_000)}},
        {"models": ["m"] * 100_000},
    ],
)
def test_a_hundred_thousand_of_anything_are_read_or_refused_in_no_time(
    fields: dict[str, Any],
) -> None:
    raw = json.dumps({"model": "m", "messages": [HELLO], **fields}).encode()
    began = time.process_time()
    with contextlib.suppress(InvalidParameterError):
        ChatCall.parse(raw).input_bound(6_000, 128_000)
    assert time.process_time() - began < 3  # far from the seconds that a walk would take


def words(text: str) -> list[str]:
    return text.split()


NAMES = st.sampled_from(
    words(
        "model messages n stop tools stream stream_options usage models provider reasoning audio "
        "modalities prediction response_format functions tool_choice logit_bias metadata x"
    )
)
KEYS = st.sampled_from(
    words(
        "role content type text image_url url input_audio data file file_id function custom name "
        "audio images tool_calls effort enabled include include_usage"
    )
)
WORDS = st.sampled_from(words("user assistant text image_url input_audio file data: function"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | WORDS | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"])}, optional={})
    .flatmap(lambda head: st.dictionaries(KEYS, VALUES, max_size=3).map(lambda r: {**r, **head}))
    .map(lambda message: {"content": "x", **message}),
    min_size=1,
    max_size=2,
)


@settings(deadline=None, max_examples=400)
@given(st.dictionaries(NAMES, VALUES, max_size=4), MESSAGES)
def test_whatever_is_sent_is_a_call_that_can_be_used_or_a_400_with_a_param(
    fields: dict[str, Any], messages: list[Any]
) -> None:
    raw = json.dumps({"model": "m", "messages": messages, **fields}).encode()
    refused: InvalidRequestError | None = None
    try:
        call = ChatCall.parse(raw)
    except InvalidRequestError as error:
        refused = error
    if refused is not None:
        assert refused.param
        return
    before = json.dumps(call.body)
    assert call.input_bound(6_000, 128_000) >= 16
    assert call.input_bound(6_000, 128_000, exact=len) >= 16
    call.upstream_body("u", 10, limit_field="max_completion_tokens", without_tools=["function"])
    assert json.dumps(call.body) == before
