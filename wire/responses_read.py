"""A Responses request, read into the form between the dialects."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import structs

from wire.neutral import (
    Audio,
    Block,
    Cache,
    Document,
    Extra,
    Image,
    Item,
    Message,
    Other,
    OutputShape,
    Reasoning,
    Refusal,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    invalid,
    unsupported,
)
from wire.responses_call import OWN_FIELDS
from wire.seals import SEALED_CALL, unseal

DIALECT = "responses"

FIELDS = {
    "output_limit": "max_output_tokens",
    "output_shape": "text.format",
    "effort": "reasoning.effort",
    "summary": "reasoning.summary",
    "verbosity": "text.verbosity",
    "may_call_in_parallel": "parallel_tool_calls",
}

SHARED_WITH_CHAT = frozenset(
    {"prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier"}
)
"""Fields that OpenAI's two dialects have in the same words: either is sent the other's."""

_KNOWN = frozenset(
    {
        "model", "input", "instructions", "max_output_tokens", "temperature", "top_p", "tools",
        "tool_choice", "parallel_tool_calls", "text", "reasoning", "user", "metadata", "stream",
        "top_logprobs", "include", "stream_options", "background",
    }
)  # fmt: skip
_KEPT_UPSTREAM = ("previous_response_id", "conversation", "prompt")
_INSTRUCTIONS = ("system", "developer")
_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE)


def read_request(body: dict[str, Any]) -> Request:
    """Read a body that `ResponsesCall` has checked.

    Raises: InvalidParameterError; UnsupportedByModelError for what only its own vendor could
    resolve.
    """
    for field in _KEPT_UPSTREAM:
        if body.get(field):
            raise unsupported(field, "this model's provider keeps nothing", "Send all of it again.")
    system = list(_items(body.get("instructions"), "instructions", "system"))
    items: list[Item] = [item for item in system if not isinstance(item, Message)]
    items += _with_seals(_items(body.get("input"), "input", "user"))
    while items and isinstance(items[0], Message) and items[0].role in _INSTRUCTIONS:
        system.append(items.pop(0))
    text = body.get("text") or {}
    return Request(
        model=body["model"],
        items=tuple(items),
        system=tuple(item for item in system if isinstance(item, Message)),
        tools=tuple(_tool(tool, f"tools[{i}]") for i, tool in enumerate(body.get("tools") or ())),
        tool_choice=_tool_choice(body.get("tool_choice")),
        may_call_in_parallel=body.get("parallel_tool_calls"),
        output_shape=_shape(text.get("format")),
        output_limit=body.get("max_output_tokens"),
        sampling=_sampling(body),
        thinking=_thinking(body.get("reasoning")),
        verbosity=text.get("verbosity"),
        user=body.get("user"),
        metadata=body.get("metadata"),
        is_streamed=body.get("stream") is True,
        fields=FIELDS,
        dialect=DIALECT,
        extra=_extra(body),
    )


def _extra(body: dict[str, Any]) -> Extra | None:
    rest = {
        name: value
        for name, value in body.items()
        if name not in _KNOWN and name not in OWN_FIELDS and value is not None
    }
    shared = {name: rest.pop(name) for name in SHARED_WITH_CHAT if name in rest}
    return {name: fields for name, fields in ((DIALECT, rest), ("chat", shared)) if fields} or None


def _items(told: Any, param: str, role: Any) -> Iterator[Item]:
    if type(told) is str:
        if told:
            yield Message(role=role, content=(Text(text=told),), param=param)
        return
    for index, item in enumerate(told or ()):
        yield read_item(item, f"{param}[{index}]")


def _with_seals(items: Iterable[Item]) -> Iterator[Item]:
    """Give each call back the seal that traveled beside it."""
    items = list(items)
    seals = {
        item.id: item
        for item in items
        if isinstance(item, Reasoning) and (item.id or "").startswith(SEALED_CALL)
    }
    for item in items:
        if isinstance(item, ToolCall) and (held := seals.get(SEALED_CALL + item.id)) is not None:
            yield structs.replace(item, signature=held.signature, signed_by=held.signed_by)
        elif not isinstance(item, Reasoning) or item.id not in seals:
            yield item


def read_item(item: dict[str, Any], param: str) -> Item:
    """Read an item, of a request or of an answer."""
    kind = item.get("type") or "message"
    read = _READERS.get(kind)
    if read is None or (kind == "message" and type(item.get("role")) is not str):
        return Other(dialect=DIALECT, kind=kind, value=item, param=param)
    return read(item, param)


def _message(item: dict[str, Any], param: str) -> Item:
    role: Any = item["role"]
    if role not in ("system", "developer", "user", "assistant"):
        raise invalid(f"{param}.role", "must be user, assistant, system or developer", "Send one.")
    return Message(
        role=role, content=_content(item.get("content"), f"{param}.content"), param=param
    )


def _call(item: dict[str, Any], param: str) -> Item:
    is_custom = item["type"] == "custom_tool_call"
    field = "input" if is_custom else "arguments"
    text = item.get(field)
    if not item.get("name"):
        raise invalid(f"{param}.name", "is missing", "Name the tool that was called.")
    return ToolCall(
        id=item.get("call_id") or item.get("id") or "",
        name=item["name"],
        arguments=text if type(text) is str else "",
        is_custom=is_custom,
        param=f"{param}.{field}",
    )


def _result(item: dict[str, Any], param: str) -> Item:
    return ToolResult(
        call_id=item.get("call_id") or "",
        content=_content(item.get("output"), f"{param}.output"),
        is_custom=item["type"] == "custom_tool_call_output",
        name=item.get("name"),
        param=param,
    )


def _reasoning(item: dict[str, Any], _param: str) -> Item:
    """Read reasoning; what another vendor sealed was one text, and is shown as a summary here."""
    summary, text = _texts(item.get("summary")), "".join(_texts(item.get("content")))
    sealed = item.get("encrypted_content")
    sealed = sealed if type(sealed) is str and sealed else None
    hidden = unseal(sealed) if sealed else None
    if hidden is not None:
        return Reasoning(text=text or "".join(summary), **hidden)
    return Reasoning(
        text=text,
        summary=summary,
        encrypted=sealed,
        signed_by=DIALECT if sealed else None,
        id=item.get("id"),
    )


def _texts(parts: Any) -> tuple[str, ...]:
    found = [part.get("text") for part in parts or () if type(part) is dict]
    return tuple(text for text in found if type(text) is str and text)


_READERS = {
    "message": _message,
    "function_call": _call,
    "custom_tool_call": _call,
    "function_call_output": _result,
    "custom_tool_call_output": _result,
    "reasoning": _reasoning,
}


def _content(content: Any, param: str) -> tuple[Block, ...]:
    if type(content) is str:
        return (Text(text=content),) if content else ()
    return tuple(_part(part, f"{param}[{i}]") for i, part in enumerate(content or ()))


def _part(part: dict[str, Any], param: str) -> Block:
    read = _PARTS.get(part["type"])
    if read is None:
        return Other(dialect=DIALECT, kind=part["type"], value=part, param=param)
    return read(part, param)


def _text(part: dict[str, Any], _param: str) -> Block:
    return Text(text=part.get("text") or "", cache=_cache(part))


def _refusal(part: dict[str, Any], _param: str) -> Block:
    return Refusal(text=part.get("refusal") or "")


def _image(part: dict[str, Any], param: str) -> Block:
    common: dict[str, Any] = {"detail": part.get("detail"), "cache": _cache(part), "param": param}
    if part.get("file_id") is not None:
        return Image(file_id=part["file_id"], **common)
    if type(url := part.get("image_url")) is not str:
        raise invalid(f"{param}.image_url", "must be a string", "Send an address.")
    return Image(**_located(url), **common)


def _sound(part: dict[str, Any], param: str) -> Block:
    sound = part.get("input_audio")
    if type(sound) is not dict or type(sound.get("data")) is not str:
        raise invalid(f"{param}.input_audio.data", "must be a string", "Send base64.")
    told = sound.get("format")
    told = told if type(told) is str else None
    media_type = f"audio/{told}" if told else None
    return Audio(data=sound["data"], format=told, media_type=media_type, param=param)


def _file(part: dict[str, Any], param: str) -> Block:
    common: dict[str, Any] = {"name": part.get("filename"), "cache": _cache(part), "param": param}
    if part.get("file_id") is not None:
        return Document(file_id=part["file_id"], **common)
    if part.get("file_url") is not None:
        return Document(url=part["file_url"], **common)
    if type(told := part.get("file_data")) is not str:
        raise invalid(f"{param}.file_data", "must be a string", "Send the file in base64.")
    located = _located(told)
    if "url" in located:
        located = {"data": told, "media_type": "application/pdf"}
    return Document(**located, **common)


_PARTS = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_audio": _sound,
    "input_file": _file,
}


def _located(url: str) -> dict[str, Any]:
    found = _DATA_URL.match(url, 0, 200)
    if found is None:
        return {"url": url}
    return {"media_type": found[1].lower() or None, "data": url[found.end() :]}


def _cache(part: dict[str, Any]) -> Cache | None:
    """A breakpoint's own times to live (30m, 12h) are nobody else's, so only the mark goes on."""
    return Cache() if type(part.get("prompt_cache_breakpoint")) is dict else None


def _tool(tool: dict[str, Any], param: str) -> Tool | Other:
    kind = "function" if tool.get("type") is None else tool["type"]
    if kind not in ("function", "custom") or type(tool.get("name")) is not str:
        return Other(dialect=DIALECT, kind=str(kind), value=tool, param=param)
    return Tool(
        name=tool["name"],
        description=tool.get("description"),
        parameters=tool.get("parameters"),
        is_strict=tool.get("strict"),
        is_custom=kind == "custom",
        grammar=tool.get("format"),
        param=param,
    )


_MODES: dict[Any, Any] = {"auto": "auto", "none": "none", "required": "required"}


def _tool_choice(choice: Any) -> ToolChoice | None:
    if choice is None:
        return None
    if type(choice) is str:
        if choice not in _MODES:
            raise invalid("tool_choice", "must be auto, none or required", "Or name a tool.")
        return ToolChoice(mode=_MODES[choice])
    if choice.get("type") == "allowed_tools":
        names = tuple(_named(tool) for tool in choice.get("tools") or ())
        return ToolChoice(mode=_MODES.get(choice.get("mode"), "auto"), names=names)
    return ToolChoice(mode="named", names=(_named(choice),))


def _named(choice: Any) -> str:
    name = choice.get("name") if type(choice) is dict else None
    if type(name) is not str or choice.get("type") not in ("function", "custom"):
        raise invalid("tool_choice", "must name one of your functions", "Check its format.")
    return name


def _shape(form: Any) -> OutputShape | None:
    kind = form.get("type") if type(form) is dict else None
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return OutputShape()
    if kind != "json_schema" or type(form.get("schema")) is not dict:
        raise invalid("text.format", "must be text, json_object or json_schema", "Send one.")
    return OutputShape(
        schema=form["schema"],
        name=form.get("name"),
        description=form.get("description"),
        is_strict=form.get("strict"),
    )


def _sampling(body: dict[str, Any]) -> Sampling:
    return Sampling(
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        top_logprobs=body.get("top_logprobs"),
        has_logprobs=bool(body.get("top_logprobs"))
        or "message.output_text.logprobs" in (body.get("include") or ()),
    )


def _thinking(asked: Any) -> Thinking | None:
    if not asked:
        return None
    return Thinking(
        effort=asked.get("effort"),
        summary=asked.get("summary") or asked.get("generate_summary"),
        extra={DIALECT: {"reasoning": asked}},
    )
