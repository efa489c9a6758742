"""POST /v1/messages and /v1/messages/count_tokens: Anthropic's dialect, for any model."""

from flask import Blueprint, Response, request

from blueprints.v1.body import read_json_body
from blueprints.v1.door import accepts
from blueprints.v1.inference import answer, json_response
from gateway import estimates
from wire.anthropic_call import MessagesCall, count_tokens

bp = Blueprint("messages", __name__)

FORWARDED = ("anthropic-beta", "anthropic-version")


@bp.post("/messages")
@accepts("inference")
def create() -> Response:
    """POST /v1/messages: one paid message, whole or streamed, on whichever model is named."""
    headers = {name: request.headers[name] for name in FORWARDED if name in request.headers}
    return answer(MessagesCall.parse(read_json_body()), headers)


@bp.post("/messages/count_tokens")
@accepts("inference")
def count() -> Response:
    """POST /v1/messages/count_tokens: our own count of the input; free, and nobody is asked."""
    return json_response(count_tokens(read_json_body(), estimates.tokens))
