"""A request for a provider that speaks Anthropic's Messages, written from the neutral form.

It is written for API version 2023-06-01: later versions know no temperature, top_p and top_k.

Source: https://platform.claude.com/docs/en/api/messages (read 2026-11-21).
"""

import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from wire import anthropic_models
from wire.anthropic_thinking import add_thinking
from wire.neutral import (
    Audio,
    Block,
    Cache,
    Document,
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
    Tool,
    ToolCall,
    ToolResult,
    invalid,
    own,
    unsupported,
)
from wire.neutral_limits import note_foreign, refuse_unsayable

DIALECT = "messages"
FALLBACK_LIMIT = 8_192
"""The dialect insists on a limit; this is sent where neither client nor catalog has one."""

_ID = re.compile(r"[a-zA-Z0-9_-]+")
_NOT_OF_ID = re.compile(r"[^a-zA-Z0-9_-]")
_NO_INPUT: dict[str, Any] = {"type": "object", "properties": {}}
_decode = msgspec.json.Decoder().decode


def write_request(request: Request, target: Target, dropped: Dropped) -> dict[str, Any]:
    """Return the body for a provider.

    Raises: UnsupportedByModelError, InvalidParameterError.
    """
    refuse_unsayable(request, DIALECT)
    traits = anthropic_models.traits(target.model)
    limit = target.limit(request.output_limit) or target.max_output_tokens or FALLBACK_LIMIT
    if request.output_limit == 0:
        limit = 0
    body: dict[str, Any] = {"model": target.model, "max_tokens": limit}
    writer = _Turns(dropped, has_system_turns=traits.has_system_turns)
    body["messages"] = writer.written(request)
    if writer.system:
        body["system"] = writer.system
    _add_tools(body, request, dropped)
    _add_shape(body, request, dropped)
    _add_sampling(body, request, traits, dropped)
    add_thinking(body, request, target, traits, dropped)
    if request.stop_sequences:
        body["stop_sequences"] = list(request.stop_sequences)
    if request.cache is not None:
        body["cache_control"] = _mark(request.cache)
    if request.user is not None:
        body["metadata"] = {"user_id": request.user}
    if request.is_streamed:
        body["stream"] = True
    body |= own(request.extra, DIALECT)
    note_foreign(request, DIALECT, dropped)
    return body


class _Turns:
    """The conversation, as turns that alternate: neighbors of the same role become one."""

    def __init__(self, dropped: Dropped, *, has_system_turns: bool) -> None:
        self.system: list[dict[str, Any]] = []
        self._turns: list[dict[str, Any]] = []
        self._dropped = dropped
        self._has_system_turns = has_system_turns
        self._name = "reasoning"

    def written(self, request: Request) -> list[dict[str, Any]]:
        self._name = request.param("thoughts")
        for message in request.system:
            self.system += self._blocks(message.content)
        for index, item in enumerate(request.items):
            self._add(item, request.items, index)
        if not self._turns:
            self._take_system_as_turn(request)
        return self._turns

    def _take_system_as_turn(self, request: Request) -> None:
        """The dialect insists on a turn: with only instructions, they are it, and that is told."""
        if not self.system:
            raise invalid("messages", "has nothing in it", "Send a message with content.")
        self._dropped.note(f"{request.system[0].param or 'messages[0]'}.role")
        self._put("user", self.system)
        self.system = []

    def _add(self, item: Item, items: Sequence[Item], index: int) -> None:
        kind = type(item)
        if kind is Message:
            self._add_message(item, items, index)  # type: ignore[arg-type]
        elif kind is ToolCall:
            self._put("assistant", [_call(item)])  # type: ignore[arg-type]
        elif kind is ToolResult:
            self._put("user", [self._result(item)])  # type: ignore[arg-type]
        elif kind is Reasoning:
            self._put("assistant", self._thought(item))  # type: ignore[arg-type]
        else:
            self._put("assistant", self._other(item))  # type: ignore[arg-type]

    def _add_message(self, message: Message, items: Sequence[Item], index: int) -> None:
        blocks = self._blocks(message.content)
        if message.name is not None:
            self._dropped.note("messages.name")
        if message.role in ("user", "assistant"):
            self._put(message.role, blocks)
            return
        if self._has_system_turns and self._may_instruct_here(items, index):
            self._put("system", blocks)
            return
        self._dropped.note(f"{message.param or 'messages'}.role")
        self._put("user", blocks)

    def _may_instruct_here(self, items: Sequence[Item], index: int) -> bool:
        """Instructions may stand after a user's turn, and before the assistant's or the end."""
        if not self._turns or self._turns[-1]["role"] == "assistant":
            return False
        for later in items[index + 1 :]:
            if type(later) is Message and later.role in ("system", "developer"):
                continue
            return type(later) in (ToolCall, Reasoning) or (
                type(later) is Message and later.role == "assistant"
            )
        return True

    def _put(self, role: str, blocks: list[dict[str, Any]]) -> None:
        if not blocks:
            return
        if self._turns and self._turns[-1]["role"] == role:
            self._turns[-1]["content"] += blocks
        else:
            self._turns.append({"role": role, "content": list(blocks)})

    def _result(self, item: ToolResult) -> dict[str, Any]:
        result: dict[str, Any] = {"type": "tool_result", "tool_use_id": _sound_id(item.call_id)}
        if item.content:
            result["content"] = self._blocks(item.content)
        if item.is_error:
            result["is_error"] = True
        if item.cache is not None:
            result["cache_control"] = _mark(item.cache)
        return result | own(item.extra, DIALECT)

    def _blocks(self, content: Sequence[Block]) -> list[dict[str, Any]]:
        """Write blocks; texts with nothing in them are left out, as the API refuses them."""
        written = []
        for block in content:
            if type(block) is Text:
                if block.text:
                    written.append(_text(block))
            elif type(block) is Other:
                written += self._other(block)
            else:
                written.append(_WRITERS[type(block)](block, self._dropped))
        return written

    def _thought(self, item: Reasoning) -> list[dict[str, Any]]:
        """Write thinking that this vendor sealed; it takes none of another's, nor any unsealed."""
        if item.signed_by != DIALECT:
            self._dropped.note(self._name)
            return []
        if item.encrypted is not None:
            return [{"type": "redacted_thinking", "data": item.encrypted}]
        return [{"type": "thinking", "thinking": item.text, "signature": item.signature or ""}]

    def _other(self, block: Other) -> list[dict[str, Any]]:
        if block.dialect == DIALECT:
            return [block.value]
        self._dropped.note(f"{block.param or block.kind} ({block.kind})")
        return []


def _text(block: Text) -> dict[str, Any]:
    written: dict[str, Any] = {"type": "text", "text": block.text}
    if block.cache is not None:
        written["cache_control"] = _mark(block.cache)
    if block.extra is not None:
        written |= own(block.extra, DIALECT)
    return written


def _refusal(block: Refusal, _dropped: Dropped) -> dict[str, Any]:
    return {"type": "text", "text": block.text}


def _image(block: Image, dropped: Dropped) -> dict[str, Any]:
    if block.detail not in (None, "auto"):
        dropped.note("image_url.detail")
    return _with_cache({"type": "image", "source": _source(block)}, block)


def _document(block: Document, _dropped: Dropped) -> dict[str, Any]:
    original = own(block.extra, DIALECT).get("block")
    if original is not None:
        return dict(original)
    source: dict[str, Any]
    if block.text is not None:
        source = {"type": "text", "media_type": "text/plain", "data": block.text}
    else:
        if block.data is not None and block.media_type not in (None, "application/pdf"):
            raise unsupported(
                block.param or "messages", f"this model reads no {block.media_type}", "Send a PDF."
            )
        source = _source(block)
        source.setdefault("media_type", "application/pdf") if block.data is not None else None
    written: dict[str, Any] = {"type": "document", "source": source}
    if block.name is not None:
        written["title"] = block.name
    return _with_cache(written, block)


def _source(block: Image | Document) -> dict[str, Any]:
    if block.data is not None:
        source = {"type": "base64", "data": block.data}
        return source if block.media_type is None else {**source, "media_type": block.media_type}
    if block.file_id is not None:
        if own(block.extra, "chat"):
            raise unsupported(
                block.param or "messages", "a file that another vendor keeps", "Send its content."
            )
        return {"type": "file", "file_id": block.file_id}
    return {"type": "url", "url": block.url}


def _with_cache(written: dict[str, Any], block: Image | Document) -> dict[str, Any]:
    if block.cache is not None:
        written["cache_control"] = _mark(block.cache)
    return written | own(block.extra, DIALECT)


def _audio(block: Audio, _dropped: Dropped) -> dict[str, Any]:
    raise unsupported(
        block.param or "messages", "this model takes no sound", "Send text, or another model."
    )


_WRITERS: dict[type, Callable[[Any, Dropped], dict[str, Any]]] = {
    Refusal: _refusal,
    Image: _image,
    Document: _document,
    Audio: _audio,
}


def _call(item: ToolCall) -> dict[str, Any]:
    written: dict[str, Any] = {
        "type": "tool_use",
        "id": _sound_id(item.id),
        "name": item.name,
        "input": _input(item),
    }
    if item.cache is not None:
        written["cache_control"] = _mark(item.cache)
    return written | own(item.extra, DIALECT)


def _input(item: ToolCall) -> Any:
    if item.is_custom:
        return {"input": item.arguments}
    if not item.arguments.strip():
        return {}
    try:
        value = _decode(item.arguments)
    except msgspec.MsgspecError:
        value = None
    if type(value) is not dict:
        raise invalid(
            item.param or "messages", "has arguments that are no JSON object", "Mend or remove it."
        )
    return value


def _sound_id(told: str) -> str:
    """Return an id that the API takes; another's is made to fit, the same way each time."""
    if _ID.fullmatch(told):
        return told
    return f"{_NOT_OF_ID.sub('_', told)}_{zlib.crc32(told.encode()):08x}"


def _add_tools(body: dict[str, Any], request: Request, dropped: Dropped) -> None:
    tools = _tools(request, dropped)
    if not tools:
        return
    body["tools"] = tools
    choice = request.tool_choice
    written: dict[str, Any] = {}
    if choice is not None:
        written = {"type": _MODES[choice.mode]}
        if choice.mode == "named":
            written["name"] = choice.names[0]
    if request.may_call_in_parallel is not None and written.get("type") != "none":
        written.setdefault("type", "auto")
        written["disable_parallel_tool_use"] = not request.may_call_in_parallel
    if written:
        body["tool_choice"] = written


def _tools(request: Request, dropped: Dropped) -> list[dict[str, Any]]:
    """Write the tools; where only some may be called, the others aren't sent."""
    choice = request.tool_choice
    only = choice.names if choice is not None and choice.mode != "named" else ()
    tools = []
    for tool in request.tools:
        if type(tool) is Tool:
            if not only or tool.name in only:
                tools.append(_tool(tool))
        elif isinstance(tool, Other):
            if tool.dialect == DIALECT:
                tools.append(tool.value)
            else:
                dropped.note(f"{tool.param or 'tools'} ({tool.kind})")
    return tools


_MODES = {"auto": "auto", "required": "any", "named": "tool", "none": "none"}


def _tool(tool: Tool) -> dict[str, Any]:
    if tool.is_custom:
        raise unsupported(
            tool.param or "tools", "this model takes no tool with free text", "Give it a schema."
        )
    written: dict[str, Any] = {"name": tool.name, "input_schema": tool.parameters or _NO_INPUT}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.is_strict is not None:
        written["strict"] = tool.is_strict
    if tool.cache is not None:
        written["cache_control"] = _mark(tool.cache)
    if tool.extra is not None:
        written |= own(tool.extra, DIALECT)
    return written


def _add_shape(body: dict[str, Any], request: Request, dropped: Dropped) -> None:
    shape = request.output_shape
    if shape is None:
        return
    param = request.param("output_shape")
    if shape.schema is None:
        raise unsupported(param, "this model takes a JSON schema only", "Send a json_schema.")
    if shape.is_strict is not True:
        dropped.note(f"{param}.strict")
    body["output_config"] = {"format": {"type": "json_schema", "schema": shape.schema}}


def _add_sampling(
    body: dict[str, Any], request: Request, traits: anthropic_models.Traits, dropped: Dropped
) -> None:
    sampling = request.sampling
    for name in ("temperature", "top_p", "top_k"):
        value = getattr(sampling, name)
        if value is None:
            continue
        if not traits.has_sampling:
            dropped.note(name)
        elif name == "temperature" and value > 1:
            raise invalid(name, "must be a number from 0 to 1 for this model", "Lower it.")
        else:
            body[name] = value


def _mark(cache: Cache) -> dict[str, Any]:
    mark = {"type": "ephemeral"}
    return mark if cache.ttl is None else {**mark, "ttl": cache.ttl}
