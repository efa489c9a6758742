"""Calls that ask with one JSON object and are answered with one: embeddings, moderations, rerank.

They write no text: what they cost is their input, or one request. Everything that the gateway
doesn't act on goes through as it came, in both directions.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import msgspec
from typing_extensions import override

from errors import InvalidParameterError
from wire.chat_content import error_object
from wire.chat_usage import UPSTREAM_COST_FIELDS, Reading
from wire.strict_json import decode_object, encode
from wire.usage import LARGEST_COUNT, Usage, is_count

OWN_FIELDS = frozenset({"provider", "models", "session_id", "api_base", "base_url", "api_key"})
"""What is said to the gateway and never goes upstream; the last three are only ever null."""

EGRESS = ("api_base", "base_url", "api_key")
LONGEST_MODEL = 256
MOST_ITEMS = 50_000
TOKENS_AN_ITEM = 16

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_decode = msgspec.json.Decoder().decode


@dataclass(slots=True, kw_only=True)
class JsonCall:
    """A checked request of one of these kinds, with what the line of a paid call asks of it."""

    api: ClassVar[str]
    path: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    outputs: ClassVar[str]

    body: dict[str, Any]
    model: str
    is_streamed: bool = False
    wants_usage: bool = False
    output_limit: int | None = 0
    choices: int = 1
    units: Usage | None = None
    session_id: str | None = None
    fallback_models: tuple[str, ...] = ()
    preferences: dict[str, Any] | None = None
    needs: frozenset[str] = frozenset()
    hosted_tools: frozenset[str] = frozenset()
    is_stateful: bool = False
    predicted_output: int = 0
    forced_tool: str | None = None

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read the body of a request.

        Raises: InvalidRequestError, InvalidParameterError.
        """
        body = decode_object(raw)
        check_common(body)
        cls.check(body)
        return cls(body=body, model=body["model"], session_id=_text_or_none(body, "session_id"))

    @classmethod
    def check(cls, body: dict[str, Any]) -> None:
        """Refuse what the kind's own specification refuses.

        Raises: InvalidParameterError.
        """
        raise NotImplementedError

    def input_bound(
        self, max_image_tokens: int, context_length: int, exact: Callable[[str], int] | None = None
    ) -> int:
        """Return an upper bound of the input's tokens; a list's items share no context."""
        texts: list[str] = []
        tokens = 0
        for name in self.inputs:
            tokens += _weigh(self.body.get(name), texts, max_image_tokens)
        if exact is not None:
            return tokens + (exact("\n".join(texts)) if texts else 0)
        return tokens + sum(len(text) if text.isascii() else len(text.encode()) for text in texts)

    def upstream_body(
        self,
        upstream_model: str,
        output_bound: int | None,
        *,
        limit_field: str | None = None,
        without_tools: Collection[str] = (),
    ) -> dict[str, Any]:
        """Return what goes to one provider; nothing of it has an output to bound."""
        body = {key: value for key, value in self.body.items() if key not in OWN_FIELDS}
        body["model"] = upstream_model
        return body

    def parse_answer(self, raw: bytes, *, bound_input: int, bound_output: int) -> "JsonAnswer":
        """Read an answer to this call.

        Raises: ValueError.
        """
        return JsonAnswer.parse(raw, self.outputs, self.read_usage, bound_input)

    def read_usage(self, fields: Mapping[str, msgspec.Raw], bound_input: int) -> Reading:
        """Read what an answer used."""
        return read_usage(value_of(fields.get("usage")), bound_input)

    def new_stream(
        self, generation_id: str, model: str, *, created: int, bound_input: int, bound_output: int
    ) -> Any:
        """Never called: these kinds don't stream."""
        raise NotImplementedError


class EmbeddingsCall(JsonCall):
    """POST /embeddings: a text, texts, tokens, or lists of tokens."""

    api = "embeddings"
    path = "/embeddings"
    inputs = ("input",)
    outputs = "data"

    @classmethod
    @override
    def check(cls, body: dict[str, Any]) -> None:
        """Source: platform.openai.com/docs/api-reference/embeddings/create (read 2026-11-21)."""
        _check_input(body, "input")
        if body.get("encoding_format") not in (None, "float", "base64"):
            raise InvalidParameterError(
                "encoding_format must be float or base64.", param="encoding_format"
            )
        dimensions = body.get("dimensions")
        if dimensions is not None and not (is_count(dimensions) and 1 <= dimensions <= 1_000_000):
            raise InvalidParameterError(
                "dimensions must be a whole number from 1 up.", param="dimensions"
            )


class ModerationsCall(JsonCall):
    """POST /moderations: a text, texts, or parts with images."""

    api = "moderations"
    path = "/moderations"
    inputs = ("input",)
    outputs = "results"

    @classmethod
    @override
    def check(cls, body: dict[str, Any]) -> None:
        """Source: platform.openai.com/docs/api-reference/moderations (read 2026-11-21)."""
        _check_input(body, "input")


class RerankCall(JsonCall):
    """POST /rerank: a query and the documents to order by it, in Cohere's and Jina's form."""

    api = "rerank"
    path = "/rerank"
    inputs = ("query", "documents")
    outputs = "results"

    @classmethod
    @override
    def check(cls, body: dict[str, Any]) -> None:
        """Source: docs.cohere.com/reference/rerank (read 2026-11-21)."""
        if not isinstance(body.get("query"), str) or not body["query"]:
            raise InvalidParameterError("query must be a text that isn't empty.", param="query")
        documents = body.get("documents")
        if not isinstance(documents, list) or not documents:
            raise InvalidParameterError(
                "documents must be a list with at least one document.", param="documents"
            )
        if len(documents) > MOST_ITEMS:
            raise InvalidParameterError(
                f"documents may have at most {MOST_ITEMS} items.", param="documents"
            )
        top_n = body.get("top_n")
        if top_n is not None and not (is_count(top_n) and top_n >= 1):
            raise InvalidParameterError("top_n must be a whole number from 1 up.", param="top_n")


class JsonAnswer:
    """An answer of these kinds: its list of results, and what it says it used."""

    __slots__ = ("_usage", "error", "fields", "has_output", "reading", "upstream_id")

    finish_reason = "stop"
    is_error_finish = False

    def __init__(self, fields: dict[str, msgspec.Raw], outputs: str, reading: Reading) -> None:
        self.fields = fields
        self.error = error_object(value_of(fields.get("error")))
        self.has_output = _has_items(fields.get(outputs))
        identity = value_of(fields.get("id"))
        self.upstream_id = identity if isinstance(identity, str) else None
        self._usage = value_of(fields.get("usage"))
        self.reading = reading

    @classmethod
    def parse(
        cls,
        raw: bytes,
        outputs: str,
        read: Callable[[Mapping[str, msgspec.Raw], int], Reading],
        bound_input: int,
    ) -> Self:
        """Look at an answer; `read` finds its usage.

        Raises: ValueError for what is no answer of this kind.
        """
        try:
            fields = _fields.decode(raw)
            answer = cls(fields, outputs, read(fields, bound_input))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError("it isn't a JSON object") from error
        if not answer.has_output and answer.error is None:
            raise ValueError(f"it has no {outputs}")
        return answer

    def output_count(self, exact: Callable[[str], int] | None) -> int:
        """There is no output text."""
        return 0

    def render(
        self,
        generation_id: str,
        model: str,
        usage_extra: Mapping[str, Any],
        *,
        estimate: Usage | None = None,
    ) -> bytes:
        """Return the answer for the caller: all but id, model and usage as upstream sent it."""
        if estimate is not None:
            tokens = estimate.all_input_tokens
            shown = {"prompt_tokens": tokens, "total_tokens": tokens, "estimated": True}
        else:
            told = self._usage if isinstance(self._usage, dict) else {}
            shown = {key: told[key] for key in told if key not in UPSTREAM_COST_FIELDS}
        own: dict[str, Any] = {"model": model, "usage": {**shown, **usage_extra}}
        if "id" in self.fields:
            own["id"] = generation_id
        return encode({**self.fields, **own})


def read_usage(usage: object, bound_input: int = LARGEST_COUNT) -> Reading:
    """Read the usage of an answer without output: `prompt_tokens`, else `total_tokens`."""
    if usage is None:
        return Reading(None)
    if not isinstance(usage, dict):
        return Reading(None, is_flagged=True)
    tokens = usage.get("prompt_tokens", usage.get("total_tokens"))
    if tokens is None:
        return Reading(None)
    if not is_count(tokens) or tokens > bound_input:
        return Reading(None, is_flagged=True)
    return Reading(Usage(input_tokens=tokens))


def check_common(body: dict[str, Any]) -> None:
    """Refuse a body without a model, or one that would steer where calls go."""
    model = body.get("model")
    if not isinstance(model, str) or not model or len(model) > LONGEST_MODEL:
        raise InvalidParameterError(
            "model must name a model. GET /v1/models lists all of them.", param="model"
        )
    for name in EGRESS:
        if body.get(name) is not None:
            raise InvalidParameterError(
                f"{name} isn't taken here: the operator sets where calls go. Leave it out.",
                param=name,
            )


def _check_input(body: dict[str, Any], name: str) -> None:
    value = body.get(name)
    if isinstance(value, list) and len(value) > MOST_ITEMS:
        raise InvalidParameterError(f"{name} may have at most {MOST_ITEMS} items.", param=name)
    if not isinstance(value, str | list) or not value:
        raise InvalidParameterError(
            f"{name} must be a text or a list that isn't empty.", param=name
        )


def _text_or_none(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None


def _weigh(value: object, texts: list[str], max_image_tokens: int) -> int:
    """Collect the texts of an input, and return the tokens of what isn't text."""
    if isinstance(value, str):
        texts.append(value)
        return 0
    if isinstance(value, list):
        if value and type(value[0]) is int:
            return len(value)
        return sum(TOKENS_AN_ITEM + _weigh(item, texts, max_image_tokens) for item in value)
    if isinstance(value, dict):
        if value.get("type") == "image_url" or "image" in value:
            return max_image_tokens
        texts.append(encode(value).decode())
    return 0


def _has_items(raw: msgspec.Raw | None) -> bool:
    if raw is None:
        return False
    text = bytes(raw).strip()
    return text.startswith(b"[") and text[1:].strip() != b"]"


def value_of(raw: msgspec.Raw | None) -> Any:
    """Return what a raw field says, None where there is none."""
    return None if raw is None else _decode(raw)
