"""Streams of OpenAI's chat: a provider's chunks read, a client's chunks written."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from wire.chat_content import error_object
from wire.chat_reasoning import DIALECT, FORMATS
from wire.chat_stream import DONE, BrokenEventError
from wire.chat_usage import Reading, read_usage, usage_object
from wire.neutral import Image, Reasoning, Refusal, Text, ToolCall
from wire.neutral_answer import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    Failed,
    Head,
    ReasoningDelta,
    SignatureDelta,
    Started,
    TextDelta,
)
from wire.stops import FROM_CHAT, TO_CHAT, Stop
from wire.strict_json import encode
from wire.usage import Usage

FORMAT_OF = {dialect: told for told, dialect in FORMATS.items()}


class _Delta(msgspec.Struct):
    content: Any = None
    refusal: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    tool_calls: Any = None
    function_call: Any = None
    images: Any = None


class _Choice(msgspec.Struct):
    index: Any = 0
    delta: _Delta | None = None
    finish_reason: Any = None
    error: Any = None
    usage: Any = None


class _Chunk(msgspec.Struct):
    id: Any = None
    created: Any = None
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    x_groq: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


class ChatReader:
    """Makes neutral events of a provider's chunks. `is_done` as in `neutral_answer.EventReader`.

    Only the first choice is read: no other dialect has more. One block is open at a time; a tool's
    block begins when its name is known, and what came of its arguments before is kept until then.
    """

    def __init__(self) -> None:
        self.is_done = False
        self._has_begun = False
        self._name = ""
        self._usage: Any = None
        self._stop: str | None = None
        self._open: tuple[str, int] | None = None
        self._next = 0
        self._calls: dict[int, int] = {}
        self._pending: dict[int, dict[str, str]] = {}

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take the data of one event.

        Raises: ValueError for what isn't of this dialect.
        """
        if self.is_done or not data:
            return ()
        if data.strip() == b"[DONE]":
            return self._finish()
        try:
            if not data.isascii():
                data.decode()
            chunk = _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BrokenEventError("an event isn't a chunk of a chat completion") from error
        events: list[Event] = []
        if not self._has_begun:
            self._has_begun = True
            self._name = chunk.id if type(chunk.id) is str else ""
            events.append(
                Started(
                    id=chunk.id if type(chunk.id) is str else None,
                    created=chunk.created if type(chunk.created) is int else None,
                )
            )
        choice = chunk.choices[0] if chunk.choices else None
        failure = self._look(chunk, choice)
        if failure is not None:
            events.append(Failed(failure))
        elif choice is not None and choice.index == 0 and choice.delta is not None:
            events += self._read(choice.delta)
        return events

    def _look(self, chunk: _Chunk, choice: _Choice | None) -> dict[str, Any] | None:
        """Take in usage and finish reason; return the failure that a chunk tells of."""
        if chunk.usage is not None:
            self._usage = chunk.usage
        elif chunk.x_groq is not None and isinstance(chunk.x_groq, dict):
            self._usage = chunk.x_groq.get("usage") or self._usage
        failure = error_object(chunk.error)
        if choice is None:
            return failure
        if choice.usage is not None:
            self._usage = choice.usage
        if choice.finish_reason == "error" or choice.error:
            return failure or error_object(choice.error) or {"message": "unknown error"}
        if type(choice.finish_reason) is str and choice.index == 0:
            self._stop = choice.finish_reason
        return failure

    def _read(self, delta: _Delta) -> Iterator[Event]:
        thought = delta.reasoning_content or delta.reasoning
        if thought and type(thought) is str:
            field = "reasoning_content" if delta.reasoning_content else "reasoning"
            yield from self._begin(field, Reasoning(signed_by=DIALECT))
            yield ReasoningDelta(self._next - 1, thought)
        text = delta.content
        if text:
            text = text if type(text) is str else _text_of_parts(text)
            yield from self._begin("text", Text(text=""))
            yield TextDelta(self._next - 1, text)
        if delta.refusal and type(delta.refusal) is str:
            yield from self._begin("refusal", Refusal(text=""))
            yield TextDelta(self._next - 1, delta.refusal)
        if delta.images:
            yield from self._read_images(delta.images)
        if delta.tool_calls:
            for call in delta.tool_calls if type(delta.tool_calls) is list else ():
                yield from self._read_call(call)
        elif delta.function_call:
            yield from self._read_call({"index": 0, "function": delta.function_call})

    def _begin(self, kind: str, head: Head) -> Iterator[Event]:
        if self._open is not None:
            if self._open[0] == kind:
                return
            yield from self._stop_block(self._open)
        self._open = (kind, self._next)
        yield BlockStarted(self._next, head)
        self._next += 1

    def _stop_block(self, opened: tuple[str, int]) -> Iterator[Event]:
        """End a block; the name of a reasoning field stands for its seal."""
        if opened[0] in ("reasoning", "reasoning_content"):
            yield SignatureDelta(opened[1], opened[0], DIALECT)
        yield BlockStopped(opened[1])

    def _read_images(self, images: Any) -> Iterator[Event]:
        for image in images if type(images) is list else ():
            located = image.get("image_url") if type(image) is dict else None
            url = located.get("url") if type(located) is dict else None
            if type(url) is str:
                yield from self._begin(f"image{self._next}", Image(url=url))

    def _read_call(self, call: Any) -> Iterator[Event]:
        """Read a piece of a tool's call; nothing empty ever comes of it."""
        if type(call) is not dict:
            return
        number = call.get("index")
        number = number if type(number) is int else len(self._calls)
        asked = call.get("function") or call.get("custom")
        asked = asked if type(asked) is dict else {}
        fragment = _text(asked.get("arguments") or asked.get("input"))
        index = self._calls.get(number)
        if index is None:
            held = self._pending.setdefault(number, {"id": "", "name": "", "arguments": ""})
            held["id"] = held["id"] or _text(call.get("id"))
            held["name"] = held["name"] or _text(asked.get("name"))
            held["arguments"] += fragment
            if not held["name"]:
                return
            del self._pending[number]
            index = self._calls[number] = self._next
            head = ToolCall(
                id=held["id"] or f"call_{self._name}_{number}",
                name=held["name"],
                is_custom="custom" in call,
            )
            yield from self._begin(f"call{number}", head)
            fragment = held["arguments"]
        if fragment:
            yield ArgumentsDelta(index, fragment)

    def end(self) -> Sequence[Event]:
        """Tell that upstream's stream has ended; a finish reason makes it whole."""
        return () if self.is_done or self._stop is None else self._finish()

    def _finish(self) -> Sequence[Event]:
        self.is_done = True
        stop = FROM_CHAT.get(self._stop, Stop.END) if self._stop is not None else None
        if stop is Stop.END and self._calls:
            stop = Stop.TOOLS
        ended = Ended(stop=stop, reading=self.reading)
        if self._open is None:
            return (ended,)
        return (*self._stop_block(self._open), ended)

    @property
    def reading(self) -> Reading:
        """What the usage said so far."""
        return read_usage(self._usage)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _text_of_parts(parts: Any) -> str:
    if type(parts) is not list:
        return ""
    return "".join(
        part["text"] for part in parts if type(part) is dict and type(part.get("text")) is str
    )


class ChatWriter:
    """Makes a client's stream of neutral events, as OpenAI's own streams look.

    The role comes first, each call with its index, id and name before its arguments, the finish
    reason in a chunk of its own, then the usage if it was asked for, and `[DONE]`.
    """

    def __init__(self, generation_id: str, model: str, *, created: int, wants_usage: bool) -> None:
        self._head = encode(
            {
                "id": generation_id,
                "object": "chat.completion.chunk",
                "created": created,
                "model": model,
            }
        )[:-1]
        self._wants_usage = wants_usage
        tail = b',"usage":null}\n\n' if wants_usage else b"}\n\n"
        self._before = b"data: " + self._head + b',"choices":[{"index":0,"delta":'
        self._after = b',"logprobs":null,"finish_reason":null}]' + tail
        self._blocks: dict[int, Head] = {}
        self._calls: dict[int, int] = {}
        self._bare: set[int] = set()
        self._thoughts = 0

    def write(self, event: Event) -> bytes:
        """Return what the client is sent for an event, nothing for `Ended` and `Failed`."""
        write = _WRITERS.get(type(event))
        return b"" if write is None else write(self, event)

    def _chunk(self, delta: dict[str, Any]) -> bytes:
        return self._before + encode(delta) + self._after

    def start(self, event: Started) -> bytes:
        """Begin with the role, as OpenAI does."""
        del event
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def start_block(self, event: BlockStarted) -> bytes:
        """Begin a block; only calls, hidden thinking and pictures tell anything now."""
        head = event.head
        self._blocks[event.index] = head
        if isinstance(head, ToolCall):
            return self._start_call(event.index, head)
        if isinstance(head, Reasoning):
            self._thoughts += 1
            if head.encrypted is not None:
                return self._detail(
                    head.signed_by, {"type": "reasoning.encrypted", "data": head.encrypted}
                )
        if isinstance(head, Image):
            picture = {"type": "image_url", "image_url": {"url": head.data_url}}
            return self._chunk({"images": [picture]})
        return b""

    def _start_call(self, index: int, head: ToolCall) -> bytes:
        number = self._calls[index] = len(self._calls)
        kind, field = ("custom", "input") if head.is_custom else ("function", "arguments")
        called = {
            "index": number,
            "id": head.id,
            "type": kind,
            kind: {"name": head.name, field: ""},
        }
        if not head.is_custom:
            self._bare.add(index)
        written = self._chunk({"tool_calls": [called]})
        if head.signature is not None:
            written += self._seal(head.id, head.signature, head.signed_by)
        return written

    def _seal(self, call_id: str, signature: str, signed_by: str | None) -> bytes:
        sealed = {"type": "reasoning.encrypted", "id": call_id, "data": signature}
        return self._detail(signed_by, sealed)

    def _detail(self, signed_by: str | None, detail: dict[str, Any]) -> bytes:
        told = {**detail, "format": FORMAT_OF.get(signed_by or "", "unknown")}
        return self._chunk({"reasoning_details": [{**told, "index": max(self._thoughts - 1, 0)}]})

    def add_text(self, event: TextDelta) -> bytes:
        """Add to the content, or to a refusal."""
        if type(self._blocks.get(event.index)) is Refusal:
            return self._chunk({"refusal": event.text})
        return self._before + b'{"content":' + encode(event.text) + b"}" + self._after

    def add_thought(self, event: ReasoningDelta) -> bytes:
        """Add to the reasoning; what is sealed is told in detail too, so that it can come back."""
        head = self._blocks.get(event.index)
        delta: dict[str, Any] = {"reasoning": event.text}
        if isinstance(head, Reasoning) and head.signed_by in FORMAT_OF:
            kind = "text" if event.summary_index is None else "summary"
            delta["reasoning_details"] = [
                {
                    "type": f"reasoning.{kind}",
                    kind: event.text,
                    "format": FORMAT_OF[head.signed_by],
                    "index": max(self._thoughts - 1, 0),
                }
            ]
        return self._chunk(delta)

    def add_signature(self, event: SignatureDelta) -> bytes:
        """Seal reasoning, or a call."""
        head = self._blocks.get(event.index)
        if isinstance(head, ToolCall):
            return self._seal(head.id, event.signature, event.signed_by)
        return self._detail(
            event.signed_by, {"type": "reasoning.text", "signature": event.signature}
        )

    def add_arguments(self, event: ArgumentsDelta) -> bytes:
        """Add to a call's arguments."""
        number, head = self._calls.get(event.index), self._blocks.get(event.index)
        if number is None or not event.fragment:
            return b""
        self._bare.discard(event.index)
        is_custom = isinstance(head, ToolCall) and head.is_custom
        kind, field = ("custom", "input") if is_custom else ("function", "arguments")
        return self._chunk({"tool_calls": [{"index": number, kind: {field: event.fragment}}]})

    def stop_block(self, event: BlockStopped) -> bytes:
        """End a block; a call without arguments has an empty object of them, as OpenAI's have."""
        if event.index not in self._bare:
            return b""
        return self.add_arguments(ArgumentsDelta(event.index, "{}"))

    def finish(
        self,
        ended: Ended,
        usage: Usage | None,
        usage_extra: Mapping[str, Any],
        *,
        is_estimated: bool,
    ) -> bytes:
        """Return the end of a sound stream: finish reason, usage where asked for, `[DONE]`."""
        stop = ended.stop or Stop.END
        if stop is Stop.END and self._calls:
            stop = Stop.TOOLS
        choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": TO_CHAT[stop]}
        last = self._event({"choices": [choice], **({"usage": None} if self._wants_usage else {})})
        if not self._wants_usage:
            return last + DONE
        shown = usage_object(usage, is_estimated=is_estimated) if usage is not None else {}
        return last + self._event({"choices": [], "usage": {**shown, **usage_extra}}) + DONE

    def error_event(self, rendered: Mapping[str, Any]) -> bytes:
        """Return the last event of a stream that failed; no `[DONE]` follows it."""
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
        return self._event({"error": rendered.get("error", rendered), "choices": [choice]})

    def _event(self, rest: dict[str, Any]) -> bytes:
        return b"data: " + self._head + b"," + encode(rest)[1:] + b"\n\n"


_WRITERS: dict[type, Any] = {
    Started: ChatWriter.start,
    BlockStarted: ChatWriter.start_block,
    TextDelta: ChatWriter.add_text,
    ReasoningDelta: ChatWriter.add_thought,
    SignatureDelta: ChatWriter.add_signature,
    ArgumentsDelta: ChatWriter.add_arguments,
    BlockStopped: ChatWriter.stop_block,
}
