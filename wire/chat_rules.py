"""What a chat request may say. Refused is only what the official specification refuses.

Pass-through comes first: a field that isn't known here is nobody's business but the provider's.
`null` stands for an absent field everywhere.

Source: the types of openai-python 3.52, `chat/completion_create_params.py` (read 2026-11-21).
"""

import re
from collections.abc import Callable
from typing import Any, NoReturn

from errors import InvalidParameterError

MOST_MESSAGES = 100_000
MOST_TOOLS = 4_096
MOST_TOOL_TYPES = 32
MOST_STOPS = 16
MOST_FALLBACKS = 16
MOST_CHOICES = 128
LARGEST_LIMIT = 10_000_000
LONGEST_NAME = 256
LONGEST_TOOL_TYPE = 64

ROLES = frozenset({"developer", "system", "user", "assistant", "tool", "function"})
BUDGETS = frozenset({"save", "quality", "auto"})
TIERS = frozenset({"auto", "default", "standard_only"})

Rule = Callable[[str, Any], None]

_TOOL_TYPE = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_TOOL_TYPE}}}")


def refuse(param: str, what: str, remedy: str) -> NoReturn:
    """Raise the 400 that names the parameter, says what it must be and what to do."""
    raise InvalidParameterError(f"`{param}` {what}. {remedy}", param=param)


def _is_number(value: object) -> bool:
    return type(value) is int or type(value) is float


def _whole(smallest: int, largest: int) -> Rule:
    def check(param: str, value: Any) -> None:
        if type(value) is not int or not smallest <= value <= largest:
            refuse(
                param,
                f"must be an integer from {smallest} to {largest}",
                "Send one in that range, or leave the field out.",
            )

    return check


def _number(smallest: float, largest: float) -> Rule:
    def check(param: str, value: Any) -> None:
        if not _is_number(value) or not smallest <= value <= largest:
            refuse(
                param,
                f"must be a number from {smallest:g} to {largest:g}",
                "Send one in that range, or leave the field out.",
            )

    return check


def _kind(kind: type, name: str) -> Rule:
    def check(param: str, value: Any) -> None:
        if type(value) is not kind:
            refuse(param, f"must be {name}", "Send that, or leave the field out.")

    return check


def _either(kinds: tuple[type, ...], names: str) -> Rule:
    def check(param: str, value: Any) -> None:
        if type(value) not in kinds:
            refuse(param, f"must be {names}", "Send one of these, or leave the field out.")

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


def _stop(param: str, value: Any) -> None:
    if type(value) is str:
        return
    if type(value) is not list or len(value) > MOST_STOPS:
        refuse(param, f"must be a string or up to {MOST_STOPS} strings", "Send fewer, as text.")
    for index, text in enumerate(value):
        if type(text) is not str:
            refuse(f"{param}[{index}]", "must be a string", "Send each stop sequence as text.")


def _logit_bias(param: str, value: Any) -> None:
    if type(value) is not dict or not all(map(_is_number, value.values())):
        refuse(
            param, "must be an object of numbers", "Send token ids as keys and biases as values."
        )


def _models(param: str, value: Any) -> None:
    if type(value) is not list or len(value) > MOST_FALLBACKS:
        refuse(param, f"must be a list of up to {MOST_FALLBACKS} model names", "Shorten the list.")
    for index, name in enumerate(value):
        check_model_name(f"{param}[{index}]", name)


def _session_id(param: str, value: Any) -> None:
    if type(value) is not str or len(value) > LONGEST_NAME or not value.isprintable():
        refuse(param, f"must be up to {LONGEST_NAME} printable characters", "Send a shorter id.")


def _stream_options(param: str, value: Any) -> None:
    _kind(dict, "an object")(param, value)
    asked = value.get("include_usage")
    if asked is not None and type(asked) is not bool:
        refuse(f"{param}.include_usage", "must be true or false", "Send a boolean.")


def _tools(param: str, value: Any) -> None:
    if type(value) is not list or len(value) > MOST_TOOLS:
        refuse(param, f"must be a list of up to {MOST_TOOLS} tools", "Send fewer tools.")
    kinds = set()
    for index, tool in enumerate(value):
        if type(tool) is not dict:
            refuse(f"{param}[{index}]", "must be an object", "Check the format of the tool.")
        _tool_type(f"{param}[{index}].type", tool.get("type"))
        kinds.add(str(tool.get("type")))
        for kind in ("function", "custom"):
            if (described := tool.get(kind)) is not None:
                _tool_name(f"{param}[{index}].{kind}", described)
    if len(kinds) > MOST_TOOL_TYPES:
        refuse(param, f"names more than {MOST_TOOL_TYPES} types of tools", "Send fewer types.")


def _tool_type(param: str, kind: Any) -> None:
    """A hosted tool that is left out is named in a header, which its name may not forge."""
    if type(kind) is str and not _TOOL_TYPE.fullmatch(kind):
        refuse(
            param,
            f"must be up to {LONGEST_TOOL_TYPE} printable characters of ASCII",
            "Check the format of the tool.",
        )


def _functions(param: str, value: Any) -> None:
    if type(value) is not list or len(value) > MOST_TOOLS:
        refuse(param, f"must be a list of up to {MOST_TOOLS} functions", "Send fewer functions.")
    for index, function in enumerate(value):
        _tool_name(f"{param}[{index}]", function)


def _tool_name(param: str, described: Any) -> None:
    if type(described) is not dict:
        refuse(param, "must be an object", "Check the format of the tool.")
    name = described.get("name")
    if type(name) is not str or not 0 < len(name) <= LONGEST_NAME:
        refuse(f"{param}.name", f"must have 1 to {LONGEST_NAME} characters", "Name the tool.")


_flag = _kind(bool, "true or false")
_text = _kind(str, "a string")
_object = _kind(dict, "an object")
_list = _kind(list, "a list")

RULES: dict[str, Rule] = {
    "max_tokens": _whole(0, LARGEST_LIMIT),
    "max_completion_tokens": _whole(0, LARGEST_LIMIT),
    "n": _whole(1, MOST_CHOICES),
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "logprobs": _flag,
    "top_logprobs": _whole(0, 20),
    "stop": _stop,
    "seed": _whole(-(2**63), 2**64 - 1),
    "stream": _flag,
    "stream_options": _stream_options,
    "tools": _tools,
    "tool_choice": _either((str, dict), "a string or an object"),
    "functions": _functions,
    "function_call": _either((str, dict), "a string or an object"),
    "parallel_tool_calls": _flag,
    "response_format": _object,
    "logit_bias": _logit_bias,
    "metadata": _object,
    "modalities": _list,
    "audio": _object,
    "prediction": _object,
    "reasoning": _object,
    "reasoning_effort": _text,
    "verbosity": _text,
    "store": _flag,
    "user": _text,
    "prompt_cache_key": _text,
    "safety_identifier": _text,
    "web_search_options": _object,
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
    """Check every known field; return what the messages need: "image", "audio", "file", "state".

    Raises: InvalidParameterError.
    """
    check_model_name("model", body.get("model"))
    for field, value in body.items():
        if value is not None and (rule := RULES.get(field)) is not None:
            rule(field, value)
    return _check_messages(body.get("messages"))


def check_model_name(param: str, name: object) -> None:
    """Refuse what can't be the name of a model, or would forge a header or a line of a log."""
    if type(name) is not str or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        refuse(
            param,
            f"must be the name of a model, of 1 to {LONGEST_NAME} printable characters",
            "Check the model name: GET /v1/models lists them.",
        )


_MESSAGE_REMEDY = "Check the message format."


def _check_messages(messages: Any) -> set[str]:
    if type(messages) is not list or not messages:
        refuse("messages", "must be a list of at least one message", _MESSAGE_REMEDY)
    if len(messages) > MOST_MESSAGES:
        refuse("messages", f"has more than {MOST_MESSAGES} entries", "Send fewer messages.")
    needs: set[str] = set()
    for index, message in enumerate(messages):
        if type(message) is not dict:
            refuse(f"messages[{index}]", "must be an object", _MESSAGE_REMEDY)
        role = message.get("role")
        if type(role) is not str or role not in ROLES:
            refuse(
                f"messages[{index}].role",
                f"must be one of {', '.join(sorted(ROLES))}",
                _MESSAGE_REMEDY,
            )
        content = message.get("content")
        if type(content) is list:
            _check_parts(f"messages[{index}].content", content, needs)
        elif type(content) is not str:
            _check_no_text(f"messages[{index}]", message)
        if len(message) > 2:
            _check_rest(f"messages[{index}]", message, needs)
    return needs


def _check_no_text(param: str, message: dict[str, Any]) -> None:
    if message.get("content") is not None:
        refuse(f"{param}.content", "must be a string or a list of parts", _MESSAGE_REMEDY)
    if "content" not in message and message["role"] != "assistant":
        refuse(f"{param}.content", "is missing", _MESSAGE_REMEDY)


def _check_rest(param: str, message: dict[str, Any], needs: set[str]) -> None:
    if message.get("audio") is not None:
        needs.add("state")
    calls = message.get("tool_calls")
    if calls is not None and (type(calls) is not list or not all(type(c) is dict for c in calls)):
        refuse(f"{param}.tool_calls", "must be a list of objects", _MESSAGE_REMEDY)
    for field in ("name", "tool_call_id"):
        value = message.get(field)
        if value is not None and type(value) is not str:
            refuse(f"{param}.{field}", "must be a string", _MESSAGE_REMEDY)


def _check_parts(param: str, parts: list[Any], needs: set[str]) -> None:
    for index, part in enumerate(parts):
        if type(part) is not dict or type(kind := part.get("type")) is not str:
            refuse(f"{param}[{index}]", "must be an object with a `type`", _MESSAGE_REMEDY)
        if kind == "text":
            if type(part.get("text")) is not str:
                refuse(f"{param}[{index}].text", "must be a string", _MESSAGE_REMEDY)
        elif kind in _PARTS:
            need, kinds = _PARTS[kind]
            if type(part.get(kind)) not in kinds:
                refuse(f"{param}[{index}].{kind}", "must be an object", _MESSAGE_REMEDY)
            needs.add(need)
            if kind == "file" and part["file"].get("file_id") is not None:
                needs.add("state")


_PARTS: dict[str, tuple[str, tuple[type, ...]]] = {
    "image_url": ("image", (dict, str)),
    "input_audio": ("audio", (dict,)),
    "file": ("file", (dict,)),
}
