"""From a checked call to its answer: the one way that every inference endpoint takes."""

from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Response, g, request

from blueprints.v1.client import ClientLine
from blueprints.v1.shape import shape_of
from errors import InvalidParameterError
from gateway import generations
from gateway.generations import ClientGoneError, Origin, Relay

CLIENT_CLOSED = 499
"""nginx's number for a client that left; nobody reads it but the log."""

LONGEST_APP = 200

STREAM = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


def answer(call: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Make the call and answer with what came of it, whole or streamed.

    `headers` are those of the client's that concern the provider.
    """
    if request.environ.get("HTTP_X_TURNPIKE_DRY_RUN"):
        raise InvalidParameterError(
            "Dry runs aren't offered yet, and nothing was sent. Leave X-Turnpike-Dry-Run out.",
            param="X-Turnpike-Dry-Run",
        )
    shape = shape_of(request.path, g.request_id)
    try:
        result = generations.start(g.caller, call, ClientLine(), _origin(headers or {}), shape)
    except ClientGoneError:
        return Response(status=CLIENT_CLOSED)
    if isinstance(result, Relay):
        return Response(result, headers={**STREAM, **result.headers}, direct_passthrough=True)
    return Response(result.body, headers={"Content-Type": "application/json", **result.headers})


def json_response(value: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(msgspec.json.encode(value), status=status, mimetype="application/json")


def _origin(headers: Mapping[str, str]) -> Origin:
    environ = request.environ
    app = (
        environ.get("HTTP_X_OPENROUTER_TITLE")
        or environ.get("HTTP_X_TITLE")
        or environ.get("HTTP_REFERER")
    )
    if app is not None:
        app = "".join(c for c in app[:LONGEST_APP] if c.isprintable())
    return Origin(request_id=g.request_id, app=app, headers=headers)
