"""Which of the JSON shapes an error takes: the path decides."""

from collections.abc import Callable
from typing import Any

from errors import TurnpikeError
from wire import errors as shapes

Shape = Callable[[TurnpikeError], dict[str, Any]]


def shape_of(path: str, request_id: str) -> Shape:
    """Return the renderer of a path: Anthropic's at messages, else OpenRouter's or OpenAI's."""
    if "/v1/messages" in path:
        return lambda error: shapes.anthropic(error, request_id)
    return shapes.openrouter if path.startswith("/api/") else shapes.openai
