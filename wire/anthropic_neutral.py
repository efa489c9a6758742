"""Anthropic's Messages on either side of the neutral form: as clients and as providers speak it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from wire.anthropic_answer import message_id
from wire.anthropic_events import MessagesReader, MessagesWriter
from wire.anthropic_read import DIALECT, read_request
from wire.anthropic_usage import read_usage, usage_object
from wire.anthropic_write import write_request
from wire.chat_content import error_object
from wire.neutral import (
    Audio,
    Block,
    Dropped,
    Image,
    Item,
    Message,
    Other,
    Reasoning,
    Refusal,
    Request,
    Target,
    Text,
    ToolCall,
)
from wire.neutral_answer import Answer
from wire.seals import seal, seal_of_call
from wire.stops import FROM_MESSAGES, TO_MESSAGES, Stop
from wire.strict_json import encode
from wire.usage import Usage

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class MessagesClient:
    """How a client of this dialect asks and is answered."""

    dialect = DIALECT

    def read_request(self, body: dict[str, Any]) -> Request:
        """Read a body that `MessagesCall` has checked.

        Raises: InvalidParameterError.
        """
        return read_request(body)

    def write_answer(
        self,
        answer: Answer,
        generation_id: str,
        model: str,
        usage: Usage | None,
        usage_extra: Mapping[str, Any],
        *,
        created: int,
        is_estimated: bool,
    ) -> bytes:
        """Return a plain answer for the client; `created` has no place in it."""
        del created
        shown = usage_object(usage or Usage(), is_estimated=is_estimated)
        return encode(
            {
                "id": message_id(generation_id),
                "type": "message",
                "role": "assistant",
                "model": model,
                "content": [block for item in answer.items for block in _written(item)],
                "stop_reason": TO_MESSAGES[stop_of(answer)],
                "stop_sequence": answer.stop_sequence,
                "usage": {**shown, **usage_extra},
            }
        )

    def new_writer(
        self, generation_id: str, model: str, *, created: int, wants_usage: bool, request: Request
    ) -> MessagesWriter:
        """Return what writes a streamed answer."""
        del created, wants_usage, request
        return MessagesWriter(generation_id, model)


class MessagesUpstream:
    """How a provider of this dialect is asked and answers."""

    dialect = DIALECT
    api = "messages"

    def path(self, target: Target, *, is_streamed: bool) -> str:
        """Return the path below the provider's base URL."""
        del target, is_streamed
        return "/messages"

    def write_request(self, request: Request, target: Target, dropped: Dropped) -> dict[str, Any]:
        """Return the body for a provider.

        Raises: UnsupportedByModelError, InvalidParameterError.
        """
        return write_request(request, target, dropped)

    def read_answer(self, raw: bytes) -> Answer:
        """Read a plain answer.

        Raises: ValueError for what is none of this dialect.
        """
        try:
            fields = _decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError("it isn't a message") from error
        failure = error_object(fields.get("error"))
        content, told = fields.get("content"), fields.get("stop_reason")
        if failure is None and not isinstance(content, list):
            raise ValueError("it has neither content nor an error")
        return Answer(
            items=_items(content or []),
            stop=FROM_MESSAGES.get(told, Stop.END) if isinstance(told, str) else None,
            stop_sequence=fields.get("stop_sequence"),
            reading=read_usage(fields.get("usage")),
            id=fields.get("id") if isinstance(fields.get("id"), str) else None,
            error=failure,
        )

    def new_reader(self) -> MessagesReader:
        """Return what reads a streamed answer."""
        return MessagesReader()


def stop_of(answer: Answer) -> Stop:
    """Return why an answer ended; some vendors say it just ended where it calls tools."""
    stop = answer.stop or Stop.END
    if stop is Stop.END and any(type(item) is ToolCall for item in answer.items):
        return Stop.TOOLS
    return stop


def _items(content: list[Any]) -> tuple[Item, ...]:
    items: list[Item] = []
    said: list[Block] = []
    for block in content:
        if type(block) is not dict:
            raise ValueError("a block of the message is no object")
        item = _read(block)
        if isinstance(item, Text | Other):
            said.append(item)
            continue
        if said:
            items.append(Message(role="assistant", content=tuple(said)))
            said = []
        items.append(item)
    if said:
        items.append(Message(role="assistant", content=tuple(said)))
    return tuple(items)


def _read(block: dict[str, Any]) -> Text | Other | Reasoning | ToolCall:
    kind = block.get("type")
    if kind == "text":
        citations = block.get("citations")
        extra = {DIALECT: {"citations": citations}} if citations else None
        return Text(text=str(block.get("text") or ""), extra=extra)
    if kind == "thinking":
        signature = block.get("signature") or None
        return Reasoning(
            text=str(block.get("thinking") or ""), signature=signature, signed_by=DIALECT
        )
    if kind == "redacted_thinking":
        return Reasoning(encrypted=str(block.get("data")), signed_by=DIALECT)
    if kind == "tool_use":
        return ToolCall(
            id=str(block.get("id")),
            name=str(block.get("name")),
            arguments=encode(block.get("input") or {}).decode(),
        )
    return Other(dialect=DIALECT, kind=str(kind), value=block)


def _written(item: Item) -> list[dict[str, Any]]:
    """Write one item as blocks of an answer."""
    if isinstance(item, Message):
        return [block for said in item.content for block in _said(said)]
    if isinstance(item, Reasoning):
        return thoughts(item)
    if isinstance(item, ToolCall):
        before = call_seal(item)
        called = {
            "type": "tool_use",
            "id": item.id,
            "name": item.name,
            "input": input_of(item),
        }
        return [*before, called]
    if isinstance(item, Other) and item.dialect == DIALECT:
        return [item.value]
    return []


def _said(block: Block) -> list[dict[str, Any]]:
    if isinstance(block, Text | Refusal):
        return [{"type": "text", "text": block.text}] if block.text else []
    if isinstance(block, Other):
        return [block.value] if block.dialect == DIALECT else []
    return [{"type": "text", "text": media_text(block)}]


def media_text(block: Block) -> str:
    """Return what stands for a picture or sound that a model made: the dialect has none."""
    if isinstance(block, Image):
        return f"![image]({block.data_url})"
    if isinstance(block, Audio):
        return block.transcript or ""
    return ""


def thoughts(item: Reasoning) -> list[dict[str, Any]]:
    """Write thinking; what another vendor sealed goes along as a signature that isn't read."""
    text = item.text or "\n\n".join(item.summary)
    if item.signed_by == DIALECT:
        if item.encrypted is not None:
            return [{"type": "redacted_thinking", "data": item.encrypted}]
        return [{"type": "thinking", "thinking": text, "signature": item.signature or ""}]
    hidden = seal(item)
    if text:
        return [{"type": "thinking", "thinking": text, "signature": hidden}]
    return [{"type": "redacted_thinking", "data": hidden}] if hidden else []


def call_seal(item: ToolCall) -> list[dict[str, Any]]:
    """Write what a vendor seals a call with as redacted thinking before it."""
    if item.signature is None:
        return []
    return [{"type": "redacted_thinking", "data": seal_of_call(item)}]


def input_of(item: ToolCall) -> Any:
    """Return the arguments as an object; what can't be read as one is kept as its text."""
    if item.is_custom:
        return {"input": item.arguments}
    try:
        value = msgspec.json.decode(item.arguments or "{}")
    except msgspec.MsgspecError:
        value = None
    return value if isinstance(value, dict) else {"arguments": item.arguments}


CLIENT = MessagesClient()
UPSTREAM = MessagesUpstream()
