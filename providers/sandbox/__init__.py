"""The built-in provider: in the process, no network, the same answer each time.

It speaks the OpenAI dialect, so that everything above it runs as with a real one. `echo` repeats
the last user message, `lorem` fills N words for `max_tokens` N, `embed`, `image`, `speech` and
`transcribe` do what they say, and each `fault-…` fails in its own way. What it says names itself.
A token is a word.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from typing_extensions import override

from errors import TurnpikeError
from providers import failures
from providers.base import Exchange, Provider, UpstreamCall
from providers.sandbox import chat, media, vectors
from providers.sandbox.exchange import Answer, SandboxExchange
from providers.sandbox.faults import FAULTS, error_body

__all__ = ["MODELS", "Sandbox"]

Body = dict[str, Any]


def _chat(body: Body) -> Answer:
    make = {"echo": chat.echo, "lorem": chat.lorem}.get(str(body.get("model")))
    return make(body).answer() if make else _no_model(body)


def _embeddings(body: Body) -> Answer:
    return _json(vectors.embeddings(body)) if body.get("model") == "embed" else _no_model(body)


def _images(body: Body) -> Answer:
    return _json(media.images(body)) if body.get("model") == "image" else _no_model(body)


def _speech(body: Body) -> Answer:
    if body.get("model") != "speech":
        return _no_model(body)
    kind, sound = media.speech(body)
    return Answer([(0.0, sound)], headers={"content-type": kind})


def _transcript(body: Body) -> Answer:
    if body.get("model") != "transcribe":
        return _no_model(body)
    kind, said = media.transcript(body)
    data = said.encode() if isinstance(said, str) else msgspec.json.encode(said)
    return Answer([(0.0, data)], headers={"content-type": kind})


def _models(_body: Body) -> Answer:
    rows = [{"id": m, "object": "model", "created": 0, "owned_by": "sandbox"} for m in MODELS]
    return _json({"object": "list", "data": rows})


_PATHS: dict[str, Callable[[Body], Answer]] = {
    "/chat/completions": _chat,
    "/completions": _chat,
    "/embeddings": _embeddings,
    "/images/generations": _images,
    "/images/edits": _images,
    "/images/variations": _images,
    "/audio/speech": _speech,
    "/audio/transcriptions": _transcript,
    "/audio/translations": _transcript,
}

MODELS = ("echo", "lorem", "embed", "image", "speech", "transcribe", *FAULTS)
"""Every `upstream_model` that there is."""


class Sandbox(Provider):
    """The whole of it; it keeps nothing from one call to the next."""

    dialect = "openai"

    @override
    def open(self, call: UpstreamCall, api_key: str, deadline_s: float) -> Exchange:
        return SandboxExchange(_answer(call), deadline_s)

    @override
    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> TurnpikeError:
        return failures.from_answer(status, headers, body)


def _answer(call: UpstreamCall) -> Answer:
    if call.path == "/models":
        return _models({})
    make = _PATHS.get(call.path)
    if make is None:
        return _refused(404, "There is no such path in the sandbox.", "not_found")
    try:
        body = _body(call)
        return FAULTS.get(str(body.get("model")), make)(body)
    except ValueError as error:
        return _refused(400, f"The sandbox can't do this: {error}.", "invalid_parameter")


def _body(call: UpstreamCall) -> Body:
    """What was asked: an object, or the fields of a form with files.

    Raises: ValueError
    """
    if isinstance(call.body, dict):
        return call.body
    pieces = call.body if isinstance(call.body, tuple) else (call.body,)
    if call.content_type.startswith("multipart/form-data"):
        return media.form_fields(pieces)
    return msgspec.json.decode(b"".join(pieces), type=Body)


def _no_model(body: Body) -> Answer:
    name = str(body.get("model"))[:100]
    return _refused(404, f"The sandbox has no model {name!r} at this path.", "model_not_found")


def _refused(status: int, message: str, code: str) -> Answer:
    return Answer([(0.0, error_body(message, "invalid_request_error", code))], status=status)


def _json(value: object) -> Answer:
    return Answer([(0.0, msgspec.json.encode(value))])
