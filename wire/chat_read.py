"""An OpenAI chat request, read into the form between the dialects."""

import re
from collections.abc import Iterator
from typing import Any

from wire.chat import OWN_FIELDS
from wire.chat_reasoning import DIALECT, read_reasoning, seals_by_call
from wire.neutral import (
    Audio,
    Block,
    Cache,
    Document,
    Image,
    Item,
    Message,
    Other,
    OutputShape,
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
)

KNOWN = frozenset(
    {
        "model", "messages", "stream", "stream_options", "tools", "tool_choice", "n", "stop",
        "parallel_tool_calls", "response_format", "max_tokens", "max_completion_tokens",
        "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed",
        "logit_bias", "logprobs", "top_logprobs", "reasoning_effort", "reasoning", "verbosity",
        "user", "metadata", "modalities", "cache_control",
    }
)  # fmt: skip
"""What is read into the form; the rest is extra."""

_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE)
_INSTRUCTIONS = ("system", "developer")


def read_request(body: dict[str, Any]) -> Request:
    """Read a body that `ChatCall` has checked.

    Raises: InvalidParameterError.
    """
    messages = body["messages"]
    begin = 0
    while begin < len(messages) and messages[begin]["role"] in _INSTRUCTIONS:
        begin += 1
    items: list[Item] = []
    for index in range(begin, len(messages)):
        message = messages[index]
        items += _READERS[message["role"]](message, f"messages[{index}]")
    limits = {name: body[name] for name in _LIMITS if body.get(name) is not None}
    limit_field = next(reversed(limits), "max_tokens")
    extra = {
        name: value
        for name, value in body.items()
        if name not in KNOWN and name not in OWN_FIELDS and value is not None
    }
    return Request(
        model=body["model"],
        items=tuple(items),
        system=tuple(_said(messages[i], f"messages[{i}]") for i in range(begin)),
        tools=tuple(_tool(tool, i) for i, tool in enumerate(body.get("tools") or ())),
        tool_choice=_tool_choice(body.get("tool_choice")),
        may_call_in_parallel=body.get("parallel_tool_calls"),
        output_shape=_shape(body.get("response_format")),
        output_limit=max(limits.values(), default=None),
        stop_sequences=_stops(body.get("stop")),
        sampling=_sampling(body),
        thinking=_thinking(body),
        verbosity=body.get("verbosity"),
        choices=body.get("n") or 1,
        cache=_cache(body),
        user=body.get("user"),
        metadata=body.get("metadata"),
        is_streamed=body.get("stream") is True,
        modalities=tuple(body.get("modalities") or ()),
        fields={**FIELDS, "output_limit": limit_field} if limits else FIELDS,
        dialect=DIALECT,
        extra={DIALECT: extra} if extra else None,
    )


_LIMITS = ("max_tokens", "max_completion_tokens")

FIELDS = {
    "output_limit": "max_tokens",
    "output_shape": "response_format",
    "effort": "reasoning_effort",
    "budget_tokens": "reasoning.max_tokens",
    "choices": "n",
    "may_call_in_parallel": "parallel_tool_calls",
    "cache": "cache_control",
    "thoughts": "messages.reasoning",
    "is_shown": "reasoning.exclude",
    "stop_sequences": "stop",
}


def _said(message: dict[str, Any], param: str) -> Message:
    role: Any = message["role"]
    content = message.get("content")
    blocks = read_content(content, f"{param}.content")
    return Message(role=role, content=blocks, name=message.get("name"), param=param)


def _turn(message: dict[str, Any], param: str) -> Iterator[Item]:
    yield _said(message, param)


def _assistant(message: dict[str, Any], param: str) -> Iterator[Item]:
    yield from read_reasoning(message)
    blocks = read_content(message.get("content"), f"{param}.content")
    if message.get("refusal"):
        blocks += (Refusal(text=str(message["refusal"])),)
    if type(sound := message.get("audio")) is dict:
        blocks += (Audio(file_id=sound.get("id"), param=f"{param}.audio"),)
    calls = message.get("tool_calls") or []
    if type(calls) is not list:
        raise invalid(f"{param}.tool_calls", "must be a list", "Check the message format.")
    if blocks or not calls:
        yield Message(role="assistant", content=blocks, name=message.get("name"), param=param)
    seals = seals_by_call(message)
    for index, call in enumerate(calls):
        yield read_call(call, f"{param}.tool_calls[{index}]", seals)


def read_call(call: Any, param: str, seals: dict[str, tuple[str, str]]) -> ToolCall:
    """Read what an assistant called.

    Raises: InvalidParameterError.
    """
    kind = "custom" if type(call) is dict and call.get("type") == "custom" else "function"
    asked = call.get(kind) if type(call) is dict else None
    if type(asked) is not dict or type(asked.get("name")) is not str:
        raise invalid(param, "must be an object with a `name`", "Check the format of the call.")
    text = asked.get("input" if kind == "custom" else "arguments")
    signature, signed_by = seals.get(str(call.get("id")), (None, None))
    return ToolCall(
        id=str(call.get("id") or ""),
        name=asked["name"],
        arguments=text if type(text) is str else "",
        is_custom=kind == "custom",
        signature=signature,
        signed_by=signed_by,
        param=f"{param}.{kind}.arguments",
    )


def _result(message: dict[str, Any], param: str) -> Iterator[Item]:
    yield ToolResult(
        call_id=str(message.get("tool_call_id") or message.get("name") or ""),
        content=read_content(message.get("content"), f"{param}.content"),
        name=message.get("name"),
        cache=_cache(message),
        param=param,
    )


_READERS = {
    "system": _turn,
    "developer": _turn,
    "user": _turn,
    "assistant": _assistant,
    "tool": _result,
    "function": _result,
}


def read_content(content: Any, param: str) -> tuple[Block, ...]:
    """Read a text, or a list of parts."""
    if type(content) is str:
        return (Text(text=content),) if content else ()
    return tuple(_part(part, f"{param}[{i}]") for i, part in enumerate(content or ()))


def _part(part: dict[str, Any], param: str) -> Block:
    kind = part["type"]
    read = _PARTS.get(kind)
    if read is not None:
        return read(part, param)
    return Other(dialect=DIALECT, kind=kind, value=part, param=param)


def _text(part: dict[str, Any], _param: str) -> Block:
    return Text(text=part["text"], cache=_cache(part))


def _refusal(part: dict[str, Any], _param: str) -> Block:
    return Refusal(text=str(part.get("refusal") or ""))


def _image(part: dict[str, Any], param: str) -> Block:
    image = part["image_url"]
    image = {"url": image} if type(image) is str else image
    if type(url := image.get("url")) is not str:
        raise invalid(f"{param}.image_url.url", "must be a string", "Send an address.")
    return Image(**_located(url), detail=image.get("detail"), cache=_cache(part), param=param)


def _sound(part: dict[str, Any], param: str) -> Block:
    sound = part["input_audio"]
    told = sound.get("format")
    return Audio(
        data=sound.get("data"),
        format=told,
        media_type=f"audio/{told}" if told else None,
        param=param,
    )


def _file(part: dict[str, Any], param: str) -> Block:
    file = part["file"]
    common: dict[str, Any] = {"name": file.get("filename"), "cache": _cache(part), "param": param}
    if file.get("file_id") is not None:
        return Document(file_id=file["file_id"], extra={DIALECT: {"is_file": True}}, **common)
    told = file.get("file_data")
    if type(told) is not str:
        raise invalid(f"{param}.file.file_data", "must be a string", "Send the file in base64.")
    located = _located(told)
    if located.get("url") is not None and not told.startswith(("http:", "https:")):
        located = {"data": told, "media_type": "application/pdf"}
    return Document(**located, **common)


_PARTS = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_audio": _sound,
    "file": _file,
}


def _located(url: str) -> dict[str, Any]:
    found = _DATA_URL.match(url, 0, 200)
    if found is None:
        return {"url": url}
    return {"media_type": found[1].lower() or None, "data": url[found.end() :]}


def _tool(tool: dict[str, Any], index: int) -> Tool | Other:
    kind, param = tool.get("type") or "function", f"tools[{index}]"
    described = tool.get(kind) if kind in ("function", "custom") else None
    if type(described) is not dict:
        return Other(dialect=DIALECT, kind=str(kind), value=tool, param=param)
    return Tool(
        name=described["name"],
        description=described.get("description"),
        parameters=described.get("parameters"),
        is_strict=described.get("strict"),
        is_custom=kind == "custom",
        grammar=described.get("format"),
        cache=_cache(tool),
        param=param,
    )


_MODES: dict[str, Any] = {"auto": "auto", "none": "none", "required": "required", "any": "required"}


def _tool_choice(choice: Any) -> ToolChoice | None:
    if choice is None:
        return None
    if type(choice) is str:
        if (mode := _MODES.get(choice)) is None:
            raise invalid("tool_choice", "must be auto, none or required", "Or name a tool.")
        return ToolChoice(mode=mode)
    kind = choice.get("type")
    if kind == "allowed_tools":
        allowed = choice.get("allowed_tools")
        if type(allowed) is not dict or type(allowed.get("tools")) is not list:
            raise invalid("tool_choice", "must name the allowed tools", "Check its format.")
        names = tuple(_named(tool) for tool in allowed["tools"])
        mode = _MODES.get(str(allowed.get("mode")), "auto")
        return ToolChoice(mode=mode, names=names)
    return ToolChoice(mode="named", names=(_named(choice),))


def _named(choice: Any) -> str:
    kind = choice.get("type") if type(choice) is dict else None
    named = choice.get(kind) if kind in ("function", "custom") else None
    if type(named) is not dict or type(named.get("name")) is not str:
        raise invalid("tool_choice", "must name one of your functions", "Check its format.")
    return str(named["name"])


def _shape(form: Any) -> OutputShape | None:
    kind = form.get("type") if form else None
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return OutputShape()
    described = form.get("json_schema")
    if kind != "json_schema" or type(described) is not dict:
        raise invalid("response_format", "must be text, json_object or json_schema", "Send one.")
    return OutputShape(
        schema=described.get("schema") or {},
        name=described.get("name"),
        description=described.get("description"),
        is_strict=described.get("strict"),
    )


def _stops(stop: Any) -> tuple[str, ...]:
    return (stop,) if type(stop) is str else tuple(stop or ())


def _sampling(body: dict[str, Any]) -> Sampling:
    return Sampling(
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        top_k=body.get("top_k"),
        presence_penalty=body.get("presence_penalty"),
        frequency_penalty=body.get("frequency_penalty"),
        seed=body.get("seed"),
        logit_bias=body.get("logit_bias"),
        top_logprobs=body.get("top_logprobs"),
        has_logprobs=body.get("logprobs") is True,
    )


def _thinking(body: dict[str, Any]) -> Thinking | None:
    effort, asked = body.get("reasoning_effort"), body.get("reasoning")
    if effort is None and not asked:
        return None
    asked = asked or {}
    if type(asked.get("max_tokens")) not in (int, type(None)):
        raise invalid("reasoning.max_tokens", "must be an integer", "Send one.")
    if type(asked.get("effort")) not in (str, type(None)):
        raise invalid("reasoning.effort", "must be a string", "Send one.")
    excluded = asked.get("exclude")
    return Thinking(
        effort=effort or asked.get("effort"),
        budget_tokens=asked.get("max_tokens"),
        is_enabled=asked.get("enabled"),
        is_shown=None if excluded is None else not excluded,
        summary=asked.get("summary"),
        extra={DIALECT: {"reasoning": asked}} if asked else None,
    )


def _cache(holder: dict[str, Any]) -> Cache | None:
    mark = holder.get("cache_control")
    return Cache(ttl=mark.get("ttl")) if type(mark) is dict else None
