"""Whatever a provider does, the caller gets an answer or an error, and pays by the table."""

import base64
import gzip
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.live import Actor, Server, text_of
from tests.operation.sites import INPUT, OUTPUT, body_of, only_generation
from tests.operation.test_kill import workers_of

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("operation-sqlite")]

NewActor = Callable[..., Actor]
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
COST = 10 * INPUT + 5 * OUTPUT
MEBIBYTE = 1024 * 1024


def chunk(text: str, **more: Any) -> str:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return f"data: {json.dumps({'id': 'c', 'choices': [choice], **more})}\n\n"


STOP = 'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = "data: [DONE]\n\n"


def ask(actor: Actor, *, streamed: bool, **fields: Any) -> tuple[int, dict[str, str], bytes]:
    body = body_of(actor, stream=streamed, **fields)
    return actor.server.request("POST", "/v1/chat/completions", body, actor.headers)


@pytest.mark.parametrize("is_streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    ("behavior", "status"),
    [
        ({"is_silent": True}, 502),
        ({"delay_s": 1.6}, 502),
        ({"silent_after": 0}, 502),
        ({"body": "{", "headers": {"content-type": "application/json"}}, 502),
        ({"body": "<html>hello</html>", "headers": {"content-type": "text/html"}}, 502),
        ({"raw": "SSH-2.0-OpenSSH_9\r\n"}, 502),
        ({"body": "x", "headers": {"content-encoding": "br"}}, 502),
        ({"status": 302, "headers": {"location": "http://127.0.0.1:9/"}}, 502),
        ({"flood_bytes": 200 * MEBIBYTE}, 502),
    ],
    ids=[
        "silent", "slow head", "head only", "half JSON", "HTML", "not HTTP", "brotli",
        "redirect", "200 MB line",
    ],
)  # fmt: skip
def test_an_answer_that_never_begins_is_an_error_and_free(
    on_sqlite: Server,
    new_actor: NewActor,
    behavior: dict[str, Any],
    status: int,
    is_streamed: bool,
) -> None:
    alice = new_actor(on_sqlite)
    alice.provider_will(**behavior)
    begun_at = time.monotonic()
    answered, _, raw = ask(alice, streamed=is_streamed, model="hasty", max_tokens=9)
    assert answered == status, raw
    assert json.loads(raw)["error"]["code"] in ("upstream_error", "upstream_timeout")
    assert b"canary" not in raw
    assert time.monotonic() - begun_at < 6
    row = only_generation(alice)
    assert (row.charge_nusd, row.rule in "fg") == (0, True)


def test_a_stream_that_stalls_is_ended_with_an_error(
    on_sqlite: Server, new_actor: NewActor
) -> None:
    alice = new_actor(on_sqlite)
    alice.provider_will(words=9, silent_after=4)
    begun_at = time.monotonic()
    _, _, raw = ask(alice, streamed=True, model="hasty")
    assert 0.9 < time.monotonic() - begun_at < 3
    assert b'"upstream_timeout"' in raw
    assert b"[DONE]" not in raw
    assert only_generation(alice).rule == "j"


@pytest.mark.parametrize("is_streamed", [False, True], ids=["plain", "streamed"])
def test_an_answer_that_drips_is_put_together(
    on_sqlite: Server, new_actor: NewActor, is_streamed: bool
) -> None:
    alice = new_actor(on_sqlite)
    alice.provider_will(
        content="drip drop", usage=USAGE, usage_always=True, split_bytes=1, gap_s=0.0005
    )
    status, _, raw = ask(alice, streamed=is_streamed, model="hasty")
    assert status == 200, raw
    assert b"drop" in raw
    assert only_generation(alice).charge_nusd == COST


def test_a_line_of_a_megabyte_passes(on_sqlite: Server, new_actor: NewActor) -> None:
    alice = new_actor(on_sqlite, balance_nusd=10**12)
    alice.provider_will(content="x" * MEBIBYTE, usage=USAGE)
    status, _, raw = ask(alice, streamed=True)
    assert status == 200
    assert raw.count(b"x" * MEBIBYTE) == 1
    assert only_generation(alice).rule in "bs"


def test_two_hundred_megabytes_are_refused_in_bounded_memory(
    on_sqlite: Server, new_actor: NewActor
) -> None:
    alice = new_actor(on_sqlite)
    page = resource.getpagesize()
    [pid] = workers_of(on_sqlite)
    before = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
    bomb = gzip.compress(b" " * (200 * MEBIBYTE), 9)
    alice.provider_will(
        body_base64=base64.b64encode(bomb).decode(),
        headers={"content-encoding": "gzip", "content-type": "application/json"},
    )
    status, _, _ = ask(alice, streamed=False)
    assert status == 502
    peak = int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
    assert peak - before < 160 * MEBIBYTE
    assert only_generation(alice).charge_nusd == 0


@pytest.mark.parametrize(
    "events",
    [
        [chunk("one "), chunk("two"), STOP, DONE, DONE],
        [chunk("one "), chunk("two"), STOP, DONE, chunk("never")],
        [chunk("one ").replace("\n", "\r\n"), chunk("two").replace("\n", "\r\n"), STOP, DONE],
        [": hello\n\n", "event: x\n" + chunk("one "), "retry: 5\n\n" + chunk("two"), STOP, DONE],
        ["\ufeff" + chunk("one "), chunk("two"), STOP, DONE],
        [chunk("one "), chunk("two"), STOP],
        [(chunk("one ") + chunk("two") + STOP + DONE)],
    ],
    ids=["DONE twice", "data after DONE", "CRLF", "other lines", "BOM", "no DONE", "one piece"],
)
def test_streams_of_every_shape_say_the_same(
    on_sqlite: Server, new_actor: NewActor, events: list[str]
) -> None:
    alice = new_actor(on_sqlite)
    alice.provider_will(raw_events=events)
    found = alice.open_stream().events()
    assert text_of(found) == "one two"
    assert found.count("[DONE]") == 1
    assert found[-1] == "[DONE]"
    assert only_generation(alice).rule == "c"


def test_a_stream_that_is_cut_within_a_letter_ends_with_an_error_and_no_broken_letter(
    on_sqlite: Server, new_actor: NewActor
) -> None:
    alice = new_actor(on_sqlite)
    whole = (chunk("grün ") + chunk("grün ")).replace("\\u00fc", "ü").encode()
    half = whole[: whole.rindex("ü".encode()) + 1]
    alice.provider_will(
        body_base64=base64.b64encode(half).decode(),
        headers={"content-type": "text/event-stream"},
        framing="close",
    )
    found = alice.open_stream().events()
    assert text_of(found[:-1]) == "grün "
    assert found[-1]["error"]["code"] == "upstream_error"


USAGE_CHUNK = {"id": "c", "choices": [], "usage": USAGE}
PLACES: dict[str, dict[str, Any]] = {
    "last": {"usage_at": "last"},
    "with the finish": {"usage_at": "with_finish"},
    "in every chunk": {"usage_at": "every"},
    "after DONE": {"usage_at": "after_done"},
    "twice": {"usage": [{**USAGE, "completion_tokens": 1, "total_tokens": 11}, USAGE]},
    "in a choice": {"raw_events": [
        chunk("good"), STOP.replace('"stop"', f'"stop","usage":{json.dumps(USAGE)}'), DONE,
    ]},
    "before the finish": {"raw_events": [
        chunk("good"), f"data: {json.dumps(USAGE_CHUNK)}\n\n", STOP, DONE,
    ]},
    "in a plain answer": {},
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_usage_counts_wherever_it_stands(
    on_sqlite: Server, new_actor: NewActor, place: str
) -> None:
    alice = new_actor(on_sqlite)
    alice.provider_will(
        **{"content": "good", "usage": USAGE, "usage_always": True, **PLACES[place]}
    )
    _, _, raw = ask(alice, streamed=place != "in a plain answer")
    assert b"good" in raw
    row = only_generation(alice)
    if place == "after DONE":  # where the answer has ended: counted by us
        assert row.rule == "c"
    else:
        assert (row.rule, row.charge_nusd) == ("b", COST)


@pytest.mark.parametrize(
    ("told", "passed_on"),
    [
        ("7", "7"),
        ("0.2", "1"),
        ("1000000000", "60"),
        ("-5", "1"),
        ("soon", "1"),
        ("", "1"),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "1"),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "60"),
        ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", "1"),
        ("Fri, 31 Dec 2100 23:59:59 +9999", "1"),
        ("Mon, 01 Jan 0001 00:00:00 +2300", "1"),
        ("\u00b2", "1"),
    ],
)
def test_a_wait_that_a_provider_asks_for_is_passed_on_where_it_makes_sense(
    on_sqlite: Server, new_actor: NewActor, told: str, passed_on: str
) -> None:
    alice = new_actor(on_sqlite)
    alice.provider_will(status=429, headers={"retry-after": told})
    status, headers, raw = ask(alice, streamed=False)
    assert status == 503, raw
    assert headers["retry-after"] == passed_on


def test_a_redirect_is_not_followed_and_no_key_goes_elsewhere(
    on_sqlite: Server, new_actor: NewActor
) -> None:
    alice, elsewhere = new_actor(on_sqlite), new_actor(on_sqlite)
    location = f"{elsewhere.upstream.base_url(elsewhere.space)}/chat/completions"
    alice.provider_will(status=307, headers={"location": location})
    assert ask(alice, streamed=False)[0] == 502
    assert elsewhere.asked() == []


@pytest.mark.slow
def test_a_client_is_kept_company_while_the_first_token_is_long_in_coming(
    on_sqlite: Server, new_actor: NewActor
) -> None:
    alice = new_actor(on_sqlite)
    alice.provider_will(content="late", first_gap_s=11)
    begun_at = time.monotonic()
    stream = alice.open_stream()
    assert 9.5 < time.monotonic() - begun_at < 10.8
    assert stream.headers["x-accel-buffering"] == "no"
    lines = list(stream.lines())
    stream.close()
    assert lines[0].startswith(":")
    assert "late" in "".join(lines)
    assert lines[-1] == "data: [DONE]"
    assert only_generation(alice).rule == "b"
