import json
from decimal import Decimal
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from wire.chat_answer import ChatAnswer
from wire.usage import Usage

USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}


def body(**fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hello there"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_741_570_283,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USAGE,
        **fields,
    }


def parse(**fields: Any) -> ChatAnswer:
    return ChatAnswer.parse(json.dumps(body(**fields)).encode())


def answering(message: Any, finish_reason: Any = "stop") -> ChatAnswer:
    return parse(choices=[{"index": 0, "message": message, "finish_reason": finish_reason}])


def test_an_answer_is_looked_at() -> None:
    answer = parse()
    assert (answer.has_output, answer.finish_reason, answer.error) == (True, "stop", None)
    assert (answer.is_error_finish, answer.upstream_id) == (False, "chatcmpl-1")
    assert answer.delivered_texts() == ["Hello there"]
    assert (answer.delivered_bytes, answer.output_estimate) == (11, 4)
    assert answer.reading.usage == Usage(input_tokens=10, output_tokens=3)


def test_id_model_and_usage_become_ours_and_the_rest_stays_to_the_byte() -> None:
    head = '{ "x" : [1.10, 1e2 ,12345678901234567890123],\n "id":'
    middle = '"up",  "object":"chat.completion","model"'
    tail = '"choices":[{"message":{"content":"\\u00e9\\/ \\"id\\":\\"up\\" é"}}],"last":{"id":"up"}'
    raw = (head + middle + f':"m",{tail},"usage":{json.dumps(USAGE)}' + "}").encode()
    sent = ChatAnswer.parse(raw).render("gen-1", "openai/gpt-4o", {"cost": 0.003062}).decode()
    assert '"x":[1.10, 1e2 ,12345678901234567890123],"id":"gen-1"' in sent
    assert '"model":"openai/gpt-4o",' + tail in sent
    shown = json.loads(sent)
    assert list(shown) == ["x", "id", "object", "model", "choices", "last", "usage"]
    assert shown["usage"] == {**USAGE, "cost": 0.003062}
    assert shown["last"] == {"id": "up"}


def test_a_cost_may_be_an_exact_decimal() -> None:
    sent = parse().render("gen-1", "m", {"cost": Decimal("0.000000001")})
    shown = json.loads(sent, parse_float=Decimal)["usage"]
    assert shown["cost"] == Decimal("0.000000001")


def test_an_answer_without_usage_is_shown_our_count_as_an_estimate() -> None:
    raw = body()
    del raw["usage"]
    for answer in (ChatAnswer.parse(json.dumps(raw).encode()), parse(usage=None)):
        assert answer.reading.usage is None
        assert not answer.reading.is_flagged
        estimate = Usage(input_tokens=7, output_tokens=2, reasoning_tokens=1)
        shown = json.loads(answer.render("gen-1", "m", {"cost": 0.1}, estimate=estimate))["usage"]
        assert (shown["prompt_tokens"], shown["completion_tokens"], shown["total_tokens"]) == (
            7,
            3,
            10,
        )
        assert shown["completion_tokens_details"]["reasoning_tokens"] == 1
        assert (shown["estimated"], shown["cost"]) == (True, 0.1)


def test_usage_beyond_the_bounds_is_flagged_and_not_shown() -> None:
    answer = ChatAnswer.parse(json.dumps(body()).encode(), bound_output=2)
    assert answer.reading.is_flagged
    assert json.loads(answer.render("gen-1", "m", {"cost": 0}))["usage"] == {"cost": 0}


@pytest.mark.parametrize("number", ["1e400", "-1e999", "1" * 5_000, "-5", "1.5"])
def test_a_usage_that_cannot_be_read_is_flagged_and_spoils_nothing(number: str) -> None:
    raw = json.dumps(body()).replace('"prompt_tokens": 10', f'"prompt_tokens": {number}').encode()
    answer = ChatAnswer.parse(raw)
    assert answer.reading.is_flagged
    assert answer.has_output


def test_usage_within_the_choice_is_found() -> None:
    choice = {"index": 0, "message": {"content": "x"}, "usage": USAGE}
    assert parse(usage=None, choices=[choice]).reading == parse().reading


@pytest.mark.parametrize(
    ("message", "texts"),
    [
        ({"content": "a", "reasoning_content": "b"}, ["a", "b"]),
        ({"content": "a", "reasoning": "b", "reasoning_content": "b"}, ["a", "b"]),
        ({"content": None, "refusal": "no"}, ["no"]),
        ({"content": "", "reasoning": "b"}, ["b"]),
        (
            {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
            ["f", "{}"],
        ),
        ({"tool_calls": [{"custom": {"name": "f", "input": "x"}}]}, ["f", "x"]),
        ({"function_call": {"name": "f", "arguments": "{}"}}, ["f", "{}"]),
        ({"content": "a", "function_call": {"name": "f"}}, ["a", "f"]),
        ({"audio": {"id": "a", "data": "QQ==", "transcript": "hi"}}, ["hi"]),
        (
            {"content": [{"type": "text", "text": "a"}, {"type": "thinking", "thinking": "b"}]},
            ["a", "b"],
        ),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "b"}]}]},
            ["b"],
        ),
        ({"images": [{"type": "image_url", "image_url": {"url": "data:"}}]}, []),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}, []),
        ({"tool_calls": [5, {"function": 5}, {"function": {"name": 5}}]}, []),
        ({"audio": "x"}, []),
    ],
)
def test_every_kind_of_output_is_output(message: dict[str, Any], texts: list[str]) -> None:
    answer = answering(message)
    assert answer.has_output
    assert "".join(answer.delivered_texts()) == "".join(texts)
    assert answer.delivered_bytes == sum(map(len, texts))


@pytest.mark.parametrize(
    "choices",
    [
        [],
        None,
        [{}],
        [{"message": None}],
        [{"message": {"role": "assistant"}}],
        [{"message": {"content": "", "tool_calls": [], "refusal": None}, "finish_reason": None}],
    ],
)
def test_a_role_or_an_empty_text_is_no_output(choices: Any) -> None:
    answer = parse(choices=choices)
    assert not answer.has_output
    assert answer.finish_reason is None
    assert json.loads(answer.render("gen-1", "m", {}))["choices"] == choices


def test_all_choices_are_counted_and_the_first_tells_the_finish() -> None:
    answer = parse(
        choices=[
            {"message": {"content": "a"}, "finish_reason": "length"},
            {"message": {"content": "é"}, "finish_reason": "stop"},
        ]
    )
    assert answer.delivered_texts() == ["aé"]
    assert (answer.delivered_bytes, answer.finish_reason) == (3, "length")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"error": {"message": "boom", "code": 502}}, "boom"),
        ({"error": "boom"}, "boom"),
        ({"error": ["boom"]}, "unknown error"),
        ({"object": "error", "message": "boom"}, "boom"),
        ({"object": "error"}, "unknown error"),
    ],
)
def test_an_error_in_a_200_is_told(fields: dict[str, Any], message: str) -> None:
    answer = ChatAnswer.parse(json.dumps(fields).encode())
    assert answer.error is not None
    assert answer.error["message"] == message
    assert not answer.has_output
    assert parse(**fields).error == answer.error


@pytest.mark.parametrize("error", [None, {}, "", False])
def test_an_empty_error_is_none(error: Any) -> None:
    assert parse(error=error).error is None


def test_an_error_finish_is_told_with_what_came_before_it() -> None:
    answer = answering({"content": "half"}, "error")
    assert (answer.is_error_finish, answer.finish_reason) == (True, "error")
    assert answer.error == {"message": "unknown error"}
    assert answer.delivered_texts() == ["half"]
    broken = {"message": {"content": "half"}, "finish_reason": "stop", "error": {"message": "cut"}}
    assert parse(choices=[broken]).error == {"message": "cut"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b'data: {"choices":[]}\n\n',
        b"[]",
        b"null",
        b"{}",
        b'{"detail":"Not Found"}',
        b'{"choices":{}}',
        b'{"choices":["x"]}',
        b'{"choices":[{"message":"x"}]}',
        b'{"choices":[]',
        b'{"choices":[],"x":NaN}',
        b'{"choices":[],"x":"\xff"}',
        b'{"choices":[{"message":{"content":"\\ud800"}}]}',
        b'{"choices":' + b"[" * 100_000,
        b'{"choices":[{"message":{"content":' + b"[" * 5_000 + b"]" * 5_000 + b"}}]}",
    ],
)
def test_what_is_no_answer_of_this_dialect_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="it "):
        ChatAnswer.parse(raw)


def test_a_byte_order_mark_before_an_answer_is_forgiven() -> None:
    answer = ChatAnswer.parse(b"\xef\xbb\xbf" + json.dumps(body()).encode())
    assert answer.render("gen-1", "m", {}).startswith(b"{")


def test_the_official_types_read_what_is_rendered() -> None:
    answer = parse(usage=None)
    sent = answer.render("gen-1", "openai/gpt-4o", {"cost": 0.1}, estimate=Usage(input_tokens=1))
    seen = ChatCompletion.model_validate_json(sent, strict=True)
    assert (seen.id, seen.model) == ("gen-1", "openai/gpt-4o")
    assert seen.usage is not None
    assert seen.usage.prompt_tokens == 1


def test_text_is_kept_up_to_two_mebibytes_and_counted_beyond() -> None:
    choice = {"message": {"content": "x" * 1_500_000}}
    answer = parse(choices=[choice, choice])
    assert [len(text) for text in answer.delivered_texts()] == [1_500_000]
    assert answer.delivered_bytes == 3_000_000
    assert answer.output_estimate == 1_000_000
    assert answer.output_count(None) == 1_000_000
    assert answer.output_count(lambda text: len(text) // 10) == 150_000 + 500_000
