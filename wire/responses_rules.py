"""What a Responses request may say. Refused is only what OpenAI's API refuses, or has no price.

Agents send what no reference lists: an empty `text`, items without a type or content, tools of next
month. `null` stands for an absent field everywhere.

Source: the types of openai-python 3.52, `responses/response_create_params.py` (read 2026-11-21).
"""

from collections.abc import Iterator
from typing import Any

from wire.chat_rules import (
    BUDGETS,
    LARGEST_LIMIT,
    LONGEST_NAME,
    LONGEST_TOOL_TYPE,
    MOST_FALLBACKS,
    MOST_MESSAGES,
    MOST_TOOL_TYPES,
    MOST_TOOLS,
    TIERS,
    Rule,
    check_model_name,
    refuse,
)

_LEAVE_OUT = "Send that, or leave the field out."
_FORMAT = "Check the format of the input."


def _kind(name: str, *kinds: type) -> Rule:
    def check(param: str, value: Any) -> None:
        if type(value) not in kinds:
            refuse(param, f"must be {name}", _LEAVE_OUT)

    return check


def _number(smallest: float, largest: float, *, is_whole: bool = False) -> Rule:
    kinds = (int,) if is_whole else (int, float)

    def check(param: str, value: Any) -> None:
        if type(value) not in kinds or not smallest <= value <= largest:
            name = "an integer" if is_whole else "a number"
            refuse(param, f"must be {name} from {smallest:g} to {largest:g}", _LEAVE_OUT)

    return check


def _one_of(allowed: frozenset[str], remedy: str) -> Rule:
    def check(param: str, value: Any) -> None:
        if type(value) is not str or value not in allowed:
            refuse(param, f"must be one of {', '.join(sorted(allowed))}", remedy)

    return check


def _forbidden(param: str, value: Any) -> None:
    refuse(param, "can't be set by a request", "Remove it: the gateway chooses the provider.")


def _no_background(param: str, value: Any) -> None:
    if value is not False:
        refuse(param, "isn't offered here", "Remove it, or send the work as a batch.")


def _models(param: str, value: Any) -> None:
    if type(value) is not list or len(value) > MOST_FALLBACKS:
        refuse(param, f"must be a list of up to {MOST_FALLBACKS} model names", "Shorten the list.")
    for index, name in enumerate(value):
        check_model_name(f"{param}[{index}]", name)


def _session_id(param: str, value: Any) -> None:
    if type(value) is not str or len(value) > LONGEST_NAME or not value.isprintable():
        refuse(param, f"must be up to {LONGEST_NAME} printable characters", "Send a shorter id.")


def _holds(**kinds: tuple[str, type]) -> Rule:
    """An object whose fields, where they are there, are each of one kind."""

    def check(param: str, value: Any) -> None:
        if type(value) is not dict:
            refuse(param, "must be an object", _LEAVE_OUT)
        for field, (name, kind) in kinds.items():
            if value.get(field) is not None and type(value[field]) is not kind:
                refuse(f"{param}.{field}", f"must be {name}", _LEAVE_OUT)

    return check


def _tool_choice(param: str, value: Any) -> None:
    if type(value) is not str:
        _allowed_tools(param, value)


_TEXT, _OBJECT, _LIST = ("a string", str), ("an object", dict), ("a list", list)
_allowed_tools = _holds(mode=_TEXT, tools=_LIST)
_function = _holds(description=_TEXT, parameters=_OBJECT, format=_OBJECT)
_reasoned = _holds(summary=_LIST, content=_LIST, encrypted_content=_TEXT, id=_TEXT)


def _tools(param: str, value: Any) -> None:
    if type(value) is not list or len(value) > MOST_TOOLS:
        refuse(param, f"must be a list of up to {MOST_TOOLS} tools", "Send fewer tools.")
    kinds = set()
    for index, tool in enumerate(value):
        if type(tool) is not dict:
            refuse(f"{param}[{index}]", "must be an object", "Check the format of the tool.")
        kind = tool.get("type")
        if type(kind) is str and not _is_header_safe(kind):
            refuse(
                f"{param}[{index}].type",
                f"must be up to {LONGEST_TOOL_TYPE} printable characters of ASCII",
                "Check the format of the tool.",
            )
        kinds.add(str(kind))
        name = tool.get("name")
        if kind in ("function", "custom") and (
            type(name) is not str or not 0 < len(name) <= LONGEST_NAME
        ):
            refuse(
                f"{param}[{index}].name",
                f"must have 1 to {LONGEST_NAME} characters",
                "Name the tool.",
            )
        if kind in (None, "function", "custom"):
            _function(f"{param}[{index}]", tool)
    if len(kinds) > MOST_TOOL_TYPES:
        refuse(param, f"names more than {MOST_TOOL_TYPES} types of tools", "Send fewer types.")


def _is_header_safe(kind: str) -> bool:
    """A hosted tool that is left out is named in a header, which its name may not forge."""
    is_visible = kind.isascii() and kind.isprintable() and " " not in kind
    return is_visible and 0 < len(kind) <= LONGEST_TOOL_TYPE


_flag = _kind("true or false", bool)
_text = _kind("a string", str)
_object = _kind("an object", dict)
_list = _kind("a list", list)

RULES: dict[str, Rule] = {
    "max_output_tokens": _number(0, LARGEST_LIMIT, is_whole=True),
    "max_tool_calls": _number(0, LARGEST_LIMIT, is_whole=True),
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "top_logprobs": _number(0, 20, is_whole=True),
    "stream": _flag,
    "stream_options": _object,
    "instructions": _kind("a string or a list", str, list),
    "previous_response_id": _text,
    "conversation": _kind("a string or an object", str, dict),
    "store": _flag,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _flag,
    "reasoning": _holds(effort=_TEXT, summary=_TEXT, generate_summary=_TEXT),
    "text": _holds(format=_OBJECT, verbosity=_TEXT),
    "include": _list,
    "prompt": _object,
    "metadata": _object,
    "user": _text,
    "prompt_cache_key": _text,
    "safety_identifier": _text,
    "service_tier": _one_of(TIERS, "Other tiers have other prices: leave it out."),
    "background": _no_background,
    "api_base": _forbidden,
    "base_url": _forbidden,
    "api_key": _forbidden,
    "budget": _one_of(BUDGETS, "Send one of these, or leave it out."),
    "aicraft_budget": _one_of(BUDGETS, "Send one of these, or leave it out."),
    "models": _models,
    "provider": _object,
    "session_id": _session_id,
}


def check_body(body: dict[str, Any]) -> set[str]:
    """Check every known field; return what its items need: "image", "audio", "file", "state".

    Raises: InvalidParameterError.
    """
    check_model_name("model", body.get("model"))
    for field, value in body.items():
        if value is not None and (rule := RULES.get(field)) is not None:
            rule(field, value)
    needs: set[str] = set()
    for field in ("instructions", "input"):
        _check_items(field, body.get(field), needs)
    if any(body.get(field) for field in ("previous_response_id", "conversation", "prompt")):
        needs.add("state")
    return needs


def all_tools(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the tools of a checked body, those that an item of the input brings along included."""
    yield from body.get("tools") or ()
    items = body.get("input")
    if type(items) is list:
        for item in items:
            if item.get("type") in TOOL_BRINGERS:
                yield from item.get("tools") or ()


TOOL_BRINGERS = ("additional_tools", "tool_search_output")
"""Source: the types of openai-python 3.52, `responses/response_input_item.py`."""


def _check_items(param: str, items: Any, needs: set[str]) -> None:
    if items is None or type(items) is str:
        return
    if type(items) is not list:
        refuse(param, "must be a string or a list of items", _FORMAT)
    if len(items) > MOST_MESSAGES:
        refuse(param, f"has more than {MOST_MESSAGES} entries", "Send fewer items.")
    for index, item in enumerate(items):
        if type(item) is not dict:
            refuse(f"{param}[{index}]", "must be an object", _FORMAT)
        _check_item(f"{param}[{index}]", item, needs)


def _check_item(param: str, item: dict[str, Any], needs: set[str]) -> None:
    kind = item.get("type")
    if kind is not None and type(kind) is not str:
        refuse(f"{param}.type", "must be a string", _FORMAT)
    if kind in TOOL_BRINGERS:
        if item.get("tools") is not None:
            _tools(f"{param}.tools", item["tools"])
    elif kind in (None, "message"):
        _check_message(param, item, needs)
    elif kind == "reasoning":
        _reasoned(param, item)
    elif kind == "item_reference":
        needs.add("state")
    elif kind in ("function_call", "custom_tool_call"):
        _check_texts(param, item, "id", "call_id", "name")
    elif kind in ("function_call_output", "custom_tool_call_output"):
        _check_texts(param, item, "call_id", "name")
        _check_parts(f"{param}.output", item.get("output"), needs)


def _check_message(param: str, item: dict[str, Any], needs: set[str]) -> None:
    role = item.get("role")
    if type(role) is str:
        _check_parts(f"{param}.content", item.get("content"), needs)
    elif item.get("type") is None and role is None and type(item.get("id")) is str:
        needs.add("state")  # an item reference may leave its type out
    else:
        refuse(f"{param}.role", "must be a string", _FORMAT)


def _check_texts(param: str, item: dict[str, Any], *fields: str) -> None:
    for field in fields:
        value = item.get(field)
        if value is not None and type(value) is not str:
            refuse(f"{param}.{field}", "must be a string", _FORMAT)


_NEEDS = {"input_image": "image", "input_audio": "audio", "input_file": "file"}


_PART_TEXTS = (
    "text", "refusal", "file_data", "file_id", "file_url", "filename", "image_url", "detail",
)  # fmt: skip


def _check_parts(param: str, parts: Any, needs: set[str]) -> None:
    if parts is None or type(parts) is str:
        return
    if type(parts) is not list:
        refuse(param, "must be a string or a list of parts", _FORMAT)
    for index, part in enumerate(parts):
        if type(part) is not dict or type(kind := part.get("type")) is not str:
            refuse(f"{param}[{index}]", "must be an object with a `type`", _FORMAT)
        if kind in _NEEDS:
            needs.add(_NEEDS[kind])
            if part.get("file_id") is not None:
                needs.add("state")
        _check_texts(f"{param}[{index}]", part, *_PART_TEXTS)
