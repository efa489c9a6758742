"""Chat completions and completions: echo, lorem, and the tokens of both.

Tokens are words here: what stands between white space, each message's text counted.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

import clock
from providers import sse
from providers.sandbox.exchange import Answer
from providers.sandbox.schema import smallest

WORD_S = 0.02
"""Between two words of a streamed echo."""

LOREM_WORD_S = 0.002
LOREM_WORDS = 50
LOREM_WORDS_MOST = 100_000
CHOICES_MOST = 8

STREAM_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}

_LOREM = (
    " lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut"
    " labore et dolore magna aliqua"
)
_WORD = re.compile(r"\s*\S+")

Body = dict[str, Any]


def prompt_words(body: Body) -> int:
    """Count the words of every message, or of the prompt."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return len(text_of(body.get("prompt")).split())
    return sum(len(text_of(m.get("content")).split()) for m in messages if isinstance(m, dict))


def text_of(content: object) -> str:
    """Join the text of a message's content, a string or parts; the rest counts for nothing."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") if isinstance(part, dict) else part for part in content)
    return " ".join(part for part in parts if isinstance(part, str))


def most_words(body: Body) -> int | None:
    """What the caller allows, by either name."""
    for name in ("max_completion_tokens", "max_tokens"):
        value = body.get(name)
        if type(value) is int and value >= 0:
            return value
    return None


class Script:
    """What is to be said to one request, to be told whole or streamed.

    A word brings the white space before it, so that words join to the whole.
    """

    def __init__(self, body: Body, words: Iterable[str], *, is_cut: bool, word_s: float) -> None:
        digest = hashlib.sha256(msgspec.json.encode(body, order="deterministic")).hexdigest()
        n = body.get("n")
        self.body = body
        self.words = words
        self.word_s = word_s
        self.finish: str | None = "length" if is_cut else "stop"
        self.tool_call: tuple[str, str] | None = None
        self.told_usage: Body | None = None
        self.choices = min(n, CHOICES_MOST) if type(n) is int and n > 0 else 1
        self.is_chat = "prompt" not in body
        self.id = f"{'chatcmpl' if self.is_chat else 'cmpl'}-sandbox-{digest[:20]}"
        self.is_streamed = body.get("stream") is True
        options = body.get("stream_options")
        self.wants_usage = isinstance(options, dict) and options.get("include_usage") is True

    def usage(self, words: int) -> Body:
        """The usage of what was said `choices` times, unless another one is to be told."""
        if self.told_usage is not None:
            return self.told_usage
        prompt, completion = prompt_words(self.body), words * self.choices
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }

    def answer(self, *, has_usage: bool = True) -> Answer:
        """Tell it as the request asks for it."""
        if self.is_streamed:
            return Answer(self.events(has_usage=has_usage), headers=dict(STREAM_HEADERS))
        return Answer([(0.0, self.whole(has_usage=has_usage))])

    def whole(self, *, has_usage: bool = True) -> bytes:
        """The body of the plain answer."""
        said = list(self.words)
        choice = self._told("".join(said))
        body = {
            **self._frame("chat.completion" if self.is_chat else "text_completion"),
            "choices": [{"index": i, **choice} for i in range(self.choices)],
        }
        if has_usage:
            body["usage"] = self.usage(len(said) if self.tool_call is None else 1)
        return msgspec.json.encode(body)

    def events(self, *, has_usage: bool = True) -> Iterator[tuple[float, bytes]]:
        """The events of the streamed answer, up to `[DONE]`; lazily, as lorem may be long."""
        words = 0
        if self.is_chat:
            yield 0.0, self.event(delta={"role": "assistant", "content": ""})
        if self.tool_call is not None:
            words = 1
            yield from ((0.0, self.event(delta=delta)) for delta in self._tool_deltas())
        else:
            for word in self.words:
                yield self.word_s if words else 0.0, self.event(delta={"content": word})
                words += 1
        yield 0.0, self.event(delta={}, finish=self.finish)
        if has_usage and self.wants_usage:
            frame = {**self._frame(self._event_object), "choices": []}
            yield 0.0, sse.event(msgspec.json.encode({**frame, "usage": self.usage(words)}))
        yield 0.0, sse.DONE

    def event(self, *, delta: Body, finish: str | None = None) -> bytes:
        """One chunk for each choice."""
        if self.is_chat:
            choice: Body = {"delta": delta, "finish_reason": finish}
        else:
            choice = {"text": delta.get("content", ""), "logprobs": None, "finish_reason": finish}
        frame = self._frame(self._event_object)
        return b"".join(
            sse.event(msgspec.json.encode({**frame, "choices": [{"index": i, **choice}]}))
            for i in range(self.choices)
        )

    @property
    def _event_object(self) -> str:
        return "chat.completion.chunk" if self.is_chat else "text_completion"

    def _frame(self, kind: str) -> Body:
        model = self.body.get("model")
        created = clock.now_ms() // 1000
        return {"id": self.id, "object": kind, "created": created, "model": model}

    def _told(self, text: str) -> Body:
        if not self.is_chat:
            return {"text": text, "logprobs": None, "finish_reason": self.finish}
        message: Body = {"role": "assistant", "content": text, "refusal": None}
        if self.tool_call is not None:
            name, arguments = self.tool_call
            function = {"name": name, "arguments": arguments}
            call = {"id": self._call_id, "type": "function", "function": function}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        return {"message": message, "logprobs": None, "finish_reason": self.finish}

    def _tool_deltas(self) -> list[Body]:
        name, arguments = self.tool_call or ("", "")
        head = {"index": 0, "id": self._call_id, "type": "function"}
        return [
            {"tool_calls": [{**head, "function": {"name": name, "arguments": ""}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]},
        ]

    @property
    def _call_id(self) -> str:
        return f"call_{self.id[-20:]}"


def echo(body: Body) -> Script:
    """Repeat the last user message, saying who does.

    With `response_format` JSON it is wrapped in an object; a tool that must be called is called,
    with the least arguments that its schema allows.
    """
    said = f"Turnpike's sandbox repeats: {_last_said(body)}"
    limit = most_words(body)
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema"):
        said = _as_json(wanted, said)
    words = _WORD.findall(said)
    is_cut = limit is not None and limit < len(words)
    script = Script(body, words[:limit], is_cut=is_cut, word_s=WORD_S)
    script.tool_call = _forced_call(body)
    if script.tool_call is not None:
        script.finish = "tool_calls"
    return script


def lorem(body: Body) -> Script:
    """Say exactly as many words as are allowed, 50 when nothing is said of it."""
    limit = most_words(body)
    count = min(LOREM_WORDS if limit is None else limit, LOREM_WORDS_MOST)
    text = itertools.chain(("Sandbox", " filler", " text:"), itertools.cycle(_WORD.findall(_LOREM)))
    words = itertools.islice(text, count)
    return Script(body, words, is_cut=limit is not None, word_s=LOREM_WORD_S)


def _last_said(body: Body) -> str:
    messages = body.get("messages")
    if not isinstance(messages, list):
        return text_of(body.get("prompt"))
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            return text_of(message.get("content"))
    return ""


def _as_json(wanted: Body, text: str) -> str:
    described = wanted.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    value = smallest(schema) if isinstance(schema, dict) else {"sandbox": text}
    return msgspec.json.encode(value).decode()


def _forced_call(body: Body) -> tuple[str, str] | None:
    """Return name and arguments of the tool that must be called: the named one, or the first."""
    tools, choice = body.get("tools"), body.get("tool_choice")
    named = choice.get("function") if isinstance(choice, dict) else None
    name = named.get("name") if isinstance(named, dict) else None
    if not isinstance(tools, list) or (name is None and choice != "required"):
        return None
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and name in (None, function.get("name")):
            arguments = smallest(function.get("parameters") or {"type": "object"})
            return str(function.get("name")), msgspec.json.encode(arguments).decode()
    return None
