"""What a Messages request may say. Refused is only what Anthropic's API refuses, or has no price.

Coding agents send what no reference lists, so a field that isn't known here passes, a tool may have
no type, a turn no content, and instructions may stand between the turns.

Source: the types of anthropic-sdk-python 2.11, `types/message_create_params.py`, and
https://platform.claude.com/docs/en/api/messages (read 2026-11-21). Temperature, top_p and top_k are
of API version 2023-06-01 only; which version a caller speaks is the provider's to judge.
"""

from typing import Any

from wire.chat_rules import (
    BUDGETS,
    LARGEST_LIMIT,
    LONGEST_NAME,
    MOST_FALLBACKS,
    MOST_MESSAGES,
    MOST_TOOLS,
    Rule,
    check_model_name,
    refuse,
)

_ROLES = ("assistant", "system", "user")
_CHOICES = ("auto", "any", "tool", "none")

_LEAVE_OUT = "Send that, or leave the field out."
_FORMAT = "Check the message format."


def _kind(kind: type, name: str) -> Rule:
    def check(param: str, value: Any) -> None:
        if type(value) is not kind:
            refuse(param, f"must be {name}", _LEAVE_OUT)

    return check


def _number(smallest: float, largest: float, *, is_whole: bool = False) -> Rule:
    kinds = (int,) if is_whole else (int, float)

    def check(param: str, value: Any) -> None:
        if type(value) not in kinds or not smallest <= value <= largest:
            name = "an integer" if is_whole else "a number"
            refuse(param, f"must be {name} from {smallest:g} to {largest:g}", _LEAVE_OUT)

    return check


def _one_of(*allowed: str) -> Rule:
    def check(param: str, value: Any) -> None:
        if value not in allowed:
            what = f"must be one of {', '.join(allowed)}"
            refuse(param, what, "Others have other prices: leave it out.")

    return check


def _texts(param: str, value: Any) -> None:
    if type(value) is not list or not all(type(text) is str for text in value):
        refuse(param, "must be a list of strings", _LEAVE_OUT)


def _tools(param: str, value: Any) -> None:
    if type(value) is not list or len(value) > MOST_TOOLS:
        refuse(param, f"must be a list of up to {MOST_TOOLS} tools", "Send fewer tools.")
    for index, tool in enumerate(value):
        if type(tool) is not dict:
            refuse(f"{param}[{index}]", "must be an object", "Check the format of the tool.")
        name = tool.get("name")
        is_own = tool.get("type") in (None, "custom")
        if (is_own or name is not None) and (type(name) is not str or not name):
            refuse(f"{param}[{index}].name", "must be a string", "Name the tool.")
        if is_own and type(tool.get("input_schema", {})) is not dict:
            refuse(f"{param}[{index}].input_schema", "must be an object", "Send a JSON schema.")


def _tool_choice(param: str, value: Any) -> None:
    if type(value) is not dict or value.get("type") not in _CHOICES:
        refuse(param, "must be an object whose `type` is auto, any, tool or none", _LEAVE_OUT)
    if value["type"] == "tool" and type(value.get("name")) is not str:
        refuse(f"{param}.name", "must be the name of a tool", "Name the tool.")


def _thinking(param: str, value: Any) -> None:
    if type(value) is not dict or type(value.get("type")) is not str:
        refuse(param, "must be an object with a `type`", _LEAVE_OUT)
    if value["type"] == "enabled":
        _number(0, LARGEST_LIMIT, is_whole=True)(
            f"{param}.budget_tokens", value.get("budget_tokens")
        )


def _system(param: str, value: Any) -> None:
    if type(value) is not str:
        _check_blocks(param, value, set())


def _fallbacks(param: str, value: Any) -> None:
    if type(value) is not list or len(value) > MOST_FALLBACKS:
        refuse(param, f"must be a list of up to {MOST_FALLBACKS} models", "Shorten the list.")
    for index, fallback in enumerate(value):
        if type(fallback) is not dict or set(fallback) != {"model"}:
            refuse(f"{param}[{index}]", "must be an object with only a `model`", _LEAVE_OUT)
        check_model_name(f"{param}[{index}].model", fallback["model"])


def _models(param: str, value: Any) -> None:
    if type(value) is not list or len(value) > MOST_FALLBACKS:
        refuse(param, f"must be a list of up to {MOST_FALLBACKS} model names", "Shorten the list.")
    for index, name in enumerate(value):
        check_model_name(f"{param}[{index}]", name)


def _session_id(param: str, value: Any) -> None:
    if type(value) is not str or len(value) > LONGEST_NAME or not value.isprintable():
        refuse(param, f"must be up to {LONGEST_NAME} printable characters", "Send a shorter id.")


def _forbidden(param: str, value: Any) -> None:
    refuse(param, "can't be set by a request", "Remove it: the gateway chooses the provider.")


_object = _kind(dict, "an object")


def _output_config(param: str, value: Any) -> None:
    _object(param, value)
    if type(value.get("effort")) not in (str, type(None)):
        refuse(f"{param}.effort", "must be a string", _LEAVE_OUT)


RULES: dict[str, Rule] = {
    "max_tokens": _number(0, LARGEST_LIMIT, is_whole=True),
    "temperature": _number(0, 1),
    "top_p": _number(0, 1),
    "top_k": _number(0, LARGEST_LIMIT, is_whole=True),
    "stream": _kind(bool, "true or false"),
    "stop_sequences": _texts,
    "system": _system,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "thinking": _thinking,
    "output_config": _output_config,
    "metadata": _object,
    "service_tier": _one_of("auto", "standard_only"),
    "speed": _one_of("standard"),
    "inference_geo": _one_of("global"),
    "mcp_servers": _kind(list, "a list"),
    "fallbacks": _fallbacks,
    "models": _models,
    "provider": _object,
    "session_id": _session_id,
    "budget": _one_of(*sorted(BUDGETS)),
    "aicraft_budget": _one_of(*sorted(BUDGETS)),
    "api_base": _forbidden,
    "base_url": _forbidden,
    "api_key": _forbidden,
}


def check_body(body: dict[str, Any], *, is_limit_needed: bool = True) -> set[str]:
    """Check every known field; return what the turns need: "image", "file", "state".

    Raises: InvalidParameterError.
    """
    check_model_name("model", body.get("model"))
    if is_limit_needed and body.get("max_tokens") is None:
        refuse("max_tokens", "is required", "Send how many tokens the answer may have.")
    for field, value in body.items():
        if value is not None and (rule := RULES.get(field)) is not None:
            rule(field, value)
    return _check_messages(body.get("messages"))


def _check_messages(messages: Any) -> set[str]:
    if type(messages) is not list or not messages:
        refuse("messages", "must be a list of at least one message", _FORMAT)
    if len(messages) > MOST_MESSAGES:
        refuse("messages", f"has more than {MOST_MESSAGES} entries", "Send fewer messages.")
    needs: set[str] = set()
    for index, message in enumerate(messages):
        if type(message) is not dict:
            refuse(f"messages[{index}]", "must be an object", _FORMAT)
        if message.get("role") not in _ROLES:
            refuse(f"messages[{index}].role", f"must be one of {', '.join(_ROLES)}", _FORMAT)
        content = message.get("content")
        if content is not None and type(content) is not str:
            _check_blocks(f"messages[{index}].content", content, needs)
    return needs


def _check_blocks(param: str, blocks: Any, needs: set[str]) -> None:
    if type(blocks) is not list:
        refuse(param, "must be a string or a list of blocks", _FORMAT)
    for index, block in enumerate(blocks):
        if type(block) is not dict or type(kind := block.get("type")) is not str:
            refuse(f"{param}[{index}]", "must be an object with a `type`", _FORMAT)
        for field in _FIELDS.get(kind, ()):
            if type(block.get(field)) is not str:
                refuse(f"{param}[{index}].{field}", "must be a string", _FORMAT)
        if kind in _SOURCED:
            _check_source(f"{param}[{index}].source", block.get("source"))
            needs.add(_SOURCED[kind])
            if block["source"].get("type") == "file":
                needs.add("state")
        elif kind in _NESTED and type(content := block.get("content")) not in (str, type(None)):
            _check_blocks(f"{param}[{index}].content", content, needs)


def _check_source(param: str, source: Any) -> None:
    if type(source) is not dict or type(source.get("type")) is not str:
        refuse(param, "must be an object with a `type`", _FORMAT)
    field = _SOURCES.get(source["type"])
    if field is not None and type(source.get(field)) is not str:
        refuse(f"{param}.{field}", "must be a string", _FORMAT)


_FIELDS = {
    "text": ("text",),
    "thinking": ("thinking",),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "name"),
    "tool_result": ("tool_use_id",),
}
_NESTED = ("tool_result", "search_result")
_SOURCED = {"image": "image", "document": "file"}
_SOURCES = {"base64": "data", "text": "data", "url": "url", "file": "file_id"}
