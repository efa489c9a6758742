"""A request for Gemini's generateContent, written from the neutral form.

Source: the types of google-genai 3.4, `types.py` and `models.py` (read 2026-11-21).
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from wire import gemini_models, gemini_schema
from wire.gemini_parts import DIALECT, media_part
from wire.neutral import (
    Block,
    Dropped,
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
    unsupported,
)
from wire.neutral_limits import note_foreign, refuse_unsayable

MOST_STOPS = 5
LARGEST_SEED = 2**31 - 1

_NO_OTHER = "Leave it out, or choose another model."
_decode = msgspec.json.Decoder().decode


def write_request(request: Request, target: Target, dropped: Dropped) -> dict[str, Any]:
    """Return the body for a provider; model and streaming are told by the path.

    Raises: UnsupportedByModelError, InvalidParameterError.
    """
    _refuse(request)
    turns = _Turns(request, target, dropped)
    body: dict[str, Any] = {"contents": turns.written()}
    if turns.system:
        body["systemInstruction"] = {"parts": turns.system}
    _add_tools(body, request, dropped)
    config = _config(request, target, dropped)
    if config:
        body["generationConfig"] = config
    _note(request, dropped)
    return body


def _refuse(request: Request) -> None:
    refuse_unsayable(request, DIALECT)
    if request.sampling.has_logprobs:
        raise unsupported("logprobs", "this model's can't be translated", _NO_OTHER)
    if "audio" in request.modalities:
        raise unsupported("modalities", "this model's sound can't be translated", _NO_OTHER)
    if len(request.stop_sequences) > MOST_STOPS:
        param = request.param("stop_sequences")
        raise invalid(param, f"has more than {MOST_STOPS} entries", "This model takes no more.")


def _note(request: Request, dropped: Dropped) -> None:
    if request.sampling.logit_bias:
        dropped.note("logit_bias")
    if request.may_call_in_parallel is False:
        dropped.note(request.param("may_call_in_parallel"))
    for field in ("verbosity", "user", "metadata", "cache"):
        if getattr(request, field):
            dropped.note(request.param(field))
    note_foreign(request, DIALECT, dropped)


class _Turns:
    """The conversation as turns that alternate: neighbors of the same role become one."""

    def __init__(self, request: Request, target: Target, dropped: Dropped) -> None:
        self.system: list[dict[str, Any]] = []
        self._request = request
        self._dropped = dropped
        self._turns: list[dict[str, Any]] = []
        self._names: dict[str, str] = {}
        self._wants_seals = gemini_models.thinks_by_level(target.model)

    def written(self) -> list[dict[str, Any]]:
        request = self._request
        for message in request.system:
            self.system += self._parts(message.content)
        for item in request.items:
            self._add(item)
        if self._turns:
            return self._turns
        if not self.system:
            raise invalid("messages", "has nothing in it", "Send a message with content.")
        first = request.system[0].param or "messages[0]"
        self._dropped.note(f"{first}.role")  # instructions alone must be a turn
        self._put("user", self.system)
        self.system = []
        return self._turns

    def _add(self, item: Item) -> None:
        if isinstance(item, Message):
            self._add_message(item)
        elif isinstance(item, ToolCall):
            self._put("model", [self._call(item)])
        elif isinstance(item, ToolResult):
            self._put("user", [self._result(item)])
        elif isinstance(item, Reasoning):
            self._put("model", _thought(item))
        elif item.dialect == DIALECT:
            self._put("model", [item.value])
        else:
            self._drop(item)

    def _add_message(self, message: Message) -> None:
        if message.name is not None:
            self._dropped.note("messages.name")
        if message.role in ("system", "developer"):
            self._dropped.note(f"{message.param or 'messages'}.role")
        role = "model" if message.role == "assistant" else "user"
        self._put(role, self._parts(message.content))

    def _put(self, role: str, parts: list[dict[str, Any]]) -> None:
        if not parts:
            return
        if self._turns and self._turns[-1]["role"] == role:
            self._turns[-1]["parts"] += parts
        else:
            self._turns.append({"role": role, "parts": list(parts)})

    def _drop(self, item: Other) -> None:
        self._dropped.note(f"{item.param or item.kind} ({item.kind})")

    def _parts(self, content: Sequence[Block]) -> list[dict[str, Any]]:
        parts = []
        for block in content:
            if isinstance(block, Text | Refusal):
                if block.text:
                    parts.append({"text": block.text})
            elif not isinstance(block, Other):
                parts.append(media_part(block, self._dropped))
            elif block.dialect == DIALECT:
                parts.append(block.value)
            else:
                self._drop(block)
        return parts

    def _call(self, item: ToolCall) -> dict[str, Any]:
        """Write a call; the first of a turn has a seal, another vendor's the one for foreigners."""
        self._names[item.id] = item.name
        part: dict[str, Any] = {
            "functionCall": {"id": item.id, "name": item.name, "args": _args(item)}
        }
        last = self._turns[-1] if self._turns else {"role": "user", "parts": []}
        is_first = last["role"] != "model" or not any("functionCall" in p for p in last["parts"])
        if item.signed_by == DIALECT and item.signature:
            part["thoughtSignature"] = item.signature
        elif is_first and self._wants_seals:
            part["thoughtSignature"] = gemini_models.FOREIGN_SEAL
        return part

    def _result(self, item: ToolResult) -> dict[str, Any]:
        name = self._names.get(item.call_id) or item.name
        if name is None:
            where = item.param or "messages"
            raise invalid(where, "answers a call that isn't there", "Send the call before it.")
        texts = tuple(block for block in item.content if isinstance(block, Text | Refusal))
        said = "".join(block.text for block in texts)
        response: dict[str, Any] = {
            "id": item.call_id,
            "name": name,
            "response": {"error" if item.is_error else "output": said},
        }
        media = self._parts([block for block in item.content if block not in texts])
        if media:
            response["parts"] = media
        return {"functionResponse": response}


def _thought(item: Reasoning) -> list[dict[str, Any]]:
    """Write what this vendor sealed; it wants nobody else's thoughts."""
    if item.signed_by != DIALECT or not item.signature:
        return []
    text = item.text or "\n\n".join(item.summary)
    return [{"text": text, "thought": True, "thoughtSignature": item.signature}]


def _args(item: ToolCall) -> dict[str, Any]:
    if item.is_custom:
        return {"input": item.arguments}
    try:
        value = _decode(item.arguments) if item.arguments.strip() else {}
    except msgspec.MsgspecError:
        value = None
    if not isinstance(value, dict):
        where = item.param or "messages"
        raise invalid(where, "has arguments that are no JSON object", "Mend or remove it.")
    return value


def _add_tools(body: dict[str, Any], request: Request, dropped: Dropped) -> None:
    """Write the tools; where only some may be called if any is, the others aren't sent."""
    choice = request.tool_choice
    only = choice.names if choice is not None and choice.mode == "auto" else ()
    declared, native = [], []
    for index, tool in enumerate(request.tools):
        if isinstance(tool, Tool):
            if not only or tool.name in only:
                declared.append(_tool(tool, dropped))
        elif tool.dialect == DIALECT:
            native.append(tool.value)
        else:
            dropped.note(f"{tool.param or f'tools[{index}]'} ({tool.kind})")
    if declared:
        native.append({"functionDeclarations": declared})
    if not native:
        return
    body["tools"] = native
    if choice is not None and declared:
        calling: dict[str, Any] = {"mode": _MODES[choice.mode]}
        if choice.names and choice.mode in ("required", "named"):
            calling["allowedFunctionNames"] = list(choice.names)
        body["toolConfig"] = {"functionCallingConfig": calling}


_MODES = {"auto": "AUTO", "required": "ANY", "named": "ANY", "none": "NONE"}


def _tool(tool: Tool, dropped: Dropped) -> dict[str, Any]:
    if tool.is_custom:
        raise unsupported(
            tool.param or "tools", "this model takes no tool with free text", "Give it a schema."
        )
    declared: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        declared["description"] = tool.description
    if tool.parameters:
        declared["parametersJsonSchema"] = gemini_schema.of_tool(tool.parameters, dropped)
    if tool.is_strict:
        dropped.note("tools.strict")
    return declared


def _config(request: Request, target: Target, dropped: Dropped) -> dict[str, Any]:
    sampling = request.sampling
    seed = sampling.seed
    if seed is not None and not 0 <= seed <= LARGEST_SEED:
        dropped.note("seed")
        seed = None
    config: dict[str, Any] = {
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "topK": sampling.top_k,
        "presencePenalty": sampling.presence_penalty,
        "frequencyPenalty": sampling.frequency_penalty,
        "seed": seed,
        "maxOutputTokens": target.limit(request.output_limit),
        "stopSequences": list(request.stop_sequences) or None,
        "thinkingConfig": _thinking(request, target, dropped),
    }
    shape = request.output_shape
    if shape is not None:
        config["responseMimeType"] = "application/json"
        if shape.schema is not None:
            param = request.param("output_shape")
            config["responseJsonSchema"] = gemini_schema.of_answer(shape.schema, param, dropped)
    if "image" in request.modalities:
        config["responseModalities"] = ["TEXT", "IMAGE"]
    return {name: value for name, value in config.items() if value is not None}


def _thinking(request: Request, target: Target, dropped: Dropped) -> dict[str, Any] | None:
    thinking = request.thinking
    if thinking is None:
        return None
    effort = "none" if thinking.is_enabled is False else thinking.effort
    if not target.can_reason:
        if effort not in (None, "none"):
            dropped.note(request.param("effort"))
        return None
    config: dict[str, Any] = {}
    if thinking.budget_tokens is not None and effort != "none":
        config["thinkingBudget"] = thinking.budget_tokens
    elif effort is not None:
        config |= _by_effort(effort, request, target, dropped)
    wants_summary = thinking.summary not in (None, "none") or thinking.is_enabled
    if thinking.is_shown or (thinking.is_shown is None and wants_summary):
        config["includeThoughts"] = True
    return config or None


def _by_effort(effort: str, request: Request, target: Target, dropped: Dropped) -> dict[str, Any]:
    """What has no level of its own is told as the next one, and noted."""
    param = request.param("effort")
    if effort not in gemini_models.LEVELS:
        raise invalid(param, "is no effort of this model", "Send minimal, low, medium or high.")
    if gemini_models.thinks_by_level(target.model):
        level = gemini_models.LEVELS[effort]
        if level != effort:
            dropped.note(f"{param}={effort} ({level})")
        return {"thinkingLevel": level.upper()}
    return {"thinkingBudget": gemini_models.BUDGETS[effort]}
