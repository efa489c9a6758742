"""The form between the dialects: what any client can ask, in a shape that no vendor owns.

A request is a list of items (messages, reasoning, tool calls, tool results), and what is said in
them are blocks (text, images, documents, sound, refusals). The answer is made of the same items,
`neutral_answer.py` has it and the events of a stream. A dialect reads its own JSON into this form
and writes it from here; no dialect knows another.

Two rules hold it together. What two dialects can both say has a field. What only one can say goes
into `extra`, under the name of that dialect ("chat", "responses", "messages", "gemini"), and nobody
else looks at it. What can't be said to a provider is either refused, with an error that names the
client's field, or noted in `Dropped`; `param` of an item, a block or a tool is where it stood in
the client's body, for just that.
"""

from typing import Any, Literal

import msgspec

from errors import InvalidParameterError, UnsupportedByModelError

Role = Literal["system", "developer", "user", "assistant"]
Extra = dict[str, dict[str, Any]]
"""Fields by the name of the only dialect that reads them."""


class Cache(msgspec.Struct, frozen=True):
    """The prompt up to here is worth keeping; `ttl` is "5m", "1h" or, None, the vendor's own."""

    ttl: str | None = None


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """What is written."""

    text: str
    cache: Cache | None = None
    extra: Extra | None = None


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """Something that isn't text: in base64 (`data`), at a `url`, or kept upstream (`file_id`).

    Exactly one of the three is set. `media_type` is known for `data`, and may be for the others.
    """

    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    cache: Cache | None = None
    param: str | None = None
    extra: Extra | None = None

    @property
    def data_url(self) -> str | None:
        """The address of it, that may carry it; None for what is kept upstream."""
        if self.data is None:
            return self.url
        return f"data:{self.media_type or 'application/octet-stream'};base64,{self.data}"


class Image(Media, frozen=True, kw_only=True):
    """A picture; `detail` is how closely it is to be looked at (auto, low, high, original)."""

    detail: str | None = None


class Document(Media, frozen=True, kw_only=True):
    """A file to be read: mostly a PDF. `text` instead of `data` where it is plain text."""

    text: str | None = None
    name: str | None = None


class Audio(Media, frozen=True, kw_only=True):
    """Sound; `format` is wav, mp3 and so on. An earlier answer's sound has only a `file_id`."""

    format: str | None = None
    transcript: str | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What the model says instead of what was asked."""

    text: str
    extra: Extra | None = None


class Other(msgspec.Struct, frozen=True, kw_only=True):
    """A block, an item or a tool that only one dialect knows, as it came; never understood here.

    A provider of another dialect can't be sent it: it is refused or noted as dropped, by `kind`.
    """

    dialect: str
    kind: str
    value: dict[str, Any]
    param: str | None = None


Block = Text | Image | Document | Audio | Refusal | Other


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of somebody; a turn without anything said has no content."""

    role: Role
    content: tuple[Block, ...] = ()
    name: str | None = None
    param: str | None = None
    extra: Extra | None = None


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """What a model thought. A vendor wants it back as it was, in the turn that calls tools.

    `signature` seals `text`; `encrypted` is thinking that only the vendor can read; `signed_by`
    names the dialect whose vendor sealed it, and no other is ever sent a seal. `summary` are the
    parts of a summary, where that is all the vendor shows.
    """

    text: str = ""
    summary: tuple[str, ...] = ()
    signature: str | None = None
    encrypted: str | None = None
    signed_by: str | None = None
    id: str | None = None
    extra: Extra | None = None


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """The model asks for a tool. `arguments` is JSON as text, or free text for a custom tool.

    `signature` and `signed_by` as in `Reasoning`: Gemini seals the calls themselves.
    """

    id: str
    name: str
    arguments: str = ""
    is_custom: bool = False
    signature: str | None = None
    signed_by: str | None = None
    cache: Cache | None = None
    param: str | None = None
    extra: Extra | None = None


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool gave; `name` is the tool's, where the client told it."""

    call_id: str
    content: tuple[Block, ...] = ()
    is_error: bool = False
    is_custom: bool = False
    name: str | None = None
    cache: Cache | None = None
    param: str | None = None
    extra: Extra | None = None


Item = Message | Reasoning | ToolCall | ToolResult | Other


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that the client runs. `parameters` is a JSON schema; None: it takes none.

    `is_custom`: its input is free text, that `grammar` may bound.
    """

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    is_strict: bool | None = None
    is_custom: bool = False
    grammar: dict[str, Any] | None = None
    cache: Cache | None = None
    param: str | None = None
    extra: Extra | None = None


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """`mode`: auto, none, required (any of them), or named (the one tool of `names`).

    With auto or required, `names` are the only tools that may be called; empty: all of them.
    """

    mode: Literal["auto", "none", "required", "named"]
    names: tuple[str, ...] = ()
    extra: Extra | None = None


class OutputShape(msgspec.Struct, frozen=True, kw_only=True):
    """What form the text must have: any JSON object, or JSON by this schema."""

    schema: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    is_strict: bool | None = None


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How the next token is chosen; None is the vendor's default.

    Units: `temperature` from 0 to 2 as OpenAI has it. Anthropic's ends at 1.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    logit_bias: dict[str, float] | None = None
    top_logprobs: int | None = None
    has_logprobs: bool = False


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """How hard to think, in as many words as the client used.

    `effort`: none, minimal, low, medium, high, xhigh, max. `is_enabled` False: not at all.
    `is_shown` False: think, but keep it to yourself. `summary`: auto, concise, detailed.

    Units: `budget_tokens` tokens at the most.
    """

    effort: str | None = None
    budget_tokens: int | None = None
    is_enabled: bool | None = None
    is_shown: bool | None = None
    summary: str | None = None
    extra: Extra | None = None


NO_SAMPLING = Sampling()

MOST_DROPPED = 40
LONGEST_DROPPED = 100


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for.

    `system` are the instructions before the conversation begins, in order, roles system and
    developer; later ones are items like any other. `cache` marks the prompt as a whole.
    `fields` tells the client's own name of a field of this form ("output_limit": "max_tokens"),
    where it has another; `dialect` is the client's.

    Units: `output_limit` tokens.
    """

    model: str
    items: tuple[Item, ...]
    system: tuple[Message, ...] = ()
    tools: tuple[Tool | Other, ...] = ()
    tool_choice: ToolChoice | None = None
    may_call_in_parallel: bool | None = None
    output_shape: OutputShape | None = None
    output_limit: int | None = None
    stop_sequences: tuple[str, ...] = ()
    sampling: Sampling = NO_SAMPLING
    thinking: Thinking | None = None
    verbosity: str | None = None
    choices: int = 1
    cache: Cache | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    is_streamed: bool = False
    modalities: tuple[str, ...] = ()
    fields: dict[str, str] = {}
    dialect: str = ""
    extra: Extra | None = None

    def param(self, field: str) -> str:
        """Return what the client calls a field of this form."""
        return self.fields.get(field, field)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The model that a request is written for, as the catalog knows it.

    `model` is the provider's name of it. `output_bound` only lowers what the client asked for, and
    stands in where it asked for nothing. `max_output_tokens` is for dialects that insist on a
    limit. `limit_field` as in `wire.chat.ChatCall.upstream_body`.
    """

    model: str
    output_bound: int | None = None
    max_output_tokens: int | None = None
    can_reason: bool = True
    limit_field: str | None = None

    def limit(self, asked: int | None) -> int | None:
        """Return the limit to send: what was asked for, lowered to the bound."""
        if asked is None or self.output_bound is None:
            return self.output_bound if asked is None else asked
        return min(asked, self.output_bound)


class Dropped:
    """The client's fields that a provider can't be told of, each once, in order.

    For hints only, that no answer breaks by their absence: they are shown to the client in
    `X-Turnpike-Dropped`. What the client counts on is refused instead.
    """

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def note(self, name: str) -> None:
        """Add a field, by the client's name of it; an empty name is none.

        A name may hold what the client wrote: it is made fit for a header's value.
        """
        if name and len(self._names) < MOST_DROPPED:
            told = "".join(c if c.isascii() and c.isprintable() else "?" for c in name)
            self._names[told[:LONGEST_DROPPED].replace(",", "?")] = None

    @property
    def names(self) -> tuple[str, ...]:
        """What has been dropped."""
        return tuple(self._names)


def unsupported(param: str, what: str, remedy: str) -> UnsupportedByModelError:
    """Return the 400 for what this model's provider can't be asked at all."""
    return UnsupportedByModelError(f"`{param}`: {what}. {remedy}", param=param)


def invalid(param: str, what: str, remedy: str) -> InvalidParameterError:
    """Return the 400 for a value that this model's provider can't be sent."""
    return InvalidParameterError(f"`{param}` {what}. {remedy}", param=param)


def own(extra: Extra | None, dialect: str) -> dict[str, Any]:
    """Return what this dialect put into an `extra`; empty when there is nothing."""
    return (extra.get(dialect) or {}) if extra else {}


def text_of(blocks: tuple[Block, ...]) -> str:
    """Return the text of all text blocks, one after the other."""
    return "".join(block.text for block in blocks if type(block) is Text)
