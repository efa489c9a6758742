"""The faults of the built-in provider, and that a wait in it can be broken off."""

import json
import threading
import time

import pytest

from errors import (
    UpstreamBrokenError,
    UpstreamBusyError,
    UpstreamError,
    UpstreamRejectedError,
)
from providers.sandbox import Sandbox
from providers.transport_errors import (
    ConnectionBrokenError,
    DeadlineError,
    ResponseTooBigError,
    TransportAbortedError,
)
from tests.providers.test_sandbox import WHOLE, answer, ask, events, said


@pytest.mark.parametrize(
    ("model", "status", "kind"),
    [
        ("fault-400", 400, UpstreamRejectedError),
        ("fault-401", 401, UpstreamBrokenError),
        ("fault-429", 429, UpstreamBusyError),
        ("fault-500", 500, UpstreamBrokenError),
        ("fault-503", 503, UpstreamBusyError),
    ],
)
def test_a_fault_with_a_status_has_it(model: str, status: int, kind: type[UpstreamError]) -> None:
    exchange = ask(model)
    assert exchange.wait_head(1)
    error = Sandbox().failure(exchange.status, exchange.headers, exchange.read_all(10_000, 1))
    assert (exchange.status, type(error)) == (status, kind)
    assert error.retry_after_s == (1.0 if status in (429, 503) else None)


def test_the_timeout_never_answers_and_a_wait_for_it_may_go_on() -> None:
    exchange = ask("fault-timeout", deadline_s=0.1)
    assert exchange.wait_head(0.01) is False
    assert exchange.read(0.01) is None
    with pytest.raises(DeadlineError):
        exchange.wait_head(5)


def test_the_slow_one_takes_two_seconds_to_its_first_token() -> None:
    exchange = ask("fault-slow", stream=True)
    assert exchange.wait_head(0.5)
    assert exchange.read(0.05) is None
    assert ask("fault-slow").wait_head(0.05) is False
    begun = time.monotonic()
    assert exchange.read(5)
    assert time.monotonic() - begun > 1.5


def test_the_stall_falls_silent_after_some_tokens() -> None:
    exchange = ask("fault-stall", stream=True, deadline_s=0.3)
    got = b""
    while (data := exchange.read(0.1)) is not None:
        got += data
    assert got.count(b"data:") == 3
    with pytest.raises(DeadlineError):
        exchange.read(5)


def test_the_cut_ends_a_stream_without_its_end_and_breaks_a_plain_body() -> None:
    chunks = events(ask("fault-cut", stream=True))
    assert (len(chunks), chunks[-1]["choices"][0]["finish_reason"]) == (3, None)
    with pytest.raises(ConnectionBrokenError):
        ask("fault-cut").read_all(10_000, 1)


def test_garbage_is_a_200_that_is_not_json() -> None:
    exchange = ask("fault-garbage")
    with pytest.raises(json.JSONDecodeError):
        json.loads(exchange.read_all(10_000, 1))
    assert exchange.status == 200
    with pytest.raises(json.JSONDecodeError):
        events(ask("fault-garbage", stream=True))


def test_an_answer_without_usage_is_otherwise_fine() -> None:
    got = answer("fault-no-usage")
    assert "usage" not in got
    assert got["choices"][0]["message"]["content"] == WHOLE
    chunks = events(ask("fault-no-usage", stream=True, stream_options={"include_usage": True}))
    assert said(chunks) == WHOLE
    assert all("usage" not in chunk for chunk in chunks if chunk != "[DONE]")


def test_an_absurd_usage_is_negative_and_huge() -> None:
    assert answer("fault-absurd-usage")["usage"]["prompt_tokens"] == -1


def test_an_error_may_come_after_the_200() -> None:
    exchange = ask("fault-error")
    body = exchange.read_all(10_000, 1)
    assert type(Sandbox().failure(exchange.status, exchange.headers, body)) is UpstreamBrokenError
    chunks = events(ask("fault-error", stream=True))
    assert "error" in chunks[-1]
    assert said(chunks[:-1]) == "Turnpike's sandbox"


def test_the_empty_one_has_no_content_and_no_reason() -> None:
    (got,) = answer("fault-empty")["choices"]
    assert (got["message"]["content"], got["finish_reason"]) == ("", None)


def test_an_abort_wakes_a_blocked_wait_at_once() -> None:
    for exchange in (ask("fault-timeout"), ask("fault-stall", stream=True)):
        begun = time.monotonic()
        threading.Timer(0.1, exchange.abort).start()
        with pytest.raises(TransportAbortedError):
            exchange.read_all(100_000, 5)
        assert time.monotonic() - begun < 1


def test_a_body_beyond_the_limit_is_not_read() -> None:
    with pytest.raises(ResponseTooBigError):
        ask("lorem", max_tokens=1000).read_all(1000, 1)


def test_what_was_received_is_counted() -> None:
    exchange = ask("echo")
    assert exchange.bytes_received == 0
    assert len(exchange.read_all(10_000, 1)) == exchange.bytes_received


def test_a_late_reader_gets_what_is_due_in_one_piece() -> None:
    exchange = ask("lorem", stream=True)
    assert exchange.wait_head(1)
    time.sleep(0.15)
    assert (exchange.read(1) or b"").count(b"data:") > 50
