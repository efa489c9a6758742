"""A Messages request, read into the form between the dialects."""

from collections.abc import Iterator
from typing import Any

from msgspec import structs

from wire.chat import OWN_FIELDS as OWN_CHAT_FIELDS
from wire.neutral import (
    Block,
    Cache,
    Document,
    Image,
    Item,
    Message,
    Other,
    OutputShape,
    Reasoning,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    invalid,
)
from wire.seals import SEALED_CALL, unseal
from wire.strict_json import encode

DIALECT = "messages"

FIELDS = {
    "output_limit": "max_tokens",
    "output_shape": "output_config.format",
    "effort": "output_config.effort",
    "budget_tokens": "thinking.budget_tokens",
    "user": "metadata.user_id",
    "may_call_in_parallel": "tool_choice.disable_parallel_tool_use",
    "is_error": "tool_result.is_error",
    "cache": "cache_control",
    "thoughts": "messages.thinking",
    "is_shown": "thinking.display",
}

OWN_FIELDS = OWN_CHAT_FIELDS | {"fallbacks"}
"""What is said to the gateway and never goes upstream."""

KNOWN = frozenset(
    {
        "model", "messages", "system", "max_tokens", "stream", "temperature", "top_p", "top_k",
        "stop_sequences", "tools", "tool_choice", "thinking", "output_config", "metadata",
        "cache_control",
    }
)  # fmt: skip
"""What is read into the form; the rest is extra."""


def read_request(body: dict[str, Any]) -> Request:
    """Read a body that `MessagesCall` has checked."""
    items: list[Item] = []
    for index, message in enumerate(body["messages"]):
        items += _items(message, f"messages[{index}]")
    choice, may_call_in_parallel = _tool_choice(body.get("tool_choice"))
    output = body.get("output_config") or {}
    extra = {
        name: value
        for name, value in body.items()
        if name not in KNOWN and name not in OWN_FIELDS and value is not None
    }
    return Request(
        model=body["model"],
        items=tuple(items),
        system=_system(body.get("system")),
        tools=tuple(_tool(tool, i) for i, tool in enumerate(body.get("tools") or ())),
        tool_choice=choice,
        may_call_in_parallel=may_call_in_parallel,
        output_shape=_shape(output.get("format")),
        output_limit=body.get("max_tokens"),
        stop_sequences=tuple(body.get("stop_sequences") or ()),
        sampling=Sampling(
            temperature=body.get("temperature"),
            top_p=body.get("top_p"),
            top_k=body.get("top_k"),
        ),
        thinking=_thinking(body.get("thinking"), output.get("effort")),
        cache=_cache(body),
        user=(body.get("metadata") or {}).get("user_id"),
        is_streamed=body.get("stream") is True,
        fields=FIELDS,
        dialect=DIALECT,
        extra={DIALECT: extra} if extra else None,
    )


def _system(system: Any) -> tuple[Message, ...]:
    content = _content(system, "system")
    return (Message(role="system", content=content, param="system"),) if content else ()


def _items(message: dict[str, Any], param: str) -> Iterator[Item]:
    """Give what a turn is made of; the results of tools come first, as the vendor demands."""
    role, content = message["role"], message.get("content")
    if content is None or type(content) is str:
        blocks = (Text(text=content),) if content else ()
        yield Message(role=role, content=blocks, param=param)
        return
    said: list[Block] = []
    rest: list[Item] = []
    for index, block in enumerate(content):
        where = f"{param}.content[{index}]"
        kind = block["type"]
        if kind == "tool_result":
            yield _result(block, where)
        elif kind in _ITEMS:
            if said:
                rest.append(Message(role=role, content=tuple(said), param=param))
                said = []
            rest.append(_ITEMS[kind](block, where))
        else:
            said.append(_block(block, where))
    if said or not content:
        rest.append(Message(role=role, content=tuple(said), param=param))
    yield from _with_seals(rest)


def _with_seals(items: list[Item]) -> Iterator[Item]:
    """Give a call back the seal that travelled before it."""
    held: Reasoning | None = None
    for item in items:
        if isinstance(item, Reasoning) and (item.id or "").startswith(SEALED_CALL):
            held = item
        elif isinstance(item, ToolCall) and held is not None:
            yield structs.replace(item, signature=held.signature, signed_by=held.signed_by)
            held = None
        else:
            yield item


def _content(content: Any, param: str) -> tuple[Block, ...]:
    if type(content) is str:
        return (Text(text=content),) if content else ()
    return tuple(_block(block, f"{param}[{i}]") for i, block in enumerate(content or ()))


def _block(block: dict[str, Any], param: str) -> Block:
    kind = block["type"]
    if kind == "text":
        extra = _rest(block, "text", "type", "cache_control")
        if extra is None and "cache_control" not in block:
            return Text(text=block["text"])
        return Text(text=block["text"], cache=_cache(block), extra=extra)
    if kind == "image":
        return Image(
            **_source(block["source"]),
            cache=_cache(block),
            param=param,
            extra=_rest(block, "type", "source", "cache_control"),
        )
    if kind == "document":
        return _document(block, param)
    if kind == "search_result":
        return _search_result(block, param)
    return Other(dialect=DIALECT, kind=kind, value=block, param=param)


def _source(source: dict[str, Any]) -> dict[str, Any]:
    kind = source["type"]
    if kind == "base64":
        return {"media_type": source.get("media_type"), "data": source["data"]}
    return {"url": source.get("url"), "file_id": source.get("file_id")}


def _document(block: dict[str, Any], param: str) -> Block:
    source = block["source"]
    extra = _rest(block, "type", "source", "title", "cache_control")
    common: dict[str, Any] = {
        "name": block.get("title"),
        "cache": _cache(block),
        "param": param,
        "extra": extra,
    }
    if source["type"] == "text":
        return Document(text=source["data"], media_type="text/plain", **common)
    if source["type"] == "content":
        return Other(dialect=DIALECT, kind="document", value=block, param=param)
    return Document(**_source(source), **common)


def _search_result(block: dict[str, Any], param: str) -> Block:
    """Read what a search found: a text to others, and itself again to its own dialect."""
    content = block.get("content")
    texts = [content] if type(content) is str else [str(p.get("text", "")) for p in content or ()]
    head = f"{block.get('title') or ''} ({block.get('source') or ''})"
    return Document(
        text="\n".join([head, *texts]),
        media_type="text/plain",
        cache=_cache(block),
        param=param,
        extra={DIALECT: {"block": block}},
    )


def _thought(block: dict[str, Any], _param: str) -> Item:
    signature = block.get("signature") or None
    hidden = unseal(signature) if signature else None
    if hidden is not None:
        return Reasoning(text=block["thinking"], **hidden)
    return Reasoning(
        text=block["thinking"], signature=signature, signed_by=DIALECT if signature else None
    )


def _hidden_thought(block: dict[str, Any], _param: str) -> Item:
    hidden = unseal(block["data"])
    if hidden is not None:
        return Reasoning(**hidden)
    return Reasoning(encrypted=block["data"], signed_by=DIALECT)


def _call(block: dict[str, Any], param: str) -> Item:
    value = block.get("input")
    return ToolCall(
        id=block["id"],
        name=block["name"],
        arguments="{}" if not value else encode(value).decode(),
        cache=_cache(block),
        param=param,
        extra=_rest(block, "type", "id", "name", "input", "cache_control"),
    )


def _result(block: dict[str, Any], param: str) -> ToolResult:
    return ToolResult(
        call_id=block["tool_use_id"],
        content=_content(block.get("content"), f"{param}.content"),
        is_error=block.get("is_error") is True,
        cache=_cache(block),
        param=param,
        extra=_rest(block, "type", "tool_use_id", "content", "is_error", "cache_control"),
    )


_ITEMS = {"thinking": _thought, "redacted_thinking": _hidden_thought, "tool_use": _call}


def _tool(tool: dict[str, Any], index: int) -> Tool | Other:
    if tool.get("type") not in (None, "custom"):
        return Other(dialect=DIALECT, kind=tool["type"], value=tool, param=f"tools[{index}]")
    return Tool(
        name=tool["name"],
        description=tool.get("description"),
        parameters=tool.get("input_schema"),
        is_strict=tool.get("strict"),
        cache=_cache(tool),
        param=f"tools[{index}]",
        extra=_rest(tool, "name", "description", "input_schema", "strict", "cache_control"),
    )


_MODES = {"auto": "auto", "any": "required", "tool": "named", "none": "none"}


def _tool_choice(choice: Any) -> tuple[ToolChoice | None, bool | None]:
    if choice is None:
        return None, None
    names = (choice["name"],) if choice["type"] == "tool" else ()
    told = choice.get("disable_parallel_tool_use")
    parallel = None if told is None else not told
    mode: Any = _MODES[choice["type"]]
    return ToolChoice(mode=mode, names=names), parallel


def _shape(form: Any) -> OutputShape | None:
    if form is None:
        return None
    if type(form) is not dict or type(form.get("schema")) is not dict:
        raise invalid("output_config.format", "must have a `schema`", "Send a JSON schema.")
    return OutputShape(schema=form["schema"], is_strict=True)


def _thinking(thinking: Any, effort: Any) -> Thinking | None:
    if thinking is None and effort is None:
        return None
    kind = thinking["type"] if thinking else None
    shown = {"summarized": True, "omitted": False}.get((thinking or {}).get("display") or "")
    return Thinking(
        effort=effort,
        budget_tokens=(thinking or {}).get("budget_tokens"),
        is_enabled={"enabled": True, "disabled": False}.get(kind or ""),
        is_shown=shown,
        extra={DIALECT: {"thinking": thinking}} if thinking else None,
    )


def _cache(holder: dict[str, Any]) -> Cache | None:
    mark = holder.get("cache_control")
    return Cache(ttl=mark.get("ttl")) if type(mark) is dict else None


def _rest(holder: dict[str, Any], *known: str) -> dict[str, dict[str, Any]] | None:
    if len(holder) <= len(known) and all(name in known for name in holder):
        return None
    rest = {name: value for name, value in holder.items() if name not in known}
    return {DIALECT: rest} if rest else None
