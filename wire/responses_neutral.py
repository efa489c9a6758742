"""OpenAI's Responses on either side of the neutral form: as clients and as providers speak it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from errors import InvalidRequestError
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
from wire.responses_answer import ending, read_response_usage, response_id
from wire.responses_events import ResponsesReader
from wire.responses_output import (
    BROKE_OFF,
    call_item,
    media_text,
    response_object,
    sealed_call,
    thought_item,
)
from wire.responses_read import DIALECT, read_item, read_request
from wire.responses_usage import usage_object
from wire.responses_write import write_request
from wire.responses_writer import ResponsesWriter
from wire.stops import FROM_RESPONSES_INCOMPLETE, TO_RESPONSES_INCOMPLETE, Stop
from wire.strict_json import encode
from wire.usage import LARGEST_COUNT, Usage

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_decode = msgspec.json.Decoder().decode
_MISSHAPEN = (TypeError, KeyError, AttributeError, InvalidRequestError)
_output = msgspec.json.Decoder(list[dict[str, Any]] | None)


class ResponsesClient:
    """How a client of this dialect asks and is answered."""

    dialect = DIALECT

    def read_request(self, body: dict[str, Any]) -> Request:
        """Read a body that `ResponsesCall` has checked.

        Raises: InvalidParameterError, UnsupportedByModelError.
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
        response = response_object(response_id(generation_id), model, created, None)
        reason = TO_RESPONSES_INCOMPLETE.get(answer.stop) if answer.stop is not None else None
        status = "completed" if reason is None else "incomplete"
        if answer.stop is Stop.ERROR:
            status = "failed"
            response["error"] = BROKE_OFF
        shown = {} if usage is None else usage_object(usage, is_estimated=is_estimated)
        response |= {
            "status": status,
            "completed_at": created if status == "completed" else None,
            "incomplete_details": None if reason is None else {"reason": reason},
            "output": list(_written(answer.items, generation_id.removeprefix("gen-"))),
            "usage": {**shown, **usage_extra},
        }
        return encode(response)

    def new_writer(
        self, generation_id: str, model: str, *, created: int, wants_usage: bool, request: Request
    ) -> ResponsesWriter:
        """Return what writes a streamed answer; usage is always in its last event."""
        del wants_usage
        return ResponsesWriter(generation_id, model, created=created, request=request)


class ResponsesUpstream:
    """How a provider of this dialect is asked and answers."""

    dialect = DIALECT
    api = "responses"

    def path(self, target: Target, *, is_streamed: bool) -> str:
        """Return the path below the provider's base URL."""
        del target, is_streamed
        return "/responses"

    def write_request(self, request: Request, target: Target, dropped: Dropped) -> dict[str, Any]:
        """Return the body for a provider.

        Raises: UnsupportedByModelError.
        """
        return write_request(request, target, dropped)

    def read_answer(self, raw: bytes) -> Answer:
        """Read a plain answer.

        Raises: ValueError for what is none of this dialect.
        """
        try:
            if not raw.isascii():
                raw.decode()
            fields = _fields.decode(raw)
            return _answer(fields)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, *_MISSHAPEN) as error:
            raise ValueError("it isn't a response") from error

    def new_reader(self) -> ResponsesReader:
        """Return what reads a streamed answer."""
        return ResponsesReader()


def _answer(fields: dict[str, msgspec.Raw]) -> Answer:
    told = error_object(_decode(fields["error"])) if "error" in fields else None
    if "output" not in fields and told is None:
        raise ValueError("it has neither output nor an error")
    items = _output.decode(fields["output"]) if "output" in fields else None
    read = tuple(read_item(item, "") for item in items or ())
    status, reason, error = ending(fields)
    stop: Stop | None = Stop.END
    if error is not None:
        stop = Stop.ERROR
    elif status == "incomplete":
        stop = FROM_RESPONSES_INCOMPLETE.get(reason or "", Stop.LENGTH)
    elif any(isinstance(item, ToolCall) for item in read):
        stop = Stop.TOOLS
    elif reason is None:
        stop = None
    upstream_id = _decode(fields["id"]) if "id" in fields else None
    return Answer(
        items=read,
        stop=stop,
        reading=read_response_usage(fields, LARGEST_COUNT, LARGEST_COUNT),
        id=upstream_id if isinstance(upstream_id, str) else None,
        error=error,
    )


def _written(items: Iterable[Item], name: str) -> Iterator[dict[str, Any]]:
    place = 0
    for item in items:
        for prefix, written in _items(item):
            yield {"id": f"{prefix}_{name}_{place}", **written}
            place += 1


def _items(item: Item) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(item, Message):
        parts = [part for block in item.content if (part := _part(block)) is not None]
        if parts:
            yield (
                "msg",
                {"type": "message", "status": "completed", "role": "assistant", "content": parts},
            )
    elif isinstance(item, ToolCall):
        if item.signature is not None:
            yield "rs", sealed_call(item)
        written = call_item(item, "", item.arguments, "completed")
        del written["id"]
        yield ("ctc" if item.is_custom else "fc"), written
    elif isinstance(item, Reasoning):
        yield "rs", thought_item(item)
    elif isinstance(item, Other) and item.dialect == DIALECT:
        yield "it", item.value


def _part(block: Block) -> dict[str, Any] | None:
    if isinstance(block, Refusal):
        return {"type": "refusal", "refusal": block.text}
    if isinstance(block, Text):
        text = block.text
    else:
        text = media_text(block) if isinstance(block, Image | Audio) else ""
    if not text:
        return None
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
