"""The faults of the fire drill, each under the name of a model."""

from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

from providers import sse
from providers.sandbox.chat import STREAM_HEADERS, WORD_S, Body, Script, echo
from providers.sandbox.exchange import NEVER_S, Answer, Ending

FIRST_TOKEN_S = 2.0
EVENTS_BEFORE = 3
"""What comes before a stream goes wrong: the role and two words."""

_STATUSES = {
    400: (
        "invalid_request_error",
        "sandbox_rejected",
        "The sandbox was told to refuse this input.",
    ),
    401: ("authentication_error", "invalid_api_key", "The sandbox was told to refuse the key."),
    429: ("rate_limit_error", "rate_limit_exceeded", "The sandbox was told to be at its limit."),
    500: ("server_error", "server_error", "The sandbox was told to fail."),
    503: ("server_error", "overloaded", "The sandbox was told to be overloaded."),
}
_ABSURD_USAGE = {"prompt_tokens": -1, "completion_tokens": 10**18, "total_tokens": 10**18 - 1}


def error_body(message: str, kind: str, code: str) -> bytes:
    """An error in the OpenAI dialect."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return msgspec.json.encode({"error": error})


def _refusal(status: int) -> Callable[[Body], Answer]:
    kind, code, message = _STATUSES[status]

    def answer(_body: Body) -> Answer:
        headers = {"content-type": "application/json"}
        if status in (429, 503):
            headers["retry-after"] = "1"
        return Answer([(0.0, error_body(message, kind, code))], status=status, headers=headers)

    return answer


def _timeout(_body: Body) -> Answer:
    return Answer([], head_after_s=NEVER_S)


def _slow(body: Body) -> Answer:
    """The head of a stream comes at once, the rest as after long thought."""
    script = echo(body)
    answer = script.answer()
    if not script.is_streamed:
        answer.head_after_s = FIRST_TOKEN_S
        return answer
    answer.pieces = _late(script.events())
    return answer


def _late(events: Iterator[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    yield FIRST_TOKEN_S, next(events)[1]
    yield from events


def _stall(body: Body) -> Answer:
    return _interrupted(body, Ending.SILENT)


def _cut(body: Body) -> Answer:
    """A stream ends early, in good HTTP order; a plain body is cut by the connection."""
    script = echo(body)
    return _interrupted(body, Ending.WHOLE if script.is_streamed else Ending.BROKEN)


def _interrupted(body: Body, ending: Ending) -> Answer:
    script = echo(body)
    if script.is_streamed:
        pieces = islice(script.events(), EVENTS_BEFORE)
        return Answer(pieces, headers=dict(STREAM_HEADERS), ending=ending)
    whole = script.whole()
    return Answer([(0.0, whole[: len(whole) // 2])], ending=ending)


def _garbage(body: Body) -> Answer:
    if echo(body).is_streamed:
        pieces = [(0.0, sse.event(b'{"choices": [<not JSON>')), (0.0, sse.DONE)]
        return Answer(pieces, headers=dict(STREAM_HEADERS))
    return Answer([(0.0, b"<html><body>Welcome to the sandbox.</body></html>")])


def _no_usage(body: Body) -> Answer:
    return echo(body).answer(has_usage=False)


def _absurd_usage(body: Body) -> Answer:
    script = echo(body)
    script.told_usage = dict(_ABSURD_USAGE)
    return script.answer()


def _error(body: Body) -> Answer:
    """A 200 that is an error after all: the whole body, or an event after two words."""
    script = echo(body)
    error = error_body(
        "The sandbox was told to fail after its 200.", "server_error", "server_error"
    )
    if not script.is_streamed:
        return Answer([(0.0, error)])
    pieces = [*islice(script.events(), EVENTS_BEFORE), (WORD_S, sse.event(error))]
    return Answer(pieces, headers=dict(STREAM_HEADERS))


def _empty(body: Body) -> Answer:
    """No content and no finish reason, as a provider that gave up without saying so."""
    script = Script(body, [], is_cut=False, word_s=0.0)
    script.finish = None
    return script.answer()


FAULTS: dict[str, Callable[[Body], Answer]] = {
    **{f"fault-{status}": _refusal(status) for status in _STATUSES},
    "fault-timeout": _timeout,
    "fault-slow": _slow,
    "fault-stall": _stall,
    "fault-cut": _cut,
    "fault-garbage": _garbage,
    "fault-no-usage": _no_usage,
    "fault-absurd-usage": _absurd_usage,
    "fault-error": _error,
    "fault-empty": _empty,
}
