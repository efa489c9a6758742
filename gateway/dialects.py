"""What the line of a paid call asks of its edges: the call's dialect and the client's line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from wire.usage import Usage


class Line(Protocol):
    """The client's connection, as far as the domain is concerned."""

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Call back, once, when the client has closed its connection."""

    def unwatch(self) -> None:
        """Stop watching."""


class ClientGoneError(Exception):
    """The client left; there is nobody to answer."""


class Dialect(Protocol):
    """A call of any kind, as the line of a paid call needs it; `wire.chat.ChatCall` is one."""

    api: str
    path: str
    model: str
    is_streamed: bool
    wants_usage: bool
    output_limit: int | None
    choices: int
    units: Usage | None
    session_id: str | None
    hosted_tools: frozenset[str]
    fallback_models: tuple[str, ...]
    preferences: dict[str, Any] | None
    needs: frozenset[str]
    is_stateful: bool
    predicted_output: int
    forced_tool: str | None

    def input_bound(
        self, max_image_tokens: int, context_length: int, exact: Callable[[str], int] | None
    ) -> int:
        """Return how many input tokens it can be at the most."""

    def upstream_body(
        self,
        upstream_model: str,
        output_bound: int | None,
        *,
        limit_field: str | None = None,
        without_tools: frozenset[str] = frozenset(),
    ) -> dict[str, Any]:
        """Return what goes to one provider."""

    def parse_answer(self, raw: bytes, *, bound_input: int, bound_output: int) -> Any:
        """Read a plain answer; ValueError when it is none."""

    def new_stream(
        self, generation_id: str, model: str, *, created: int, bound_input: int, bound_output: int
    ) -> Any:
        """Return what reads a streamed answer."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call comes from; `headers` are those that its dialect passes on."""

    request_id: str
    app: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
