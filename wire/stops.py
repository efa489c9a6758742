"""Why a model stopped, and what each dialect calls it."""

from enum import StrEnum


class Stop(StrEnum):
    """Why an answer ends.

    CONTEXT: the model's context is full. PAUSE: the vendor's own loop of tools wants to be asked to
    go on. FILTER: something outside the model held the answer back. ERROR: it broke off.
    """

    END = "end"
    SEQUENCE = "sequence"
    LENGTH = "length"
    CONTEXT = "context"
    TOOLS = "tools"
    REFUSAL = "refusal"
    FILTER = "filter"
    PAUSE = "pause"
    ERROR = "error"


FROM_CHAT = {
    "stop": Stop.END,
    "length": Stop.LENGTH,
    "tool_calls": Stop.TOOLS,
    "function_call": Stop.TOOLS,
    "content_filter": Stop.FILTER,
    "error": Stop.ERROR,
}
TO_CHAT = {
    Stop.END: "stop",
    Stop.SEQUENCE: "stop",
    Stop.LENGTH: "length",
    Stop.CONTEXT: "length",
    Stop.TOOLS: "tool_calls",
    Stop.REFUSAL: "content_filter",
    Stop.FILTER: "content_filter",
    Stop.PAUSE: "stop",
    Stop.ERROR: "error",
}
"""Source: the types of openai-python 3.52, `chat/chat_completion.py` (read 2026-11-21); "error" is
OpenRouter's. OpenAI has no word for a model's own refusal as a reason: it is told in the message,
and "content_filter" says that the answer isn't what was asked for."""

FROM_MESSAGES = {
    "end_turn": Stop.END,
    "max_tokens": Stop.LENGTH,
    "stop_sequence": Stop.SEQUENCE,
    "tool_use": Stop.TOOLS,
    "pause_turn": Stop.PAUSE,
    "refusal": Stop.REFUSAL,
    "model_context_window_exceeded": Stop.CONTEXT,
}
TO_MESSAGES = {
    Stop.END: "end_turn",
    Stop.SEQUENCE: "stop_sequence",
    Stop.LENGTH: "max_tokens",
    Stop.CONTEXT: "model_context_window_exceeded",
    Stop.TOOLS: "tool_use",
    Stop.REFUSAL: "refusal",
    Stop.FILTER: "refusal",
    Stop.PAUSE: "pause_turn",
    Stop.ERROR: "end_turn",
}
"""Source: the types of anthropic-sdk-python 2.11, `types/stop_reason.py` (read 2026-11-21)."""

FROM_GEMINI = {
    "STOP": Stop.END,
    "MAX_TOKENS": Stop.LENGTH,
    "SAFETY": Stop.FILTER,
    "RECITATION": Stop.FILTER,
    "LANGUAGE": Stop.FILTER,
    "BLOCKLIST": Stop.FILTER,
    "PROHIBITED_CONTENT": Stop.FILTER,
    "SPII": Stop.FILTER,
    "IMAGE_SAFETY": Stop.FILTER,
    "IMAGE_PROHIBITED_CONTENT": Stop.FILTER,
    "IMAGE_RECITATION": Stop.FILTER,
    "MALFORMED_FUNCTION_CALL": Stop.ERROR,
    "UNEXPECTED_TOOL_CALL": Stop.ERROR,
    "MISSING_THOUGHT_SIGNATURE": Stop.ERROR,
    "NO_IMAGE": Stop.ERROR,
    "IMAGE_OTHER": Stop.ERROR,
    "OTHER": Stop.ERROR,
}
"""Gemini says STOP for tool calls too: its reader gives TOOLS where there was a call. It has no
word of its own for a stop sequence that hit."""

FROM_RESPONSES_INCOMPLETE = {
    "max_output_tokens": Stop.LENGTH,
    "content_filter": Stop.FILTER,
}
TO_RESPONSES_INCOMPLETE = {
    Stop.LENGTH: "max_output_tokens",
    Stop.CONTEXT: "max_output_tokens",
    Stop.FILTER: "content_filter",
}
"""`incomplete_details.reason` of a response whose status is incomplete; any other stop is a status
of completed, but for ERROR, which is failed."""
