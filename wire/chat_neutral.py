"""OpenAI's chat on either side of the neutral form: as clients and as providers speak it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from errors import InvalidParameterError
from wire.chat_content import error_object
from wire.chat_events import FORMAT_OF, ChatReader, ChatWriter
from wire.chat_read import read_call, read_content, read_request
from wire.chat_reasoning import DIALECT, read_reasoning
from wire.chat_usage import read_usage, usage_object
from wire.chat_write import write_request
from wire.neutral import (
    Audio,
    Dropped,
    Image,
    Item,
    Message,
    Reasoning,
    Refusal,
    Request,
    Target,
    Text,
    ToolCall,
)
from wire.neutral_answer import Answer
from wire.stops import FROM_CHAT, TO_CHAT, Stop
from wire.strict_json import encode
from wire.usage import Usage

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class ChatClient:
    """How a client of this dialect asks and is answered."""

    dialect = DIALECT

    def read_request(self, body: dict[str, Any]) -> Request:
        """Read a body that `ChatCall` has checked.

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
        """Return a plain answer for the client; without usage it has only `usage_extra`."""
        shown = usage_object(usage, is_estimated=is_estimated) if usage is not None else {}
        message = _message(answer.items)
        stop = answer.stop or Stop.END
        if stop is Stop.END and "tool_calls" in message:
            stop = Stop.TOOLS
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": TO_CHAT[stop],
        }
        return encode(
            {
                "id": generation_id,
                "object": "chat.completion",
                "created": created,
                "model": model,
                "choices": [choice],
                "usage": {**shown, **usage_extra},
            }
        )

    def new_writer(
        self, generation_id: str, model: str, *, created: int, wants_usage: bool, request: Request
    ) -> ChatWriter:
        """Return what writes a streamed answer."""
        del request
        return ChatWriter(generation_id, model, created=created, wants_usage=wants_usage)


class ChatUpstream:
    """How a provider of this dialect is asked and answers."""

    dialect = DIALECT
    api = "chat"

    def path(self, target: Target, *, is_streamed: bool) -> str:
        """Return the path below the provider's base URL."""
        del target, is_streamed
        return "/chat/completions"

    def write_request(self, request: Request, target: Target, dropped: Dropped) -> dict[str, Any]:
        """Return the body for a provider.

        Raises: UnsupportedByModelError, InvalidParameterError.
        """
        return write_request(request, target, dropped)

    def read_answer(self, raw: bytes) -> Answer:
        """Read a plain answer: of several choices the first.

        Raises: ValueError for what is none of this dialect.
        """
        try:
            fields = _decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError("it isn't a chat completion") from error
        failure = error_object(fields.get("error"))
        choices = fields.get("choices") or []
        if failure is None and "choices" not in fields:
            raise ValueError("it has neither choices nor an error")
        choice = _object(choices[0] if isinstance(choices, list) and choices else {})
        told = choice.get("finish_reason")
        if told == "error" or choice.get("error"):
            failure = failure or error_object(choice.get("error")) or {"message": "unknown error"}
        try:
            items = _items(_object(choice.get("message") or {}))
        except (KeyError, TypeError, AttributeError, InvalidParameterError) as error:
            raise ValueError("it has a message that makes no sense") from error
        usage = fields.get("usage")
        created = fields.get("created")
        return Answer(
            items=items,
            stop=FROM_CHAT.get(told, Stop.END) if isinstance(told, str) else None,
            reading=read_usage(choice.get("usage") if usage is None else usage),
            id=fields.get("id") if isinstance(fields.get("id"), str) else None,
            created=created if type(created) is int else None,
            error=failure,
        )

    def new_reader(self) -> ChatReader:
        """Return what reads a streamed answer."""
        return ChatReader()


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise ValueError("its choice or message is no object")


def _items(message: dict[str, Any]) -> tuple[Item, ...]:
    items: list[Item] = list(read_reasoning(message))
    content = message.get("content")
    said = list(read_content(content, "content"))
    if message.get("refusal"):
        said.append(Refusal(text=str(message["refusal"])))
    for image in message.get("images") or ():
        said.append(Image(url=image["image_url"]["url"]))
    if isinstance(sound := message.get("audio"), dict):
        said.append(
            Audio(
                data=sound.get("data"),
                file_id=sound.get("id"),
                transcript=sound.get("transcript"),
            )
        )
    if said:
        items.append(Message(role="assistant", content=tuple(said)))
    calls = message.get("tool_calls") or ()
    if not calls and message.get("function_call"):
        calls = ({"id": "call_0", "function": message["function_call"]},)
    items += [read_call(call, f"tool_calls[{index}]", {}) for index, call in enumerate(calls)]
    return tuple(items)


def _message(items: tuple[Item, ...]) -> dict[str, Any]:
    said = [block for item in items if isinstance(item, Message) for block in item.content]
    text = "".join(block.text for block in said if isinstance(block, Text))
    refused = "".join(block.text for block in said if isinstance(block, Refusal))
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text or None,
        "refusal": refused or None,
    }
    images = [
        {"type": "image_url", "image_url": {"url": block.data_url}}
        for block in said
        if isinstance(block, Image)
    ]
    if images:
        message["images"] = images
    thoughts = [item for item in items if isinstance(item, Reasoning)]
    calls = [item for item in items if isinstance(item, ToolCall)]
    details = [_detail(thought, number) for number, thought in enumerate(thoughts)]
    if thought := "".join(item.text or "\n\n".join(item.summary) for item in thoughts):
        message["reasoning"] = thought
    details += [_seal(call, len(thoughts)) for call in calls if call.signature is not None]
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = [_call(item) for item in calls]
    elif not text and not refused:
        message["content"] = ""
    return message


def _detail(thought: Reasoning, number: int) -> dict[str, Any]:
    told: dict[str, Any] = {"format": FORMAT_OF.get(thought.signed_by or "", "unknown")}
    if thought.id is not None:
        told["id"] = thought.id
    told["index"] = number
    if thought.encrypted is not None:
        return {"type": "reasoning.encrypted", "data": thought.encrypted, **told}
    if thought.summary:
        return {"type": "reasoning.summary", "summary": "\n\n".join(thought.summary), **told}
    return {
        "type": "reasoning.text",
        "text": thought.text,
        "signature": thought.signature,
        **told,
    }


def _seal(call: ToolCall, number: int) -> dict[str, Any]:
    told = FORMAT_OF.get(call.signed_by or "", "unknown")
    return {
        "type": "reasoning.encrypted",
        "data": call.signature,
        "id": call.id,
        "format": told,
        "index": number,
    }


def _call(item: ToolCall) -> dict[str, Any]:
    kind, field = ("custom", "input") if item.is_custom else ("function", "arguments")
    return {"id": item.id, "type": kind, kind: {"name": item.name, field: item.arguments}}


CLIENT = ChatClient()
UPSTREAM = ChatUpstream()
