"""Legacy completions: a prompt that is gone on with. Passed through, checked and measured.

Source: the types of openai-python 3.52, `completion_create_params.py` (read 2026-11-21).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, ClassVar

from wire.chat import OWN_FIELDS
from wire.chat_rules import LARGEST_LIMIT, MOST_CHOICES, RULES, Rule, check_model_name, refuse
from wire.completions_answer import CompletionsAnswer, CompletionsStream
from wire.strict_json import decode_object
from wire.usage import Usage

DEFAULT_LIMIT = 16
"""Tokens that are written where no limit is asked for."""

MOST_PROMPTS = 2_048
PROMPT_TOKENS = 4
LONGEST_USER = 256

_LEAVE_OUT = "Send that, or leave the field out."
_SHARED = (
    "max_tokens", "temperature", "top_p", "presence_penalty", "frequency_penalty", "stop", "seed",
    "stream", "stream_options", "logit_bias", "user", "n", "budget", "aicraft_budget", "models",
    "provider", "session_id", "service_tier", "background", "api_base", "base_url", "api_key",
)  # fmt: skip


def _whole(largest: int) -> Rule:
    def check(param: str, value: Any) -> None:
        if type(value) is not int or not 0 <= value <= largest:
            refuse(param, f"must be an integer from 0 to {largest}", _LEAVE_OUT)

    return check


def _flag(param: str, value: Any) -> None:
    if type(value) is not bool:
        refuse(param, "must be true or false", _LEAVE_OUT)


def _text(param: str, value: Any) -> None:
    if type(value) is not str:
        refuse(param, "must be a string", _LEAVE_OUT)


def _prompt(param: str, value: Any) -> None:
    """A text, texts, tokens, or lists of tokens."""
    if type(value) is str:
        return
    if type(value) is not list:
        refuse(param, "must be a string or a list", "Send a text, texts or tokens.")
    kinds = {type(entry) for entry in value}
    if kinds not in ({str}, {int}, {list}, set()):
        refuse(param, "mixes texts and tokens", "Send a list of only one of them.")
    if kinds != {int} and len(value) > MOST_PROMPTS:
        refuse(param, f"has more than {MOST_PROMPTS} prompts", "Send fewer.")
    if kinds == {list}:
        for index, tokens in enumerate(value):
            if not all(type(token) is int for token in tokens):
                refuse(f"{param}[{index}]", "must be a list of tokens", "Send whole numbers.")


_RULES: dict[str, Rule] = {
    **{name: RULES[name] for name in _SHARED},
    "prompt": _prompt,
    "best_of": _whole(MOST_CHOICES),
    "logprobs": _whole(LARGEST_LIMIT),
    "echo": _flag,
    "suffix": _text,
}


@dataclass(slots=True, kw_only=True)
class CompletionsCall:
    """A checked request; `body` is what was sent and is never changed.

    `choices` are all that the provider writes and bills: for each prompt `n`, or `best_of` where
    that is more.

    Units: `output_limit` tokens for each choice; it is the dialect's own default where none is
    asked for.
    """

    api: ClassVar[str] = "completions"
    path: ClassVar[str] = "/completions"
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
    hosted_tools: frozenset[str] = frozenset()
    is_stateful: bool = False
    predicted_output: int = 0
    forced_tool: str | None = None

    @classmethod
    def parse(cls, raw: bytes) -> "CompletionsCall":
        """Read the body of a request.

        Raises: InvalidRequestError, InvalidParameterError.
        """
        return cls.from_body(decode_object(raw))

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> "CompletionsCall":
        """Check a body that is already decoded.

        Raises: InvalidParameterError.
        """
        model = body.get("model")
        check_model_name("model", model)
        for field, value in body.items():
            if value is not None and (rule := _RULES.get(field)) is not None:
                rule(field, value)
        n, best_of = body.get("n") or 1, body.get("best_of") or 1
        if body.get("best_of") is not None and best_of < n:
            refuse("best_of", "must be at least `n`", "Raise it, or leave it out.")
        is_streamed = body.get("stream") is True
        needs = {"stream"} if is_streamed else set()
        if body.get("logprobs") is not None:
            needs.add("logprobs")
        limit = body.get("max_tokens")
        return cls(
            body=body,
            model=str(model),
            is_streamed=is_streamed,
            wants_usage=is_streamed
            and (body.get("stream_options") or {}).get("include_usage") is True,
            output_limit=DEFAULT_LIMIT if limit is None else limit,
            choices=max(n, best_of) * len(_prompts(body)),
            budget=body.get("budget") or body.get("aicraft_budget"),
            fallback_models=tuple(
                name for name in dict.fromkeys(body.get("models") or ()) if name != model
            ),
            preferences=body.get("provider"),
            session_id=body.get("session_id"),
            user=_shown_user(body.get("user")),
            needs=frozenset(needs),
        )

    def input_bound(
        self, max_image_tokens: int, context_length: int, exact: Callable[[str], int] | None = None
    ) -> int:
        """Return an upper bound of the input's tokens; tokens are counted as they are."""
        del max_image_tokens, context_length
        texts, tokens = [], 0
        for prompt in _prompts(self.body):
            tokens += PROMPT_TOKENS
            if type(prompt) is str:
                texts.append(prompt)
            else:
                tokens += len(prompt)
        if self.body.get("suffix"):
            texts += [self.body["suffix"]] * len(_prompts(self.body))
        if exact is not None:
            return tokens + (exact("\n".join(texts)) if texts else 0)
        return tokens + sum(len(text.encode()) for text in texts)

    def upstream_body(
        self,
        upstream_model: str,
        output_bound: int | None,
        *,
        limit_field: str | None = None,
        without_tools: Collection[str] = (),
    ) -> dict[str, Any]:
        """Return what goes to one provider: untouched but for model, limit and usage.

        Where nothing was asked for, the dialect's own default is sent, so that what is held is what
        may be written.
        """
        del limit_field, without_tools
        body = {key: value for key, value in self.body.items() if key not in OWN_FIELDS}
        body["model"] = upstream_model
        limit = DEFAULT_LIMIT if self.output_limit is None else self.output_limit
        body["max_tokens"] = limit if output_bound is None else min(limit, output_bound)
        if self.is_streamed:
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        else:
            body.pop("stream_options", None)
        return body

    def parse_answer(self, raw: bytes, *, bound_input: int, bound_output: int) -> CompletionsAnswer:
        """Read a plain answer to this call.

        Raises: ValueError.
        """
        return CompletionsAnswer.parse(raw, bound_input=bound_input, bound_output=bound_output)

    def new_stream(
        self, generation_id: str, model: str, *, created: int, bound_input: int, bound_output: int
    ) -> CompletionsStream:
        """Return what reads a streamed answer to this call."""
        return CompletionsStream(
            generation_id,
            model,
            wants_usage=self.wants_usage,
            created=created,
            bound_input=bound_input,
            bound_output=bound_output,
        )


def _prompts(body: dict[str, Any]) -> list[Any]:
    """Return the prompts; none is one, which the model begins by itself."""
    prompt = body.get("prompt")
    if prompt is None or prompt == []:
        return [""]
    if type(prompt) is list and type(prompt[0]) is not int:
        return prompt
    return [prompt]


def _shown_user(name: str | None) -> str | None:
    """Return what may be stored and shown of it; upstream gets it as it was sent."""
    if name is None:
        return None
    return "".join(c if c.isprintable() else "?" for c in name[:LONGEST_USER])
