"""The log is a line of JSON each, whatever was sent; no secret is there, nor told elsewhere."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving import JsonLine
from tests.live import Actor, Server, config_for, make_actor
from tests.servers import engine_in_use, make_sqlite_template
from tests.upstream import Upstream
from tests.v1.raw import ask, head, wait_until

pytestmark = [pytest.mark.live]

PROMPT = "canary-prompt-4711"
ANSWER = "canary-answer-4712"
HOSTILE = [
    'a"}\n{"event":"forged"',
    "a\r\nforged: 1",
    "\x1b[2J\x07",
    "\u2028\u2029\x85",
    "\u202eevil",
    "%s%s%n{0.__class__}",
    "\\u000a",
    "\\",
]


@pytest.fixture
def watched(tmp_path: Path, upstream: Upstream) -> Iterator[tuple[Server, Callable[..., Actor]]]:
    """A server whose log nobody else writes to."""
    path = make_sqlite_template(tmp_path / "turnpike.db")
    server = Server(tmp_path, f"sqlite:///{path}", config_for(upstream, 8))
    with engine_in_use(server.database_url):
        server.start()

        def make(number: int, **options: Any) -> Actor:
            return make_actor(server, upstream, space=f"s{number}", **options)

        try:
            yield server, make
        finally:
            server.stop()


def lines_since(server: Server, start: int) -> list[dict[str, Any]]:
    """What the log says since; a line that isn't an object of JSON fails."""
    found = []
    for line in server.log.read_bytes()[start:].split(b"\n")[:-1]:
        told = json.loads(line)
        assert isinstance(told, dict), line
        assert not any(byte < 0x20 for byte in line), line
        found.append(told)
    return found


def provoke(actor: Actor, poor: Actor, manager: Actor) -> list[bytes]:
    """Every kind of failure, with secrets in it; returns what was answered."""
    said: list[bytes] = []

    def call(who: Actor, text: str = PROMPT, **fields: Any) -> None:
        body = {"model": who.model, "messages": [{"role": "user", "content": text}], **fields}
        sent = who.server.request("POST", "/v1/chat/completions", body, who.headers)
        said.append(sent[2] + repr(sent[1]).encode())

    for status in (400, 401, 403, 404, 429, 500, 503):
        echo = f"no: {PROMPT} key sk-upstream-{actor.space[1:]}-canary"
        actor.provider_will(
            status=status, body={"error": {"message": "no" if status == 400 else echo}}
        )
        call(actor)
    behaviors: list[dict[str, Any]] = [
        {"hang_up": "rst"},
        {"body": f"<html>{PROMPT}"},
        {"words": 20, "rst_after": 6},
        {"content": "", "finish_reason": None},
        {
            "content": "hm hm hm",
            "error": {"error": {"message": echo, "code": 500}},
            "error_after": 2,
        },
    ]
    for behavior in behaviors:
        actor.provider_will(**behavior)
        call(actor, stream="rst_after" in behavior or "error" in behavior)
    call(poor, max_tokens=1000)
    call(manager)
    call(actor, max_tokens=-1)
    call(actor, model=actor.key)
    odd: dict[str, Any] = {actor.key: 1e300, "seed": actor.key}
    call(actor, **odd)
    for path in (f"/v1/{actor.key}", f"/v1/models/{actor.key}", f"/v1/generation?id={actor.key}"):
        said.append(actor.server.request("GET", path, None, actor.headers)[2])
    bad = {"Authorization": f"Bearer {actor.key[:-2]}xx"}
    said.append(actor.server.request("GET", "/v1/credits", None, bad)[2])
    said.append(ask(actor.server, f"{head(actor, f'Bearer {actor.key}')}\r\n").raw)
    said.append(ask(actor.server, f"GET /{actor.key} {PROMPT} HTTP/1.1\r\n\r\n").raw)
    chunked = f"{head(actor, 'Transfer-Encoding: chunked')}\r\nzz\r\n{PROMPT}\r\n"
    said.append(ask(actor.server, chunked).raw)
    return said


def test_no_secret_and_no_text_is_in_the_log_in_metrics_or_in_errors(
    watched: tuple[Server, Callable[..., Actor]],
) -> None:
    server, make = watched
    actor, poor, manager = make(1), make(2, balance_nusd=1000), make(3, kind="management")
    start = server.log.stat().st_size
    actor.provider_will(content=ANSWER)
    assert actor.chat(PROMPT, user="ann", session_id="s-1")[0] == 200
    assert actor.open_stream(PROMPT).events()[-1] == "[DONE]"
    said = provoke(actor, poor, manager)
    said.append(server.request("GET", "/metrics")[2])
    wait_until(lambda: len(lines_since(server, start)) > 10)
    lines_since(server, start)
    logged = server.log.read_bytes()
    secrets = [who.key[8:] for who in (actor, poor, manager)]
    secrets += [PROMPT, ANSWER, "sk-upstream", "-canary", "0123456789abcdef0123456789abcdef"]
    for secret in secrets:
        assert secret.encode() not in logged, secret
        assert [text for text in said if secret.encode() in text] == [], secret


def test_a_key_in_a_traceback_is_struck_out() -> None:
    error = ValueError("Bearer tp_live_abcdefghijklmnop and sk-upstream-1-canary\nX")
    told = (ValueError, error, None)
    record = logging.LogRecord("app", logging.ERROR, __file__, 1, "odd", None, told)
    line = JsonLine().format(record)
    assert "\n" not in line
    assert "abcdefghijklmnop" not in line
    assert "canary" not in line
    assert json.loads(line)["traceback"].endswith("X")


def test_a_generation_is_one_line_with_ids_counts_and_money(
    watched: tuple[Server, Callable[..., Actor]],
) -> None:
    server, make = watched
    actor = make(4)
    start = server.log.stat().st_size
    generation_id = actor.chat("hello there")[2]["id"]
    wait_until(lambda: lines_since(server, start))
    (line,) = lines_since(server, start)
    assert line["event"] == "generation"
    assert line["id"] == generation_id
    assert (line["workspace"], line["key"]) == (actor.workspace_id, actor.key_id)
    assert (line["model"], line["status"], line["rule"]) == (actor.model, "ok", "b")
    assert (line["input_tokens"], line["output_tokens"], line["charge_nusd"]) == (2, 2, 45_000)


def test_hostile_names_stay_within_their_line(
    watched: tuple[Server, Callable[..., Actor]],
) -> None:
    server, make = watched
    actor = make(5)
    start = server.log.stat().st_size
    for text in HOSTILE:
        header = text.encode("latin-1", "replace").decode("latin-1")
        header = "".join(c if c >= " " or c == "\t" else "?" for c in header).replace("\x7f", "?")
        headers = {
            "HTTP-Referer": header,
            "Referer": header,
            "X-Title": header,
            "X-Request-Id": header,
        }
        body = {"model": actor.model, "messages": [{"role": "user", "content": text}]}
        assert actor.post("/v1/chat/completions", {**body, "user": text}, **headers)[0] == 200
        for field in ("model", "session_id"):
            assert actor.post("/v1/chat/completions", {**body, field: text}, **headers)[0] < 500
        actor.provider_will(status=500, body={"error": {"message": text, "code": text}})
        assert actor.post("/v1/chat/completions", body)[0] == 502
        actor.provider_will(status=400, body={"error": {"message": text, "param": text}})
        assert actor.post("/v1/chat/completions", body)[0] == 400
        actor.provider_will(finish_reason=text)
        assert actor.post("/v1/chat/completions", body)[0] in (200, 502)
        actor.provider_will()
    wait_until(lambda: len(lines_since(server, start)) >= 4 * len(HOSTILE))
    lines = lines_since(server, start)
    assert {line["event"] for line in lines if line["level"] == "info"} == {"generation"}
    assert not [line for line in lines if "forged" in line or line["event"] == "forged"]
