"""Anthropic's Messages as a client asks for them: checked, measured, turned into what is sent."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, ClassVar

from wire import anthropic_bounds
from wire.anthropic_answer import MessagesAnswer
from wire.anthropic_read import OWN_FIELDS
from wire.anthropic_rules import check_body
from wire.anthropic_stream import MessagesStream
from wire.strict_json import decode_object
from wire.usage import Usage

CLIENT_RUN = ("bash_", "text_editor_", "computer_", "memory_", "browser_")
"""The tools that Anthropic defines and the client runs; any other typed tool is run upstream.

Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview (read 2026-11-21)."""

_LONGEST_USER = 256


@dataclass(slots=True, kw_only=True)
class MessagesCall:
    """A checked request. `body` is what was sent and is never changed; the rest is read from it.

    `needs` and `hosted_tools` as in `wire.chat.ChatCall`. "reasoning" is needed only where thinking
    is switched on outright: agents send its other forms to any model.
    """

    api: ClassVar[str] = "messages"
    path: ClassVar[str] = "/messages"
    units: ClassVar[Usage | None] = None

    body: dict[str, Any]
    model: str
    is_streamed: bool
    output_limit: int | None
    budget: str | None
    fallback_models: tuple[str, ...]
    preferences: dict[str, Any] | None
    session_id: str | None
    user: str | None
    needs: frozenset[str]
    hosted_tools: frozenset[str]
    is_stateful: bool
    choices: int = 1
    wants_usage: bool = True
    predicted_output: int = 0

    @classmethod
    def parse(cls, raw: bytes) -> "MessagesCall":
        """Read the body of a request.

        Raises: InvalidRequestError, InvalidParameterError.
        """
        return cls.from_body(decode_object(raw))

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> "MessagesCall":
        """Check a body that is already decoded.

        Raises: InvalidParameterError.
        """
        needs = check_body(body)
        model = body["model"]
        return cls(
            body=body,
            model=model,
            is_streamed=body.get("stream") is True,
            output_limit=body["max_tokens"],
            budget=body.get("budget") or body.get("aicraft_budget"),
            fallback_models=_fallbacks(body),
            preferences=body.get("provider"),
            session_id=body.get("session_id"),
            user=_user(body),
            needs=frozenset((needs | _body_needs(body)) - {"state"}),
            hosted_tools=_hosted_tools(body),
            is_stateful="state" in needs or body.get("container") is not None,
        )

    def input_bound(
        self, max_image_tokens: int, context_length: int, exact: Callable[[str], int] | None = None
    ) -> int:
        """Return an upper bound of the input's tokens; `exact` is the model's tokenizer, if any."""
        if self.hosted_tools:
            return max(
                context_length,
                anthropic_bounds.input_bound(self.body, max_image_tokens, context_length, exact),
            )
        return anthropic_bounds.input_bound(self.body, max_image_tokens, context_length, exact)

    def upstream_body(
        self,
        upstream_model: str,
        output_bound: int | None,
        *,
        limit_field: str | None = None,
        without_tools: Collection[str] = (),
    ) -> dict[str, Any]:
        """Return what goes to one provider of this dialect: untouched but for model and limit."""
        body = {key: value for key, value in self.body.items() if key not in OWN_FIELDS}
        body["model"] = upstream_model
        if output_bound is not None:
            body["max_tokens"] = min(body["max_tokens"], output_bound)
        if without_tools:
            _drop_tools(body, without_tools)
        return body

    @property
    def forced_tool(self) -> str | None:
        """The hosted tool that the caller insists on."""
        choice = self.body.get("tool_choice") or {}
        if choice.get("type") != "tool":
            return None
        for tool in self.body.get("tools") or ():
            if tool.get("name") == choice["name"] and tool.get("type") in self.hosted_tools:
                return str(tool["type"])
        return None

    def parse_answer(self, raw: bytes, *, bound_input: int, bound_output: int) -> MessagesAnswer:
        """Read a plain answer to this call.

        Raises: ValueError.
        """
        return MessagesAnswer.parse(raw, bound_input=bound_input, bound_output=bound_output)

    def new_stream(
        self, generation_id: str, model: str, *, created: int, bound_input: int, bound_output: int
    ) -> MessagesStream:
        """Return what reads a streamed answer to this call; `created` has no place in it."""
        del created
        return MessagesStream(
            generation_id, model, bound_input=bound_input, bound_output=bound_output
        )


def count_tokens(raw: bytes, count_text: Callable[[str], int]) -> dict[str, int]:
    """Answer POST /messages/count_tokens by our own reckoning; it needs no `max_tokens`.

    Raises: InvalidRequestError, InvalidParameterError.
    """
    body = decode_object(raw)
    check_body(body, is_limit_needed=False)
    return {"input_tokens": anthropic_bounds.estimate(body, count_text)}


def is_hosted(tool: dict[str, Any]) -> bool:
    """Whether upstream itself would run this tool."""
    kind = tool.get("type")
    return type(kind) is str and kind != "custom" and not kind.startswith(CLIENT_RUN)


def _fallbacks(body: dict[str, Any]) -> tuple[str, ...]:
    named = [entry["model"] for entry in body.get("fallbacks") or ()]
    named += body.get("models") or ()
    return tuple(name for name in dict.fromkeys(named) if name != body["model"])


def _user(body: dict[str, Any]) -> str | None:
    """Return what may be stored and shown of it; upstream gets it as it was sent."""
    name = (body.get("metadata") or {}).get("user_id")
    if type(name) is not str:
        return None
    return "".join(c if c.isprintable() else "?" for c in name[:_LONGEST_USER])


def _body_needs(body: dict[str, Any]) -> set[str]:
    needs = set()
    if body.get("tools"):
        needs.add("tools")
    if (body.get("output_config") or {}).get("format") is not None:
        needs.add("schema")
    if body.get("stream") is True:
        needs.add("stream")
    if (body.get("thinking") or {}).get("type") == "enabled":
        needs.add("reasoning")
    return needs


def _hosted_tools(body: dict[str, Any]) -> frozenset[str]:
    kinds = {tool["type"] for tool in body.get("tools") or () if is_hosted(tool)}
    if body.get("mcp_servers"):
        kinds.add("mcp_servers")
    return frozenset(kinds)


def _drop_tools(body: dict[str, Any], kinds: Collection[str]) -> None:
    if "mcp_servers" in kinds or "mcp_toolset" in kinds:
        body.pop("mcp_servers", None)
        kinds = {*kinds, "mcp_toolset"}
    if not body.get("tools"):
        return
    body["tools"] = [tool for tool in body["tools"] if tool.get("type") not in kinds]
    if not body["tools"]:
        del body["tools"]
        body.pop("tool_choice", None)
