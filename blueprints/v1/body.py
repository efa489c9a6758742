"""Reading a request's body: bounded in size, in time, and never inflated."""

import gevent
from flask import request
from gevent import monkey
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected

from errors import InvalidRequestError, MediaTypeError, TooLargeError

JSON_LIMIT_BYTES = 10 * 1024 * 1024
PATIENCE_S = 30.0


def read_json_body() -> bytes:
    """Return the raw body of a JSON request.

    Raises: TooLargeError before reading on, MediaTypeError for a compressed or multipart body,
    InvalidRequestError for one that doesn't arrive within half a minute.
    """
    environ = request.environ
    coding = environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise MediaTypeError("Compressed bodies aren't read here. Send the JSON as it is.")
    if environ.get("CONTENT_TYPE", "").startswith("multipart/"):
        raise MediaTypeError("This endpoint reads JSON. Send 'Content-Type: application/json'.")
    if (request.content_length or 0) > JSON_LIMIT_BYTES:
        raise _too_large()
    request.max_content_length = JSON_LIMIT_BYTES + 1  # a chunked body is cut there, in silence
    try:
        body = _read_in_time()
    except (ClientDisconnected, ParseException, OSError) as error:
        raise InvalidRequestError(
            "The body broke off before its end, or its chunks can't be told apart. Send it again."
        ) from error
    if len(body) > JSON_LIMIT_BYTES:
        raise _too_large()
    return body


def _too_large() -> TooLargeError:
    return TooLargeError(
        f"The body is larger than {JSON_LIMIT_BYTES // 1024 // 1024} MB. "
        "Send less, or refer to large files by URL."
    )


def _read_in_time() -> bytes:
    if not monkey.is_module_patched("socket"):
        return request.get_data(cache=False)
    with gevent.Timeout(PATIENCE_S, InvalidRequestError("The body took too long. Send it again.")):
        return request.get_data(cache=False)
