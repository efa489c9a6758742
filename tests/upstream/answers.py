"""What the fake provider says: OpenAI's chat completions, embeddings and list of models.

Source: https://platform.openai.com/docs/api-reference/chat-streaming, read 2026-11-21: usage comes
in a last chunk without choices, and is null in every chunk before it, when it was asked for.
"""

import base64
import re
import struct
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from tests.upstream.behavior import UNSET, Asked, Behavior, ToolCall

FLOOD_PIECE = b"x" * 65536

_encode = msgspec.json.Encoder().encode
_WORD = re.compile(r"\s*\S+")
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Answer(NamedTuple):
    """The head, and the pieces of the body as they go onto the wire."""

    head: bytes
    pieces: Iterator[bytes]
    is_chunked: bool
    is_closed: bool


def answer(asked: Asked, how: Behavior, model_list: list[str]) -> Answer:
    """Make what a request gets, framing excluded."""
    body = asked.json if isinstance(asked.json, dict) else {}
    kind = "application/json"
    status = how.status
    if how.body_base64:
        pieces: Iterable[bytes] = [base64.b64decode(how.body_base64)]
    elif how.body is not UNSET:
        pieces = [how.body.encode() if isinstance(how.body, str) else _encode(how.body)]
    elif status != 200:
        pieces = [_error(status, f"scripted {status}")]
    elif how.raw_events is not None or how.flood_bytes or _is_streamed(asked, body):
        kind = "text/event-stream"
        pieces = _events(body, how)
    else:
        status, said = _said_plainly(asked, body, how, model_list)
        pieces = [said]
    if how.split_bytes:
        pieces = _split(pieces, how.split_bytes)
    return _framed(status, kind, pieces, how)


def _framed(status: int, kind: str, pieces: Iterable[bytes], how: Behavior) -> Answer:
    framing = how.framing
    if framing == "auto":
        framing = "chunked" if kind == "text/event-stream" else "length"
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Scripted')}"]
    headers = {"content-type": kind, **how.headers}
    if framing == "length":
        pieces = list(pieces)
        headers.setdefault("content-length", str(sum(map(len, pieces))))
    elif framing == "chunked":
        headers["transfer-encoding"] = "chunked"
    else:
        headers["connection"] = "close"
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return Answer(head, iter(pieces), framing == "chunked", framing == "close")


def _is_streamed(asked: Asked, body: dict[str, Any]) -> bool:
    return body.get("stream") is True and asked.api_path.endswith("/completions")


def _split(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    whole = b"".join(pieces)
    return (whole[at : at + size] for at in range(0, len(whole), size))


def _error(status: int, message: str) -> bytes:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return _encode({"error": {"message": message, "type": kind, "param": None, "code": None}})


def _said_plainly(
    asked: Asked, body: dict[str, Any], how: Behavior, model_list: list[str]
) -> tuple[int, bytes]:
    path = asked.api_path
    if path == "/chat/completions":
        return 200, _encode(_completion(body, how))
    if path == "/embeddings":
        return 200, _encode(_embeddings(body, how))
    if path == "/models":
        rows = [{"id": m, "object": "model", "created": 0, "owned_by": "fake"} for m in model_list]
        return 200, _encode({"object": "list", "data": rows})
    return 404, _error(404, f"no such path: {path}")


def _completion(body: dict[str, Any], how: Behavior) -> dict[str, Any]:
    words = _words(body, how)
    calls = _tool_calls(body, how)
    message: dict[str, Any] = {"role": "assistant", "content": "".join(words), "refusal": None}
    if how.reasoning:
        message["reasoning_content"] = how.reasoning
    if calls:
        message["content"] = None
        message["tool_calls"] = [
            {"id": f"call_{i}", "type": "function", "function": msgspec.to_builtins(call)}
            for i, call in enumerate(calls)
        ]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": _finish(how, calls),
    }
    whole = {**_frame(body, how, "chat.completion"), "choices": [choice]}
    usages = _usages(body, how, len(words))
    return {**whole, "usage": usages[-1]} if usages else whole


def _events(body: dict[str, Any], how: Behavior) -> Iterator[bytes]:
    """The pieces of a stream; made one by one, so that a stamp is of the moment of its write."""
    events = iter(how.raw_events) if how.raw_events is not None else _chunks(body, how)
    if how.flood_bytes:
        yield b"data: "
        for left in range(how.flood_bytes, 0, -len(FLOOD_PIECE)):
            yield FLOOD_PIECE[:left]
        yield b"\n\n"
        return
    joined: list[str] = []
    for number, event in enumerate(events):
        if how.error is not None and number == how.error_after:
            joined.append(_event(how.error))
            break
        joined.append(event)
        if len(joined) >= how.burst:
            yield _ended(joined, how)
            joined = []
    if joined:
        yield _ended(joined, how)


def _ended(events: list[str], how: Behavior) -> bytes:
    text = "".join(events)
    return (text.replace("\n", how.line_end) if how.line_end != "\n" else text).encode()


def _event(value: object) -> str:
    return f"data: {_encode(value).decode()}\n\n"


def _chunks(body: dict[str, Any], how: Behavior) -> Iterator[str]:
    options = body.get("stream_options")
    is_asked = isinstance(options, dict) and options.get("include_usage") is True
    words = _words(body, how)
    calls = _tool_calls(body, how)
    usages = _usages(body, how, len(words)) if is_asked or how.usage_always else []
    frame = _frame(body, how, "chat.completion.chunk")
    if is_asked:
        frame["usage"] = None
    if usages and how.usage_at == "every":
        frame["usage"] = usages[-1]
    for delta in how.deltas if how.deltas is not None else _deltas(words, calls, how):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        yield _event({**frame, "choices": [choice]})
    choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": _finish(how, calls)}
    last = {**frame, "choices": [choice]}
    if usages and how.usage_at == "with_finish":
        last["usage"] = usages[-1]
    yield _event(last)
    apart = [_event({**frame, "choices": [], "usage": usage}) for usage in usages]
    if how.usage_at == "last":
        yield from apart
    if how.done:
        yield "data: [DONE]\n\n"
    if how.usage_at == "after_done":
        yield from apart
    if how.after_done:
        yield how.after_done


def _deltas(words: list[str], calls: list[ToolCall], how: Behavior) -> Iterator[dict[str, Any]]:
    role: dict[str, Any] = {}
    if how.is_role_apart:
        yield {"role": "assistant", "content": None if calls else "", "refusal": None}
    else:
        role = {"role": "assistant"}
    if how.reasoning:
        yield from ({"reasoning_content": word} for word in _WORD.findall(how.reasoning))
    for index, call in enumerate(calls):
        head = {"index": index, "id": f"call_{index}", "type": "function"}
        yield {"tool_calls": [{**head, "function": {"name": call.name, "arguments": ""}}]}
        yield {"tool_calls": [{"index": index, "function": {"arguments": call.arguments}}]}
    if not calls:
        for word in words:
            yield {**role, "content": f"{time.monotonic():.6f} " if how.stamp else word}
            role = {}


def _frame(body: dict[str, Any], how: Behavior, kind: str) -> dict[str, Any]:
    model = how.model or body.get("model")
    return {
        "id": "chatcmpl-fake",
        "object": kind,
        "created": 1_700_000_000,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
    }


def _finish(how: Behavior, calls: list[ToolCall]) -> Any:
    if how.finish_reason is not UNSET:
        return how.finish_reason
    return "tool_calls" if calls else "stop"


def _words(body: dict[str, Any], how: Behavior) -> list[str]:
    if how.words is not None:
        return ["word "] * how.words
    if how.content is not None:
        return _WORD.findall(how.content)
    said = ""
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") == "user":
            said = _text(message.get("content"))
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema"):
        said = _encode({"said": said}).decode()
    return _WORD.findall(said)


def _text(content: object) -> str:
    if isinstance(content, list):
        return " ".join(str(p["text"]) for p in content if isinstance(p, dict) and "text" in p)
    return content if isinstance(content, str) else ""


def _tool_calls(body: dict[str, Any], how: Behavior) -> list[ToolCall]:
    """The scripted calls, or one to the tool that the request forces."""
    choice = body.get("tool_choice")
    if how.tool_calls or not body.get("tools") or choice in (None, "none", "auto"):
        return how.tool_calls
    name = choice["function"]["name"] if isinstance(choice, dict) else None
    return [ToolCall(name or body["tools"][0]["function"]["name"])]


def _usages(body: dict[str, Any], how: Behavior, words: int) -> list[Any]:
    """One usage, none for "absent", or several. A word is a token."""
    if how.usage == "absent":
        return []
    if how.usage is not UNSET:
        return how.usage if isinstance(how.usage, list) else [how.usage]
    messages = body.get("messages")
    texts = (_text(m.get("content")) for m in messages) if isinstance(messages, list) else ()
    prompt = sum(len(text.split()) for text in texts)
    return [
        {
            "prompt_tokens": prompt,
            "completion_tokens": words,
            "total_tokens": prompt + words,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }
    ]


def _embeddings(body: dict[str, Any], how: Behavior) -> dict[str, Any]:
    given = body.get("input")
    texts = given if isinstance(given, list) else [given]
    tokens = sum(len(str(text).split()) for text in texts)
    vector = (0.6, 0.0, 0.8)
    packed = base64.b64encode(struct.pack("<3f", *vector)).decode()
    is_base64 = body.get("encoding_format") == "base64"
    rows = [
        {"object": "embedding", "index": i, "embedding": packed if is_base64 else vector}
        for i in range(len(texts))
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    if how.usage is not UNSET:
        usage = how.usage
    return {"object": "list", "data": rows, "model": body.get("model"), "usage": usage}
