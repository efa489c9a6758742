"""What a client of OpenAI's Responses is answered with: the response object and its items."""

from typing import Any

from wire.neutral import Audio, Image, Reasoning, Request, ToolCall
from wire.responses_read import DIALECT
from wire.seals import seal, seal_of_call

BROKE_OFF = {"code": "server_error", "message": "The model's answer broke off. Try again."}


def response_object(
    identity: str, model: str, created: int, request: Request | None
) -> dict[str, Any]:
    """Return a response that has begun, with every field that the SDK's type insists on."""
    asked = request if request is not None else Request(model=model, items=())
    may_call_in_parallel = asked.may_call_in_parallel
    return {
        "id": identity,
        "object": "response",
        "created_at": created,
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": asked.output_limit,
        "metadata": asked.metadata or {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True if may_call_in_parallel is None else may_call_in_parallel,
        "previous_response_id": None,
        "reasoning": {
            "effort": asked.thinking.effort if asked.thinking is not None else None,
            "summary": asked.thinking.summary if asked.thinking is not None else None,
        },
        "store": False,
        "temperature": asked.sampling.temperature,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": asked.sampling.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": asked.user,
    }


def call_item(call: ToolCall, item_id: str, arguments: str, status: str) -> dict[str, Any]:
    """Return the item of a call."""
    kind, field = ("function_call", "arguments")
    if call.is_custom:
        kind, field = ("custom_tool_call", "input")
    return {
        "id": item_id,
        "type": kind,
        "status": status,
        "call_id": call.id,
        "name": call.name,
        field: arguments,
    }


def thought_item(thought: Reasoning) -> dict[str, Any]:
    """Return the item of what was thought; a foreign seal travels as encrypted content."""
    summary = thought.summary or ((thought.text,) if thought.text else ())
    item: dict[str, Any] = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in summary],
    }
    if thought.signed_by == DIALECT:
        sealed = thought.encrypted or thought.signature or ""
    else:
        sealed = seal(thought)
    return {**item, "encrypted_content": sealed} if sealed else item


def sealed_call(call: ToolCall) -> dict[str, Any]:
    """Return the item that carries the seal of the call after it."""
    return {"type": "reasoning", "summary": [], "encrypted_content": seal_of_call(call)}


def media_text(head: Image | Audio) -> str:
    """Return what stands for a picture or a sound, which a message of this dialect can't hold."""
    if isinstance(head, Image):
        return f"![image]({head.data_url})"
    return head.transcript or ""
