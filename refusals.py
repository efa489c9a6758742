"""What the server refuses before the app sees it, told as the app tells its own refusals.

gunicorn answers what it can't parse with a page of HTML that repeats the bad line, which may hold a
key. Here it becomes JSON in the dialect of the path, with the request's id and the address's limit.
"""

from http import HTTPStatus

import msgspec
from gunicorn.http import errors as http

import ids
from blueprints.arrival import bucket_of
from blueprints.v1.door import STRANGERS_RPM, is_inside
from errors import (
    HeadersTooLargeError,
    InternalError,
    InvalidRequestError,
    RateLimitedError,
    TurnpikeError,
    UriTooLongError,
)
from gateway import runtime
from wire import errors as shapes


def refusal_of(failure: BaseException) -> TurnpikeError:
    """Return what a failure of gunicorn's parser means; an InternalError for any other."""
    if isinstance(failure, http.LimitRequestLine):
        return UriTooLongError("The address is longer than 8 KiB. Send less in the address.")
    if isinstance(failure, http.LimitRequestHeaders):
        return HeadersTooLargeError(
            "The headers are too large: 100 of 8 KiB each are read. Send fewer or shorter ones."
        )
    is_ours = isinstance(failure, http.InvalidResponseHeader | http.InvalidResponseHeaderName)
    if isinstance(failure, http.ParseException) and not is_ours:
        return InvalidRequestError(
            "This isn't HTTP as the server reads it. Check the request line, the headers, and how "
            "the body's length is told."
        )
    return InternalError("Something went wrong on our side. Try again; the log has it.")


def response(error: TurnpikeError, uri: str, address: str) -> bytes:
    """Return the whole response; `uri` is "" where the request line wasn't read."""
    is_openrouter = uri.startswith("/api/")
    body = msgspec.json.encode(shapes.openrouter(error) if is_openrouter else shapes.openai(error))
    headers = {
        "Server": "turnpike",
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-Request-Id": ids.new_id("req_"),
        "X-Content-Type-Options": "nosniff",
        **(_limits(address) if is_inside(uri) or not uri else {}),
    }
    head = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*head, "", ""]).encode("ascii") + body


def _limits(address: str) -> dict[str, str]:
    """What can't be parsed counts as a stranger's call."""
    try:
        allowance = runtime.current().limiter.admit(bucket_of(address), STRANGERS_RPM)
    except RateLimitedError as error:
        allowance = error.allowance  # type: ignore[attr-defined]
    return {
        "X-RateLimit-Limit": str(allowance.limit),
        "X-RateLimit-Remaining": str(allowance.remaining),
        "X-RateLimit-Reset": str(allowance.reset_at_s),
    }
