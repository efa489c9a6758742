"""Streams of OpenAI's Responses, written for a client from the neutral events.

Source: the types of openai-python 3.52, `responses/response_stream_event.py` (read 2026-11-21).
"""

from collections.abc import Mapping
from typing import Any

from wire.neutral import Other, Reasoning, Refusal, Request, Text, ToolCall
from wire.neutral_answer import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    OtherDelta,
    ReasoningDelta,
    SignatureDelta,
    Started,
    TextDelta,
)
from wire.responses_answer import response_id
from wire.responses_output import (
    BROKE_OFF,
    call_item,
    media_text,
    response_object,
    sealed_call,
    thought_item,
)
from wire.responses_read import DIALECT
from wire.responses_stream import failure, frame
from wire.responses_usage import usage_object
from wire.stops import TO_RESPONSES_INCOMPLETE, Stop
from wire.strict_json import encode
from wire.usage import Usage

_PARTS: dict[Any, tuple[str, str]] = {
    Text: ("output_text", "text"),
    Refusal: ("refusal", "refusal"),
}


class _Block:
    """A block on its way: its item's place and id, and all that came of it."""

    __slots__ = ("after", "before", "content_index", "head", "item_id", "place", "seals", "texts")

    def __init__(self, head: Any, item_id: str, place: int, content_index: int = 0) -> None:
        self.head = head
        self.item_id = item_id
        self.place = place
        self.content_index = content_index
        self.texts: dict[int, list[str]] = {}
        self.seals: list[SignatureDelta] = []
        self.before = b""
        self.after = b""

    def add(self, text: str, part: int = 0) -> None:
        self.texts.setdefault(part, []).append(text)

    @property
    def text(self) -> str:
        return "".join(self.texts.get(0, ()))


class ResponsesWriter:
    """Makes a client's stream of neutral events, as OpenAI's own streams look.

    Texts that follow each other are parts of one message. What was thought is shown as a summary,
    which all clients know, also where a vendor tells the thoughts themselves.
    """

    def __init__(
        self, generation_id: str, model: str, *, created: int, request: Request | None = None
    ) -> None:
        self._name = generation_id.removeprefix("gen-")
        self._response = response_object(response_id(generation_id), model, created, request)
        self._number = 0
        self._output: dict[int, dict[str, Any]] = {}
        self._next_place = 0
        self._blocks: dict[int, _Block] = {}
        self._message: tuple[int, str] | None = None
        self._parts: list[dict[str, Any] | None] = []

    def write(self, event: Event) -> bytes:
        """Return what the client is sent for an event, nothing for `Ended` and `Failed`."""
        write = _WRITERS.get(type(event))
        return b"" if write is None else write(self, event)

    def _event(self, kind: str, **fields: Any) -> bytes:
        told = {"type": kind, **fields, "sequence_number": self._number}
        self._number += 1
        return frame(kind, encode(told))

    def start(self, event: Started) -> bytes:
        """Begin the response."""
        del event
        created = self._event("response.created", response=self._response)
        return created + self._event("response.in_progress", response=self._response)

    def start_block(self, event: BlockStarted) -> bytes:
        """Begin a part of the message, or an item."""
        head = event.head
        if type(head) in _PARTS:
            return self._start_text(event.index, head)
        written = self._stop_message()
        if isinstance(head, ToolCall):
            if head.signature is not None:
                written += self._whole("rs", sealed_call(head))
            block = self._open(event.index, head, "ctc" if head.is_custom else "fc")
            item = call_item(head, block.item_id, "", "in_progress")
            self._prepare(
                block, "custom_tool_call_input" if head.is_custom else "function_call_arguments"
            )
            return written + self._added(block.place, item)
        if isinstance(head, Reasoning):
            block = self._open(event.index, head, "rs")
            item = {"id": block.item_id, "type": "reasoning", "summary": []}
            return written + self._added(block.place, item)
        if isinstance(head, Other):
            return written + (self._whole("it", head.value) if head.dialect == DIALECT else b"")
        text = media_text(head)  # type: ignore[arg-type]
        return written + self._whole_text(event.index, text)

    def _open(self, index: int, head: Any, prefix: str) -> _Block:
        place, self._next_place = self._next_place, self._next_place + 1
        block = self._blocks[index] = _Block(head, f"{prefix}_{self._name}_{place}", place)
        return block

    def _prepare(self, block: _Block, kind: str, **fields: Any) -> None:
        """Encode what all deltas of a block share."""
        told = {"item_id": block.item_id, "output_index": block.place, **fields}
        name = f"response.{kind}.delta".encode()
        head = encode(told)[1:-1]
        block.before = b'event: %b\ndata: {"type":"%b",%b,"delta":' % (name, name, head)

    def _delta(self, block: _Block, text: str) -> bytes:
        number, self._number = self._number, self._number + 1
        return b'%b%b%b,"sequence_number":%d}\n\n' % (
            block.before,
            encode(text),
            block.after,
            number,
        )

    def _added(self, place: int, item: dict[str, Any]) -> bytes:
        return self._event("response.output_item.added", output_index=place, item=item)

    def _done(self, place: int, item: dict[str, Any]) -> bytes:
        self._output[place] = item
        return self._event("response.output_item.done", output_index=place, item=item)

    def _whole(self, prefix: str, item: dict[str, Any]) -> bytes:
        place, self._next_place = self._next_place, self._next_place + 1
        item = {"id": f"{prefix}_{self._name}_{place}", **item}
        return self._added(place, item) + self._done(place, item)

    def _whole_text(self, index: int, text: str) -> bytes:
        if not text:
            return b""
        begun = self._start_text(index, Text(text=""))
        return begun + self.add_text(TextDelta(index, text))

    def _start_text(self, index: int, head: Any) -> bytes:
        written = b""
        if self._message is None:
            place, self._next_place = self._next_place, self._next_place + 1
            self._message, self._parts = (place, f"msg_{self._name}_{place}"), []
            written = self._added(place, self._message_item("in_progress"))
        place, item_id = self._message
        block = _Block(head, item_id, place, len(self._parts))
        self._blocks[index] = block
        self._parts.append(None)
        kind, _ = _PARTS[type(head)]
        self._prepare(block, kind, content_index=block.content_index)
        block.after = b',"logprobs":[]' if kind == "output_text" else b""
        return written + self._part_event("added", block, _part(head, ""))

    def _message_item(self, status: str) -> dict[str, Any]:
        assert self._message is not None  # noqa: S101 - asked for only then
        return {
            "id": self._message[1],
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [part for part in self._parts if part is not None],
        }

    def _part_event(self, what: str, block: _Block, part: dict[str, Any]) -> bytes:
        return self._event(
            f"response.content_part.{what}",
            item_id=block.item_id,
            output_index=block.place,
            content_index=block.content_index,
            part=part,
        )

    def add_text(self, event: TextDelta) -> bytes:
        """Add to a text or a refusal."""
        block = self._blocks.get(event.index)
        if block is None or not event.text:
            return b""
        return self._add(block, event.text)

    def add_arguments(self, event: ArgumentsDelta) -> bytes:
        """Add to the arguments of a call."""
        block = self._blocks.get(event.index)
        if block is None or not event.fragment:
            return b""
        return self._add(block, event.fragment)

    def add_thought(self, event: ReasoningDelta) -> bytes:
        """Add to the summary; a new part of it ends the one before."""
        block = self._blocks.get(event.index)
        if block is None or not event.text:
            return b""
        part, written = event.summary_index or 0, b""
        if part not in block.texts:
            written = self._stop_summary(block)
            written += self._event(
                "response.reasoning_summary_part.added",
                item_id=block.item_id,
                output_index=block.place,
                summary_index=len(block.texts),
                part={"type": "summary_text", "text": ""},
            )
            self._prepare(block, "reasoning_summary_text", summary_index=len(block.texts))
        block.add(event.text, part)
        return written + self._delta(block, event.text)

    def _stop_summary(self, block: _Block) -> bytes:
        if not block.texts:
            return b""
        number = len(block.texts) - 1
        text = "".join(list(block.texts.values())[-1])
        where = {
            "item_id": block.item_id,
            "output_index": block.place,
            "summary_index": number,
        }
        done = self._event("response.reasoning_summary_text.done", **where, text=text)
        part = {"type": "summary_text", "text": text}
        return done + self._event("response.reasoning_summary_part.done", **where, part=part)

    def add_signature(self, event: SignatureDelta) -> bytes:
        """Keep a seal until its block ends."""
        block = self._blocks.get(event.index)
        if block is not None:
            block.seals.append(event)
        return b""

    def add_other(self, event: OtherDelta) -> bytes:
        """Leave out what only another dialect knows."""
        del event
        return b""

    def stop_block(self, event: BlockStopped) -> bytes:
        """End a block."""
        block = self._blocks.pop(event.index, None)
        if block is None:
            return b""
        if isinstance(block.head, ToolCall):
            return self._stop_call(block)
        if isinstance(block.head, Reasoning):
            return self._stop_reasoning(block)
        kind, field = _PARTS[type(block.head)]
        part = _part(block.head, block.text)
        more: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
        done = self._event(
            f"response.{kind}.done",
            item_id=block.item_id,
            output_index=block.place,
            content_index=block.content_index,
            **{field: block.text},
            **more,
        )
        if self._message is not None and self._message[0] == block.place:
            self._parts[block.content_index] = part
        return done + self._part_event("done", block, part)

    def _add(self, block: _Block, text: str) -> bytes:
        block.add(text)
        return self._delta(block, text)

    def _stop_call(self, block: _Block) -> bytes:
        head: ToolCall = block.head
        name, field = ("function_call_arguments", "arguments")
        if head.is_custom:
            name, field = ("custom_tool_call_input", "input")
        done = b""
        if not block.text and not head.is_custom:
            done = self._add(block, "{}")
        text = block.text
        done += self._event(
            f"response.{name}.done",
            item_id=block.item_id,
            output_index=block.place,
            **{field: text},
        )
        written = b""
        if block.seals:
            signature = "".join(seal.signature for seal in block.seals)
            by = block.seals[0].signed_by
            sealed = ToolCall(id=head.id, name=head.name, signature=signature, signed_by=by)
            written = self._whole("rs", sealed_call(sealed))
        item = call_item(head, block.item_id, text, "completed")
        return done + self._done(block.place, item) + written

    def _stop_reasoning(self, block: _Block) -> bytes:
        head: Reasoning = block.head
        summary = tuple("".join(texts) for texts in block.texts.values())
        signature, signed_by = head.signature, head.signed_by
        if block.seals:
            signature = "".join(seal.signature for seal in block.seals)
            signed_by = block.seals[0].signed_by
        thought = Reasoning(
            summary=summary,
            signature=signature,
            encrypted=head.encrypted,
            signed_by=signed_by,
            id=head.id,
        )
        item = {"id": block.item_id, **thought_item(thought)}
        return self._stop_summary(block) + self._done(block.place, item)

    def _stop_message(self) -> bytes:
        """End the message that is open; its parts that are still on their way with it."""
        if self._message is None:
            return b""
        place = self._message[0]
        written = b""
        for index, block in list(self._blocks.items()):
            if block.place == place:
                written += self.stop_block(BlockStopped(index))
        written += self._done(place, self._message_item("completed"))
        self._message = None
        return written

    def _stop_all(self) -> bytes:
        written = self._stop_message()
        for index in list(self._blocks):
            written += self.stop_block(BlockStopped(index))
        return written

    def finish(
        self,
        ended: Ended,
        usage: Usage | None,
        usage_extra: Mapping[str, Any],
        *,
        is_estimated: bool,
    ) -> bytes:
        """Return the end of a sound stream, with its usage."""
        written = self._stop_all()
        reason = TO_RESPONSES_INCOMPLETE.get(ended.stop) if ended.stop is not None else None
        status = "completed" if reason is None else "incomplete"
        error = None
        if ended.stop is Stop.ERROR:
            status, error = "failed", BROKE_OFF
        response = {
            **self._response,
            "status": status,
            "error": error,
            "completed_at": self._response["created_at"] if status == "completed" else None,
            "incomplete_details": None if reason is None else {"reason": reason},
            "output": [self._output[place] for place in sorted(self._output)],
            "usage": {**usage_object(usage or Usage(), is_estimated=is_estimated), **usage_extra},
        }
        return written + self._event(f"response.{status}", response=response)

    def error_event(self, rendered: Mapping[str, Any]) -> bytes:
        """Return the last event of a stream that failed."""
        error = failure(rendered)
        if self._number == 0:
            told = {name: error[name] for name in ("code", "message", "param")}
            return self._event("error", **told)
        output = [self._output[place] for place in sorted(self._output)]
        response = {**self._response, "status": "failed", "error": error, "output": output}
        return self._event("response.failed", response=response)


def _part(head: Any, text: str) -> dict[str, Any]:
    if isinstance(head, Refusal):
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


_WRITERS: dict[type, Any] = {
    Started: ResponsesWriter.start,
    BlockStarted: ResponsesWriter.start_block,
    TextDelta: ResponsesWriter.add_text,
    ReasoningDelta: ResponsesWriter.add_thought,
    SignatureDelta: ResponsesWriter.add_signature,
    ArgumentsDelta: ResponsesWriter.add_arguments,
    OtherDelta: ResponsesWriter.add_other,
    BlockStopped: ResponsesWriter.stop_block,
}
