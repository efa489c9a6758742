"""OpenAI's Responses as a client asks for them: checked, measured, turned into what is sent."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, ClassVar

from wire import responses_bounds
from wire.chat import OWN_FIELDS as OWN_CHAT_FIELDS
from wire.responses_answer import ResponsesAnswer
from wire.responses_rules import TOOL_BRINGERS, all_tools, check_body
from wire.responses_stream import ResponsesStream
from wire.strict_json import decode_object
from wire.usage import Usage

OWN_FIELDS = OWN_CHAT_FIELDS - {"background"}
"""What is said to the gateway and never goes upstream; here `background` is the dialect's own."""

CLIENT_RUN = frozenset(
    {
        "function", "custom", "namespace", "local_shell", "apply_patch", "computer",
        "computer_use_preview", "tool_search", "programmatic_tool_calling",
    }
)  # fmt: skip
"""The tools that the client runs, or that cost nothing to run; any other is run upstream, `shell`
only with a container.

Source: the types of openai-python 3.52, `responses/tool_param.py` (read 2026-11-21)."""

_LONGEST_USER = 256


@dataclass(slots=True, kw_only=True)
class ResponsesCall:
    """A checked request. `body` is what was sent and is never changed; the rest is read from it.

    `needs` and `hosted_tools` as in `wire.chat.ChatCall`. "reasoning" is needed only where its
    effort is told: agents ask for its summary of any model. `is_stateful`: it names something that
    only the upstream which keeps it can resolve. A reasoning item that is sent back by its id alone
    isn't taken for that: agents send those unasked, and they carry nothing that is needed.
    """

    api: ClassVar[str] = "responses"
    path: ClassVar[str] = "/responses"
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
    def parse(cls, raw: bytes) -> "ResponsesCall":
        """Read the body of a request.

        Raises: InvalidRequestError, InvalidParameterError.
        """
        return cls.from_body(decode_object(raw))

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> "ResponsesCall":
        """Check a body that is already decoded.

        Raises: InvalidParameterError.
        """
        needs = check_body(body)
        model = body["model"]
        return cls(
            body=body,
            model=model,
            is_streamed=body.get("stream") is True,
            output_limit=body.get("max_output_tokens"),
            budget=body.get("budget") or body.get("aicraft_budget"),
            fallback_models=tuple(
                name for name in dict.fromkeys(body.get("models") or ()) if name != model
            ),
            preferences=body.get("provider"),
            session_id=body.get("session_id"),
            user=_user(body.get("user")),
            needs=frozenset((needs | _body_needs(body)) - {"state"}),
            hosted_tools=frozenset(str(t["type"]) for t in all_tools(body) if is_hosted(t)),
            is_stateful="state" in needs,
        )

    def input_bound(
        self, max_image_tokens: int, context_length: int, exact: Callable[[str], int] | None = None
    ) -> int:
        """Return an upper bound of the input's tokens; `exact` is the model's tokenizer, if any.

        What a hosted tool finds becomes input as well, so with one it is at least the context.
        """
        bound = responses_bounds.input_bound(self.body, max_image_tokens, context_length, exact)
        return max(bound, context_length) if self.hosted_tools else bound

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
            asked = body.get("max_output_tokens")
            body["max_output_tokens"] = output_bound if asked is None else min(asked, output_bound)
        if without_tools:
            _drop_tools(body, without_tools)
        return body

    @property
    def forced_tool(self) -> str | None:
        """The hosted tool that the caller insists on."""
        choice = self.body.get("tool_choice")
        if type(choice) is not dict:
            return None
        kind = choice.get("type")
        if kind != "allowed_tools" or choice.get("mode") != "required":
            return kind if type(kind) is str and kind in self.hosted_tools else None
        allowed = [_kind(tool) for tool in choice.get("tools") or ()]
        is_all_hosted = all(kind in self.hosted_tools for kind in allowed)
        return allowed[0] if allowed and is_all_hosted else None

    def parse_answer(self, raw: bytes, *, bound_input: int, bound_output: int) -> ResponsesAnswer:
        """Read a plain answer to this call.

        Raises: ValueError.
        """
        return ResponsesAnswer.parse(raw, bound_input=bound_input, bound_output=bound_output)

    def new_stream(
        self, generation_id: str, model: str, *, created: int, bound_input: int, bound_output: int
    ) -> ResponsesStream:
        """Return what reads a streamed answer to this call; upstream tells when it was created."""
        del created
        return ResponsesStream(
            generation_id, model, bound_input=bound_input, bound_output=bound_output
        )


def is_hosted(tool: dict[str, Any]) -> bool:
    """Whether upstream itself would run this tool."""
    kind = tool.get("type")
    if kind == "shell":
        environment = tool.get("environment")
        place = environment.get("type") if type(environment) is dict else None
        return place not in (None, "local")
    return type(kind) is str and kind not in CLIENT_RUN


def _kind(tool: object) -> str:
    return str(tool.get("type")) if isinstance(tool, dict) else ""


def _user(name: str | None) -> str | None:
    """Return what may be stored and shown of it; upstream gets it as it was sent."""
    if name is None:
        return None
    return "".join(c if c.isprintable() else "?" for c in name[:_LONGEST_USER])


def _body_needs(body: dict[str, Any]) -> set[str]:
    needs = set()
    if body.get("tools"):
        needs.add("tools")
    shape = (body.get("text") or {}).get("format")
    if type(shape) is dict and shape.get("type") == "json_schema":
        needs.add("schema")
    if body.get("stream") is True:
        needs.add("stream")
    if body.get("top_logprobs"):
        needs.add("logprobs")
    if (body.get("reasoning") or {}).get("effort") not in (None, "none"):
        needs.add("reasoning")
    return needs


def _drop_tools(body: dict[str, Any], kinds: Collection[str]) -> None:
    items = body.get("input")
    if type(items) is list:
        body["input"] = [_without(item, kinds) for item in items]
    if not body.get("tools"):
        return
    body["tools"] = _kept(body["tools"], kinds)
    if not body["tools"]:
        for field in ("tools", "tool_choice", "parallel_tool_calls"):
            body.pop(field, None)


def _without(item: dict[str, Any], kinds: Collection[str]) -> dict[str, Any]:
    if item.get("type") in TOOL_BRINGERS and item.get("tools"):
        return {**item, "tools": _kept(item["tools"], kinds)}
    return item


def _kept(tools: list[dict[str, Any]], kinds: Collection[str]) -> list[dict[str, Any]]:
    return [tool for tool in tools if not (is_hosted(tool) and tool["type"] in kinds)]
