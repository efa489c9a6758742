"""A request for a provider that speaks OpenAI's Responses, written from the neutral form.

Nothing is stored there: what the conversation needs is in the request.

Source: the types of openai-python 3.52, `responses/response_create_params.py` (read 2026-11-21).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from wire.neutral import (
    Audio,
    Block,
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
    own,
    unsupported,
)
from wire.neutral_limits import DEFAULTS, HINTS, QUIET, refuse_unsayable
from wire.responses_read import DIALECT, SHARED_WITH_CHAT

_NO_OTHER = "Leave it out, or choose another model."
_NO_INPUT: dict[str, Any] = {"type": "object", "properties": {}}


def write_request(request: Request, target: Target, dropped: Dropped) -> dict[str, Any]:
    """Return the body for a provider.

    Raises: UnsupportedByModelError.
    """
    _refuse(request)
    body: dict[str, Any] = {
        "model": target.model,
        "input": list(_Items(request, dropped).written()),
        "store": False,
    }
    limit = target.limit(request.output_limit)
    settings = {
        "max_output_tokens": limit,
        "temperature": request.sampling.temperature,
        "top_p": request.sampling.top_p,
        "user": request.user,
        "metadata": request.metadata,
        "text": _text_settings(request),
        "stream": request.is_streamed or None,
    }
    body |= {name: value for name, value in settings.items() if value is not None}
    _add_tools(body, request, dropped)
    _add_reasoning(body, request, target, dropped)
    chat = own(request.extra, "chat")
    body |= {name: chat[name] for name in SHARED_WITH_CHAT if chat.get(name) is not None}
    _note(request, dropped)
    return body


def _refuse(request: Request) -> None:
    refuse_unsayable(request, DIALECT)
    if request.stop_sequences:
        param = request.param("stop_sequences")
        raise unsupported(param, "this model takes no stop sequences", _NO_OTHER)
    if request.sampling.has_logprobs:
        raise unsupported("logprobs", "this model's can't be translated", _NO_OTHER)
    if "audio" in request.modalities:
        raise unsupported("modalities", "this model speaks no sound", _NO_OTHER)


def _note(request: Request, dropped: Dropped) -> None:
    for name in (*HINTS, "top_k"):
        if getattr(request.sampling, name):
            dropped.note(name)
    if request.cache is not None:
        dropped.note(request.param("cache"))
    for whose, fields in (request.extra or {}).items():
        known = SHARED_WITH_CHAT if whose == "chat" else ()
        for field, value in fields.items():
            if field in known or field in QUIET.get(whose, ()):
                continue
            if value not in DEFAULTS.get(field, (None,)):
                dropped.note(field)


class _Items:
    """The conversation as items of this dialect."""

    def __init__(self, request: Request, dropped: Dropped) -> None:
        self._request = request
        self._dropped = dropped
        self._custom_calls: set[str] = set()

    def written(self) -> Iterator[dict[str, Any]]:
        for message in self._request.system:
            yield from self._message(message)
        for item in self._request.items:
            yield from self._item(item)

    def _item(self, item: Item) -> Iterator[dict[str, Any]]:
        if isinstance(item, Message):
            yield from self._message(item)
        elif isinstance(item, ToolCall):
            yield self._call(item)
        elif isinstance(item, ToolResult):
            yield self._result(item)
        elif isinstance(item, Reasoning):
            yield from _thought(item)
        elif item.dialect == DIALECT:
            yield item.value
        else:
            self._drop(item)

    def _drop(self, item: Other) -> None:
        self._dropped.note(f"{item.param or item.kind} ({item.kind})")

    def _message(self, message: Message) -> Iterator[dict[str, Any]]:
        if message.name is not None:
            self._dropped.note("messages.name")
        content = self._blocks(message.content, is_output=message.role == "assistant")
        if content:
            yield {"type": "message", "role": message.role, "content": content}

    def _blocks(self, blocks: Sequence[Block], *, is_output: bool) -> list[dict[str, Any]]:
        written = []
        for block in blocks:
            if isinstance(block, Other):
                if block.dialect == DIALECT:
                    written.append(block.value)
                else:
                    self._drop(block)
            elif isinstance(block, Text):
                kind = "output_text" if is_output else "input_text"
                written.append({"type": kind, "text": block.text})
            elif isinstance(block, Refusal):
                said = {"type": "refusal", "refusal": block.text}
                written.append(said if is_output else {"type": "input_text", "text": block.text})
            elif is_output:
                self._dropped.note(block.param or "messages.content")
            else:
                written.append(_WRITERS[type(block)](block))
        return written

    def _call(self, item: ToolCall) -> dict[str, Any]:
        if item.is_custom:
            self._custom_calls.add(item.id)
            return {
                "type": "custom_tool_call",
                "call_id": item.id,
                "name": item.name,
                "input": item.arguments,
            }
        return {
            "type": "function_call",
            "call_id": item.id,
            "name": item.name,
            "arguments": item.arguments or "{}",
        }

    def _result(self, item: ToolResult) -> dict[str, Any]:
        is_custom = item.is_custom or item.call_id in self._custom_calls
        if item.is_error:
            self._dropped.note(self._request.param("is_error"))
        output: Any = self._blocks(item.content, is_output=False)
        if all(isinstance(block, Text) for block in item.content):
            output = "".join(part["text"] for part in output)
        return {
            "type": "custom_tool_call_output" if is_custom else "function_call_output",
            "call_id": item.call_id,
            "output": output,
        }


def _thought(item: Reasoning) -> Iterator[dict[str, Any]]:
    """Write reasoning that this vendor sealed; it can do nothing with any other."""
    sealed = item.encrypted or item.signature
    if item.signed_by != DIALECT or not sealed:
        return
    summary = item.summary or ((item.text,) if item.text else ())
    written: dict[str, Any] = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in summary],
        "encrypted_content": sealed,
    }
    if item.id is not None:
        written["id"] = item.id
    yield written


def _image(block: Image) -> dict[str, Any]:
    written: dict[str, Any] = {"type": "input_image", "detail": block.detail or "auto"}
    if block.file_id is not None:
        return written | {"file_id": _kept(block.file_id, block)}
    return written | {"image_url": block.data_url}


def _document(block: Document) -> dict[str, Any]:
    """Write a file; plain text is written as text, as OpenAI reads no files of text in base64."""
    if block.text is not None:
        return {"type": "input_text", "text": block.text}
    if block.file_id is not None:
        return {"type": "input_file", "file_id": _kept(block.file_id, block)}
    if block.data is None:
        return {"type": "input_file", "file_url": block.url}
    media_type = block.media_type or "application/pdf"
    return {
        "type": "input_file",
        "filename": block.name or "document.pdf",
        "file_data": f"data:{media_type};base64,{block.data}",
    }


def _kept(file_id: str, block: Image | Document) -> str:
    """Only a file that a client of OpenAI's dialects named can be one of OpenAI's."""
    if not file_id.startswith("file-"):
        raise unsupported(
            block.param or "messages", "a file that another vendor keeps", "Send its content."
        )
    return file_id


def _audio(block: Audio) -> dict[str, Any]:
    if block.data is None:
        raise unsupported(
            block.param or "messages", "sound that another vendor keeps", "Send its content."
        )
    sound = {"data": block.data, "format": block.format or "wav"}
    return {"type": "input_audio", "input_audio": sound}


_WRITERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    Image: _image,
    Document: _document,
    Audio: _audio,
}


def _add_tools(body: dict[str, Any], request: Request, dropped: Dropped) -> None:
    tools = []
    kinds = {}
    for index, tool in enumerate(request.tools):
        if isinstance(tool, Tool):
            tools.append(_tool(tool))
            kinds[tool.name] = "custom" if tool.is_custom else "function"
        elif tool.dialect == DIALECT:
            tools.append(tool.value)
        else:
            dropped.note(f"{tool.param or f'tools[{index}]'} ({tool.kind})")
    if not tools:
        return
    body["tools"] = tools
    if request.may_call_in_parallel is not None:
        body["parallel_tool_calls"] = request.may_call_in_parallel
    choice = request.tool_choice
    if choice is None:
        return
    named = [{"type": kinds.get(name, "function"), "name": name} for name in choice.names]
    if choice.mode == "named":
        body["tool_choice"] = named[0]
    elif named:
        body["tool_choice"] = {"type": "allowed_tools", "mode": choice.mode, "tools": named}
    else:
        body["tool_choice"] = choice.mode


def _tool(tool: Tool) -> dict[str, Any]:
    """Write a tool; without `strict` a function would be strict here, and isn't in any other."""
    written: dict[str, Any] = {"type": "custom" if tool.is_custom else "function"}
    written["name"] = tool.name
    if tool.description is not None:
        written["description"] = tool.description
    if not tool.is_custom:
        return {
            **written,
            "parameters": tool.parameters or _NO_INPUT,
            "strict": tool.is_strict or False,
        }
    if tool.grammar is not None:
        written["format"] = _grammar(tool.grammar)
    return written


def _grammar(told: dict[str, Any]) -> dict[str, Any]:
    """Chat has the grammar in an object of its own, this dialect beside its type."""
    inner = told.get("grammar")
    return {"type": "grammar", **inner} if type(inner) is dict else told


def _text_settings(request: Request) -> dict[str, Any] | None:
    settings: dict[str, Any] = {}
    shape = request.output_shape
    if shape is not None and shape.schema is None:
        settings["format"] = {"type": "json_object"}
    elif shape is not None:
        form = {
            "type": "json_schema",
            "name": shape.name or "answer",
            "schema": shape.schema,
            "description": shape.description,
            "strict": shape.is_strict,
        }
        settings["format"] = {name: value for name, value in form.items() if value is not None}
    if request.verbosity is not None:
        settings["verbosity"] = request.verbosity
    return settings or None


def _add_reasoning(
    body: dict[str, Any], request: Request, target: Target, dropped: Dropped
) -> None:
    thinking = request.thinking
    if thinking is None:
        return
    if not target.can_reason:
        if thinking.effort not in (None, "none"):
            dropped.note(request.param("effort"))
        return
    if thinking.budget_tokens is not None:
        dropped.note(request.param("budget_tokens"))
    effort = "none" if thinking.is_enabled is False else thinking.effort
    wants_shown = thinking.is_shown is True or (thinking.is_enabled and thinking.is_shown is None)
    summary = thinking.summary or ("auto" if wants_shown else None)
    asked = {"effort": effort, "summary": summary}
    reasoning = {name: value for name, value in asked.items() if value is not None}
    if reasoning:
        body["reasoning"] = reasoning
    if effort != "none":
        body["include"] = ["reasoning.encrypted_content"]
