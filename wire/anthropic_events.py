"""Streams of Anthropic's Messages: a provider's events read, a client's events written."""

from collections.abc import Mapping, Sequence
from typing import Any

from wire.anthropic_answer import message_id
from wire.anthropic_read import DIALECT
from wire.anthropic_stream import STOP, Delta, Told, error_frame, frame, read_event
from wire.anthropic_usage import merged, read_usage, usage_object
from wire.chat_content import error_object
from wire.chat_usage import Reading, usage_value
from wire.neutral import Audio, Image, Other, Reasoning, Refusal, Text, ToolCall
from wire.neutral_answer import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    Failed,
    Head,
    OtherDelta,
    ReasoningDelta,
    SignatureDelta,
    Started,
    TextDelta,
)
from wire.seals import seal, seal_of_call
from wire.stops import FROM_MESSAGES, TO_MESSAGES, Stop
from wire.strict_json import encode
from wire.usage import Usage

_NO_EVENTS: tuple[Event, ...] = ()


class MessagesReader:
    """Makes neutral events of a provider's. `is_done` as in `neutral_answer.EventReader`."""

    def __init__(self) -> None:
        self.is_done = False
        self._usage: Any = None
        self._stop: str | None = None
        self._stop_sequence: str | None = None

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take the data of one event.

        Raises: ValueError for what isn't of this dialect.
        """
        if self.is_done or data.strip() == b"[DONE]":
            return _NO_EVENTS
        told = read_event(data)
        if told.type == "content_block_delta":
            return _delta(told.index or 0, told.delta)
        read = getattr(self, f"_on_{told.type}", None)
        return read(told) if read is not None else _NO_EVENTS

    def _on_message_start(self, told: Told) -> Sequence[Event]:
        message = told.message or {}
        self._usage = usage_value(message.get("usage"))
        upstream_id = usage_value(message.get("id"))
        return (
            Started(
                id=upstream_id if isinstance(upstream_id, str) else None,
                reading=read_usage(self._usage),
            ),
        )

    def _on_content_block_start(self, told: Told) -> Sequence[Event]:
        block, index = told.content_block or {}, told.index or 0
        head = _head(block)
        if isinstance(head, ToolCall) and block.get("input"):
            arguments = encode(block["input"]).decode()
            return (BlockStarted(index, head), ArgumentsDelta(index, arguments))
        if isinstance(head, Text) and block.get("text"):
            return (BlockStarted(index, head), TextDelta(index, str(block["text"])))
        return (BlockStarted(index, head),)

    def _on_content_block_stop(self, told: Told) -> Sequence[Event]:
        return (BlockStopped(told.index or 0),)

    def _on_message_delta(self, told: Told) -> Sequence[Event]:
        self._usage = merged(self._usage, usage_value(told.usage))
        if told.delta is not None and type(told.delta.stop_reason) is str:
            self._stop = told.delta.stop_reason
            self._stop_sequence = told.delta.stop_sequence
        return _NO_EVENTS

    def _on_message_stop(self, _told: Told) -> Sequence[Event]:
        self.is_done = True
        return (self._ended(),)

    def _on_error(self, told: Told) -> Sequence[Event]:
        return (Failed(error_object(told.error) or {"message": "unknown error"}),)

    def end(self) -> Sequence[Event]:
        """Tell that upstream's stream has ended; a stop reason makes it whole."""
        if self.is_done or self._stop is None:
            return _NO_EVENTS
        self.is_done = True
        return (self._ended(),)

    def _ended(self) -> Ended:
        stop = FROM_MESSAGES.get(self._stop, Stop.END) if self._stop else None
        return Ended(stop=stop, stop_sequence=self._stop_sequence, reading=self.reading)

    @property
    def reading(self) -> Reading:
        """What the usage said so far."""
        return read_usage(self._usage)


def _head(block: dict[str, Any]) -> Head:
    kind = block.get("type")
    if kind == "text":
        return Text(text="")
    if kind == "thinking":
        return Reasoning(signed_by=DIALECT)
    if kind == "redacted_thinking":
        return Reasoning(encrypted=str(block.get("data")), signed_by=DIALECT)
    if kind == "tool_use":
        return ToolCall(id=str(block.get("id")), name=str(block.get("name")))
    return Other(dialect=DIALECT, kind=str(kind), value=block)


def _delta(index: int, delta: Delta | None) -> Sequence[Event]:
    if delta is None:
        return _NO_EVENTS
    kind = delta.type
    if kind == "text_delta":
        return (TextDelta(index, delta.text),) if delta.text else _NO_EVENTS
    if kind == "input_json_delta":
        piece = delta.partial_json
        return (ArgumentsDelta(index, piece),) if piece else _NO_EVENTS
    if kind == "thinking_delta":
        return (ReasoningDelta(index, delta.thinking),) if delta.thinking else _NO_EVENTS
    if kind == "signature_delta" and delta.signature:
        return (SignatureDelta(index, delta.signature, DIALECT),)
    return _NO_EVENTS


class MessagesWriter:
    """Makes a client's stream of neutral events, as Anthropic's own streams look.

    Blocks get this stream's own numbers, as not every block has a form here. A tool's arguments
    are never sent empty, and nothing but a started block is ever added to.
    """

    def __init__(self, generation_id: str, model: str) -> None:
        self._id = generation_id
        self._model = model
        self._index: dict[int, int] = {}
        self._next = 0
        self._has_called = False
        self._thoughts: dict[int, Reasoning] = {}
        self._summaries: dict[int, int] = {}

    def write(self, event: Event) -> bytes:
        """Return what the client is sent for an event, nothing for `Ended` and `Failed`."""
        write = _WRITERS.get(type(event))
        return b"" if write is None else write(self, event)

    def start(self, event: Started) -> bytes:
        """Begin the message; its usage is told at the end where it isn't known yet."""
        usage = event.reading.usage
        shown = usage_object(usage) if usage is not None else {"input_tokens": 0}
        message: dict[str, Any] = {
            "id": message_id(self._id),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**shown, "output_tokens": shown.get("output_tokens", 0)},
        }
        return frame("message_start", encode({"type": "message_start", "message": message}))

    def start_block(self, event: BlockStarted) -> bytes:
        """Begin a block, or more than one where a call is sealed."""
        head, before = event.head, b""
        if isinstance(head, ToolCall):
            self._has_called = True
            if head.signature is not None:
                data = seal_of_call(head)
                before = self._whole({"type": "redacted_thinking", "data": data})
        elif isinstance(head, Reasoning):
            self._thoughts[event.index] = head
            if head.encrypted is not None and head.signed_by != DIALECT:
                return self._whole({"type": "redacted_thinking", "data": seal(head)})
        block = _opened(head)
        if block is None:
            return b""
        number = self._index[event.index] = self._next
        self._next += 1
        started = {"type": "content_block_start", "index": number, "content_block": block}
        opened = before + frame("content_block_start", encode(started))
        if isinstance(head, Image | Audio) and (text := _media(head)):
            opened += self._delta(event.index, {"type": "text_delta", "text": text})
        return opened

    def add_text(self, event: TextDelta) -> bytes:
        """Add to a text."""
        return self._delta(event.index, {"type": "text_delta", "text": event.text})

    def add_thought(self, event: ReasoningDelta) -> bytes:
        """Add to thinking; the parts of a summary are kept apart."""
        text = event.text
        if event.summary_index is not None:
            last = self._summaries.get(event.index, 0)
            if event.summary_index > last:
                text = "\n\n" + text
            self._summaries[event.index] = event.summary_index
        return self._delta(event.index, {"type": "thinking_delta", "thinking": text})

    def add_signature(self, event: SignatureDelta) -> bytes:
        """Seal thinking; a foreign seal is marked as one."""
        if event.index not in self._thoughts:
            return b""
        signature = event.signature
        if event.signed_by != DIALECT:
            signature = seal(Reasoning(signature=signature, signed_by=event.signed_by))
        return self._delta(event.index, {"type": "signature_delta", "signature": signature})

    def add_arguments(self, event: ArgumentsDelta) -> bytes:
        """Add to a tool's arguments."""
        delta = {"type": "input_json_delta", "partial_json": event.fragment}
        return self._delta(event.index, delta) if event.fragment else b""

    def add_other(self, event: OtherDelta) -> bytes:
        """Add what only this dialect knows."""
        return self._delta(event.index, event.value) if event.dialect == DIALECT else b""

    def stop_block(self, event: BlockStopped) -> bytes:
        """End a block."""
        number = self._index.get(event.index)
        return b"" if number is None else _stopped(number)

    def _delta(self, index: int, delta: dict[str, Any]) -> bytes:
        number = self._index.get(index)
        if number is None:
            return b""
        return (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
            % number
            + encode(delta)
            + b"}\n\n"
        )

    def _whole(self, block: dict[str, Any]) -> bytes:
        number, self._next = self._next, self._next + 1
        started = {"type": "content_block_start", "index": number, "content_block": block}
        return frame("content_block_start", encode(started)) + _stopped(number)

    def finish(
        self,
        ended: Ended,
        usage: Usage | None,
        usage_extra: Mapping[str, Any],
        *,
        is_estimated: bool,
    ) -> bytes:
        """Return the end of a sound stream, with its usage."""
        stop = ended.stop or Stop.END
        if stop is Stop.END and self._has_called:
            stop = Stop.TOOLS
        delta = {"stop_reason": TO_MESSAGES[stop], "stop_sequence": ended.stop_sequence}
        shown = usage_object(usage or Usage(), is_estimated=is_estimated)
        told = {"type": "message_delta", "delta": delta, "usage": {**shown, **usage_extra}}
        return frame("message_delta", encode(told)) + STOP

    def error_event(self, rendered: Mapping[str, Any]) -> bytes:
        """Return the last event of a stream that failed."""
        return error_frame(rendered)


def _stopped(number: int) -> bytes:
    return b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % number


def _opened(head: Head) -> dict[str, Any] | None:
    if isinstance(head, Text | Refusal | Image | Audio):
        return {"type": "text", "text": ""}
    if isinstance(head, ToolCall):
        return {"type": "tool_use", "id": head.id, "name": head.name, "input": {}}
    if isinstance(head, Reasoning):
        if head.encrypted is not None:
            return {"type": "redacted_thinking", "data": head.encrypted}
        return {"type": "thinking", "thinking": "", "signature": ""}
    return head.value if head.dialect == DIALECT else None


def _media(head: Image | Audio) -> str:
    if isinstance(head, Image):
        return f"![image]({head.data_url})"
    return head.transcript or ""


_WRITERS: dict[type, Any] = {
    Started: MessagesWriter.start,
    BlockStarted: MessagesWriter.start_block,
    TextDelta: MessagesWriter.add_text,
    ReasoningDelta: MessagesWriter.add_thought,
    SignatureDelta: MessagesWriter.add_signature,
    ArgumentsDelta: MessagesWriter.add_arguments,
    OtherDelta: MessagesWriter.add_other,
    BlockStopped: MessagesWriter.stop_block,
}
