"""A request for a provider that speaks OpenAI's chat, written from the neutral form.

Source: the types of openai-python 3.52, `chat/completion_create_params.py` (read 2026-11-21).
"""

from collections.abc import Sequence
from typing import Any

from wire.anthropic_models import effort_of
from wire.chat_reasoning import DIALECT
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
    OutputShape,
    Reasoning,
    Refusal,
    Request,
    Target,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    own,
    unsupported,
)
from wire.neutral_limits import note_extra, note_foreign, refuse_unsayable

SCHEMA_NAME = "output"
"""The dialect insists on a name for a schema; other dialects have none."""


def write_request(request: Request, target: Target, dropped: Dropped) -> dict[str, Any]:
    """Return the body for a provider.

    Raises: UnsupportedByModelError, InvalidParameterError.
    """
    refuse_unsayable(request, DIALECT)
    body: dict[str, Any] = {"model": target.model}
    body["messages"] = _Messages(dropped, request).written(request)
    limit = target.limit(request.output_limit)
    if limit is not None:
        told = request.fields.get("output_limit", "")
        body[target.limit_field or (told if told in _LIMITS else _LIMITS[0])] = limit
    _add_tools(body, request, dropped)
    if request.output_shape is not None:
        body["response_format"] = _shape(request.output_shape)
    _add_sampling(body, request, dropped)
    _add_thinking(body, request, target, dropped)
    _add_rest(body, request)
    if request.cache is not None:
        _mark(body, request.cache, request, dropped)
    body |= own(request.extra, DIALECT)
    note_foreign(request, DIALECT, dropped)
    return body


_LIMITS = ("max_tokens", "max_completion_tokens")


def _add_rest(body: dict[str, Any], request: Request) -> None:
    rest = {
        "stop": list(request.stop_sequences) or None,
        "verbosity": request.verbosity,
        "n": request.choices if request.choices > 1 else None,
        "user": request.user,
        "metadata": request.metadata,
        "modalities": list(request.modalities) or None,
    }
    body |= {name: value for name, value in rest.items() if value is not None}
    if request.is_streamed:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}


class _Messages:
    """The conversation. What the assistant said, thought and called in one go is one message."""

    def __init__(self, dropped: Dropped, request: Request) -> None:
        self._messages: list[dict[str, Any]] = []
        self._pictures: list[dict[str, Any]] = []
        self._thoughts: list[Reasoning] = []
        self._dropped = dropped
        self._request = request

    def written(self, request: Request) -> list[dict[str, Any]]:
        for message in request.system:
            self._add_message(message)
        items = request.items
        for item in items:
            if self._pictures and type(item) is not ToolResult:
                self._show_pictures()
            self._add(item)
        self._show_pictures()
        last = items[-1] if items else None
        is_prefill = request.dialect == "messages" and type(last) is Message
        if is_prefill and last.role == "assistant":  # type: ignore[union-attr]
            self._dropped.note("prefill")
        return self._messages

    def _add(self, item: Item) -> None:
        kind = type(item)
        if kind is Message:
            self._add_message(item)  # type: ignore[arg-type]
        elif kind is ToolCall:
            self._add_call(item)  # type: ignore[arg-type]
        elif kind is ToolResult:
            self._add_result(item)  # type: ignore[arg-type]
        elif kind is Reasoning:
            self._thoughts.append(item)  # type: ignore[arg-type]
        else:
            self._other(item)  # type: ignore[arg-type]

    def _add_message(self, message: Message) -> None:
        content = self._content(message.content)
        if message.role == "assistant":
            open_turn = self._open_turn()
            if open_turn is not None and "tool_calls" in open_turn:
                open_turn["content"] = _joined(open_turn.get("content"), content)
                return
        written: dict[str, Any] = {"role": message.role, "content": content}
        if message.name is not None:
            written["name"] = message.name
        if message.role == "assistant":
            self._think(written)
            _take_refusal(written, message)
        self._messages.append(written)

    def _open_turn(self) -> dict[str, Any] | None:
        last = self._messages[-1] if self._messages else None
        return last if last is not None and last["role"] == "assistant" else None

    def _add_call(self, item: ToolCall) -> None:
        turn = self._open_turn()
        if turn is None:
            turn = {"role": "assistant", "content": None}
            self._think(turn)
            self._messages.append(turn)
        elif turn["content"] == "":
            turn["content"] = None
        kind, field = ("custom", "input") if item.is_custom else ("function", "arguments")
        called = {"name": item.name, field: item.arguments}
        turn.setdefault("tool_calls", []).append({"id": item.id, "type": kind, kind: called})

    def _think(self, turn: dict[str, Any]) -> None:
        """Give back thinking that nobody sealed under the name it had; no other seal fits here."""
        for thought in self._thoughts:
            field = thought.signature
            if thought.signed_by == DIALECT and field in ("reasoning", "reasoning_content"):
                turn[field] = turn.get(field, "") + thought.text
            else:
                self._dropped.note(self._request.param("thoughts"))
        self._thoughts.clear()

    def _add_result(self, item: ToolResult) -> None:
        said: list[Block] = []
        for block in item.content:
            if isinstance(block, Image | Document) and not _is_text(block):
                if not self._pictures or self._pictures[-1].get("call") != item.call_id:
                    self._pictures.append({"call": item.call_id, "parts": []})
                self._pictures[-1]["parts"].append(self._part(block))
            else:
                said.append(block)
        if item.is_error:
            self._dropped.note(self._request.param("is_error"))
        content = self._content(said)
        if not said and item.content:
            content = "(shown below)"
        written = {"role": "tool", "tool_call_id": item.call_id, "content": content}
        if item.cache is not None:
            _mark(written, item.cache, self._request, self._dropped)
        self._messages.append(written)

    def _show_pictures(self) -> None:
        """A tool's message has only text here: what it shows follows in a turn of the user."""
        if not self._pictures:
            return
        parts: list[dict[str, Any]] = []
        for shown in self._pictures:
            parts.append({"type": "text", "text": f"Shown by tool call {shown['call']}:"})
            parts += shown["parts"]
        self._messages.append({"role": "user", "content": parts})
        self._pictures = []

    def _content(self, content: Sequence[Block]) -> Any:
        if not content:
            return ""
        if len(content) == 1:
            only = content[0]
            if type(only) is Text and only.cache is None and only.extra is None:
                return only.text
        parts = []
        for block in content:
            if isinstance(block, Other):
                parts += self._other(block)
            elif not isinstance(block, Refusal):
                parts.append(self._part(block))
        return parts

    def _part(self, block: Block) -> dict[str, Any]:
        if isinstance(block, Text):
            part: dict[str, Any] = {"type": "text", "text": block.text}
        elif isinstance(block, Image):
            part = {"type": "image_url", "image_url": _image(block)}
        elif isinstance(block, Document):
            part = _document(block)
        elif isinstance(block, Audio):
            part = {"type": "input_audio", "input_audio": _sound(block)}
        else:
            raise TypeError(block)
        if block.extra is not None:
            note_extra(block.extra, DIALECT, part["type"], self._dropped)
        if not isinstance(block, Audio) and block.cache is not None:
            _mark(part, block.cache, self._request, self._dropped)
        return part

    def _other(self, block: Other) -> list[dict[str, Any]]:
        if block.dialect == DIALECT:
            return [block.value]
        self._dropped.note(block.kind)
        return []


def _joined(earlier: Any, later: Any) -> Any:
    if not earlier:
        return later or None
    if type(earlier) is str and type(later) is str:
        return earlier + later
    return [*_parts(earlier), *_parts(later)]


def _parts(content: Any) -> list[Any]:
    if type(content) is str:
        return [{"type": "text", "text": content}] if content else []
    return list(content)


def _take_refusal(written: dict[str, Any], message: Message) -> None:
    refused = "".join(block.text for block in message.content if type(block) is Refusal)
    if refused:
        written["refusal"] = refused
        written["content"] = written["content"] or None


def _mark(holder: dict[str, Any], cache: Cache, request: Request, dropped: Dropped) -> None:
    """OpenAI's own API knows no marks: it caches by itself. Those who do were asked in chat."""
    if request.dialect == DIALECT:
        mark = {"type": "ephemeral"}
        holder["cache_control"] = mark if cache.ttl is None else {**mark, "ttl": cache.ttl}
    else:
        dropped.note(request.param("cache"))


def _is_text(block: Image | Document) -> bool:
    return isinstance(block, Document) and block.text is not None


def _image(block: Image) -> dict[str, Any]:
    if block.data_url is None:
        raise unsupported(
            block.param or "messages", "a picture that another vendor keeps", "Send its content."
        )
    image = {"url": block.data_url}
    return image if block.detail is None else {**image, "detail": block.detail}


def _document(block: Document) -> dict[str, Any]:
    if block.text is not None:
        text = block.text if block.name is None else f"{block.name}\n\n{block.text}"
        return {"type": "text", "text": text}
    if block.file_id is not None and own(block.extra, DIALECT):
        return {"type": "file", "file": {"file_id": block.file_id}}
    if block.data is None:
        raise unsupported(
            block.param or "messages", "a document that isn't in the request", "Send it in base64."
        )
    return {
        "type": "file",
        "file": {"filename": block.name or "document.pdf", "file_data": block.data_url},
    }


def _sound(block: Audio) -> dict[str, Any]:
    return {"data": block.data, "format": block.format}


def _add_tools(body: dict[str, Any], request: Request, dropped: Dropped) -> None:
    tools = []
    for tool in request.tools:
        if isinstance(tool, Tool):
            tools.append(_tool(tool, request, dropped))
        elif tool.dialect == DIALECT:
            tools.append(tool.value)
        else:
            dropped.note(f"{tool.param or 'tools'} ({tool.kind})")
    if not tools:
        return
    body["tools"] = tools
    if request.tool_choice is not None:
        body["tool_choice"] = _choice(request)
    if request.may_call_in_parallel is not None:
        body["parallel_tool_calls"] = request.may_call_in_parallel


def _choice(request: Request) -> Any:
    choice = request.tool_choice
    assert choice is not None  # noqa: S101 - called with one
    if not choice.names:
        return choice.mode
    custom = {tool.name for tool in request.tools if isinstance(tool, Tool) and tool.is_custom}
    kinds = {name: "custom" if name in custom else "function" for name in choice.names}
    named = [{"type": kind, kind: {"name": name}} for name, kind in kinds.items()]
    if choice.mode == "named":
        return named[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}


def _tool(tool: Tool, request: Request, dropped: Dropped) -> dict[str, Any]:
    described: dict[str, Any] = {"name": tool.name}
    for name, value in (
        ("description", tool.description),
        ("parameters", tool.parameters),
        ("strict", tool.is_strict),
        ("format", tool.grammar),
    ):
        if value is not None:
            described[name] = value
    kind = "custom" if tool.is_custom else "function"
    written = {"type": kind, kind: described}
    if tool.cache is not None:
        _mark(written, tool.cache, request, dropped)
    note_extra(tool.extra, DIALECT, "tools", dropped)
    return written


def _shape(shape: OutputShape) -> dict[str, Any]:
    if shape.schema is None:
        return {"type": "json_object"}
    described: dict[str, Any] = {"name": shape.name or SCHEMA_NAME, "schema": shape.schema}
    if shape.description is not None:
        described["description"] = shape.description
    if shape.is_strict is not None:
        described["strict"] = shape.is_strict
    return {"type": "json_schema", "json_schema": described}


_SAMPLING = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "logit_bias",
    "top_logprobs",
)


def _add_sampling(body: dict[str, Any], request: Request, dropped: Dropped) -> None:
    sampling = request.sampling
    for name in _SAMPLING:
        if (value := getattr(sampling, name)) is not None:
            body[name] = value
    if sampling.has_logprobs:
        body["logprobs"] = True
    if sampling.top_k is not None:
        if request.dialect == DIALECT:
            body["top_k"] = sampling.top_k
        else:
            dropped.note("top_k")


def _add_thinking(body: dict[str, Any], request: Request, target: Target, dropped: Dropped) -> None:
    thinking = request.thinking
    if thinking is None:
        return
    asked = own(thinking.extra, DIALECT).get("reasoning")
    if asked is not None:
        body["reasoning"] = asked
        if thinking.effort is not None and "effort" not in asked:
            body["reasoning_effort"] = thinking.effort
        return
    effort = thinking.effort
    if thinking.budget_tokens is not None:
        dropped.note(request.param("budget_tokens"))
        effort = effort or effort_of(thinking.budget_tokens, request.output_limit)
    if thinking.is_enabled is False and effort is None:
        dropped.note("thinking" if target.can_reason else "")
    elif effort is not None and target.can_reason:
        body["reasoning_effort"] = effort
    elif effort is not None:
        dropped.note(request.param("effort"))
