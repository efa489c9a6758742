"""A chat completion as it is asked for: checked, measured, turned into what a provider is sent."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, ClassVar

from wire import chat_bounds
from wire.chat_answer import ChatAnswer
from wire.chat_rules import check_body
from wire.chat_stream import ChatStream
from wire.strict_json import decode_object, encode
from wire.usage import Usage

LIMIT_FIELDS = ("max_tokens", "max_completion_tokens")

OWN_FIELDS = frozenset(
    {
        "budget", "aicraft_budget", "models", "provider", "route", "transforms", "plugins",
        "session_id", "usage", "api_base", "base_url", "api_key", "background",
    }
)  # fmt: skip
"""What is said to the gateway and never goes upstream; the last four come only empty."""

_LONGEST_USER = 256


@dataclass(slots=True, kw_only=True)
class ChatCall:
    """A checked request. `body` is what was sent and is never changed; the rest is read from it.

    `needs` are the capabilities it asks of a model: image, audio, file (in the messages), tools,
    schema, stream, logprobs, reasoning. `hosted_tools` are the kinds of tools that upstream would
    run itself. `is_stateful`: it names a file or a sound that only the upstream which keeps it can
    resolve.

    Units: `output_limit` tokens for each choice, the larger of the two fields; `predicted_output`
    tokens at most that a prediction may add to the output bill when it is rejected.
    """

    api: ClassVar[str] = "chat"
    path: ClassVar[str] = "/chat/completions"
    units: ClassVar[Usage | None] = None

    body: dict[str, Any]
    model: str
    is_streamed: bool
    wants_usage: bool
    output_limit: int | None
    choices: int
    budget: str | None
    fallback_models: tuple[str, ...]
    preferences: dict[str, Any] | None
    session_id: str | None
    user: str | None
    needs: frozenset[str]
    hosted_tools: frozenset[str]
    is_stateful: bool
    predicted_output: int

    @classmethod
    def parse(cls, raw: bytes) -> "ChatCall":
        """Read the body of a request.

        Raises: InvalidRequestError, InvalidParameterError.
        """
        return cls.from_body(decode_object(raw))

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> "ChatCall":
        """Check a body that is already decoded: a batch's line, the playground's form.

        Raises: InvalidParameterError.
        """
        needs = check_body(body)
        is_streamed = body.get("stream") is True
        model = body["model"]
        return cls(
            body=body,
            model=model,
            is_streamed=is_streamed,
            wants_usage=is_streamed and _wants_usage(body),
            output_limit=_output_limit(body),
            choices=body.get("n") or 1,
            budget=body.get("budget") or body.get("aicraft_budget"),
            fallback_models=tuple(
                name for name in dict.fromkeys(body.get("models") or ()) if name != model
            ),
            preferences=body.get("provider"),
            session_id=body.get("session_id"),
            user=_user(body.get("user")),
            needs=frozenset((needs | _body_needs(body)) - {"state"}),
            hosted_tools=_hosted_tools(body),
            is_stateful="state" in needs,
            predicted_output=_predicted_output(body.get("prediction")),
        )

    def input_bound(
        self, max_image_tokens: int, context_length: int, exact: Callable[[str], int] | None = None
    ) -> int:
        """Return an upper bound of the input's tokens; `exact` is the model's tokenizer, if any."""
        return chat_bounds.input_bound(self.body, max_image_tokens, context_length, exact)

    def upstream_body(
        self,
        upstream_model: str,
        output_bound: int | None,
        *,
        limit_field: str | None = None,
        without_tools: Collection[str] = (),
    ) -> dict[str, Any]:
        """Return what goes to one provider; a fail-over calls this again.

        `output_bound` only ever lowers what the caller asked for. It is set in the fields that the
        caller used, or in `max_tokens`; an endpoint that knows only one of the two says so with
        `limit_field`. `without_tools` names hosted tools to leave out.
        """
        body = {key: value for key, value in self.body.items() if key not in OWN_FIELDS}
        body["model"] = upstream_model
        if self.is_streamed:
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        else:
            body.pop("stream_options", None)
        self._limit(body, output_bound, limit_field)
        if without_tools:
            _drop_tools(body, without_tools)
        return body

    @property
    def forced_tool(self) -> str | None:
        """The hosted tool that the caller insists on."""
        choice = self.body.get("tool_choice")
        kind = choice.get("type") if type(choice) is dict else None
        return kind if type(kind) is str and kind in self.hosted_tools else None

    def parse_answer(self, raw: bytes, *, bound_input: int, bound_output: int) -> ChatAnswer:
        """Read a plain answer to this call.

        Raises: ValueError.
        """
        return ChatAnswer.parse(raw, bound_input=bound_input, bound_output=bound_output)

    def new_stream(
        self, generation_id: str, model: str, *, created: int, bound_input: int, bound_output: int
    ) -> ChatStream:
        """Return what reads a streamed answer to this call."""
        return ChatStream(
            generation_id,
            model,
            wants_usage=self.wants_usage,
            created=created,
            bound_input=bound_input,
            bound_output=bound_output,
        )

    def _limit(self, body: dict[str, Any], bound: int | None, limit_field: str | None) -> None:
        asked = {name: body[name] for name in LIMIT_FIELDS if body.get(name) is not None}
        if limit_field is not None and asked:
            for name in LIMIT_FIELDS:
                body.pop(name, None)
            asked = {limit_field: max(asked.values())}
        elif not asked and bound is not None:
            asked = {limit_field or LIMIT_FIELDS[0]: bound}
        for name, limit in asked.items():
            body[name] = limit if bound is None else min(limit, bound)


def _wants_usage(body: dict[str, Any]) -> bool:
    """OpenAI's way of asking, or OpenRouter's."""
    options, accounting = body.get("stream_options"), body.get("usage")
    return (options is not None and options.get("include_usage") is True) or (
        type(accounting) is dict and accounting.get("include") is True
    )


def _output_limit(body: dict[str, Any]) -> int | None:
    limits = [body[name] for name in LIMIT_FIELDS if body.get(name) is not None]
    return max(limits, default=None)


def _user(name: str | None) -> str | None:
    """Return what may be stored and shown of it; upstream gets it as it was sent."""
    if name is None or (len(name) <= _LONGEST_USER and name.isprintable()):
        return name
    return "".join(c if c.isprintable() else "?" for c in name[:_LONGEST_USER])


def _body_needs(body: dict[str, Any]) -> set[str]:
    needs = set()
    if body.get("tools") or body.get("functions"):
        needs.add("tools")
    shape = body.get("response_format")
    if shape is not None and shape.get("type") == "json_schema":
        needs.add("schema")
    if body.get("stream") is True:
        needs.add("stream")
    if body.get("logprobs") is True or body.get("top_logprobs"):
        needs.add("logprobs")
    if body.get("audio") is not None or "audio" in (body.get("modalities") or ()):
        needs.add("audio")
    if _asks_reasoning(body):
        needs.add("reasoning")
    return needs


def _asks_reasoning(body: dict[str, Any]) -> bool:
    if body.get("reasoning_effort") not in (None, "none"):
        return True
    asked = body.get("reasoning")
    if asked is None or asked.get("enabled") is False:
        return False
    return bool(
        asked.get("enabled") or asked.get("max_tokens") or asked.get("effort") not in (None, "none")
    )


def _hosted_tools(body: dict[str, Any]) -> frozenset[str]:
    kinds = {
        tool["type"]
        for tool in body.get("tools") or ()
        if type(tool.get("type")) is str and tool["type"] not in ("function", "custom")
    }
    if body.get("web_search_options") is not None:
        kinds.add("web_search_options")
    return frozenset(kinds)


def _drop_tools(body: dict[str, Any], kinds: Collection[str]) -> None:
    if "web_search_options" in kinds:
        body.pop("web_search_options", None)
    if not body.get("tools"):
        return
    body["tools"] = [tool for tool in body["tools"] if str(tool.get("type")) not in kinds]
    if not body["tools"]:
        del body["tools"]
        body.pop("tool_choice", None)
        body.pop("parallel_tool_calls", None)


def _predicted_output(prediction: dict[str, Any] | None) -> int:
    return 0 if prediction is None else len(encode(prediction))
