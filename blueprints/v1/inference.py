"""From a checked call to its answer: the one way that every inference endpoint takes."""

from typing import Any

import msgspec
from flask import Response, g, request

from blueprints.v1.client import ClientLine
from errors import TurnpikeError
from gateway import generations
from gateway.generations import ClientGoneError, Origin, Relay
from wire import errors as shapes

CLIENT_CLOSED = 499
"""nginx's number for a client that left; nobody reads it but the log."""

LONGEST_APP = 200


def render(error: TurnpikeError) -> dict[str, Any]:
    """Return an error in the shape of the prefix that was called."""
    if request.path.startswith("/api/"):
        return shapes.openrouter(error)
    return shapes.openai(error)


def answer(call: Any) -> Response:
    """Make the call and answer with what came of it, whole or streamed."""
    is_openrouter = request.path.startswith("/api/")
    shape = shapes.openrouter if is_openrouter else shapes.openai
    try:
        result = generations.start(g.caller, call, ClientLine(), _origin(), shape)
    except ClientGoneError:
        return Response(status=CLIENT_CLOSED)
    if isinstance(result, Relay):
        headers = {
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-cache",
            "X-Accel-Buffering": "no",
            **result.headers,
        }
        return Response(result, headers=headers, direct_passthrough=True)
    return Response(result.body, headers={"Content-Type": "application/json", **result.headers})


def json_response(value: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(msgspec.json.encode(value), status=status, mimetype="application/json")


def _origin() -> Origin:
    environ = request.environ
    app = (
        environ.get("HTTP_X_OPENROUTER_TITLE")
        or environ.get("HTTP_X_TITLE")
        or environ.get("HTTP_REFERER")
    )
    if app is not None:
        app = "".join(c for c in app[:LONGEST_APP] if c.isprintable())
    return Origin(request_id=g.request_id, app=app)
