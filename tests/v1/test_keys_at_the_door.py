"""The door of the API on a live server: who comes in, how often, and what the others are told.

The server stands behind a proxy that it trusts, so that each test comes from an address of its own.
"""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import clock
import db
from gateway import key_text, keys
from models import Key
from tests.live import Actor, Server, config_for, make_actor
from tests.servers import engine_in_use, make_sqlite_template
from tests.upstream import Upstream
from tests.v1.raw import ask

pytestmark = [pytest.mark.live]

Answer = tuple[int, dict[str, str], bytes]

REFUSED = "This API key isn't valid."
RATE_HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
STRANGERS_RPM = 300
_addresses = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Server]:
    """A server of this file's own, behind a trusted proxy, with 60 requests a minute by default."""
    folder = tmp_path_factory.mktemp("door")
    path = make_sqlite_template(folder / "turnpike.db")
    config = config_for(upstream, 100).replace("rate_limit_rpm = 0", "rate_limit_rpm = 60")
    environ = {"TURNPIKE_TRUSTED_PROXIES": "127.0.0.1/32,198.51.100.0/24"}
    running = Server(folder, f"sqlite:///{path}", config, environ)
    running.start()
    try:
        yield running
    finally:
        exit_code = running.stop()
    assert exit_code == 0, running.tail()


@pytest.fixture
def on_server(server: Server) -> Iterator[Server]:
    """The server, with its database in use in this process too."""
    with engine_in_use(server.database_url):
        yield server


@pytest.fixture
def new_actor(on_server: Server, upstream: Upstream) -> Callable[..., Actor]:
    """Make somebody with a workspace, a key and a provider of their own."""

    def make(**options: Any) -> Actor:
        number = next(_addresses)
        return make_actor(on_server, upstream, space=f"s{number % 100}", **options)

    return make


@pytest.fixture
def address() -> str:
    """An address that no other test comes from."""
    number = next(_addresses)
    return f"10.{number >> 8}.{number & 255}.1"


@pytest.fixture
def get(server: Server, address: str) -> Callable[..., Answer]:
    """GET from the test's own address."""

    def send(path: str = "/v1/key", key: str | None = None, **headers: str) -> Answer:
        told = {"X-Forwarded-For": address}
        if key is not None:
            told["Authorization"] = f"Bearer {key}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return server.request("GET", path, None, {**told, **named})

    return send


def code_of(answer: Answer) -> str:
    code: str = json.loads(answer[2])["error"]["code"]
    return code


def new_key(actor: Actor, **fields: Any) -> tuple[str, str]:
    """Another key of somebody's workspace: its id and its text."""
    with db.transaction() as session:
        new = keys.NewKey(workspace_id=actor.workspace_id, name="another", **fields)
        key, text = keys.create(session, new, "usr_alice")
        return key.id, text


def stop(key_id: str) -> None:
    with db.transaction() as session:
        keys.stop(session, key_id, "usr_alice")


# Who comes in


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
def test_every_bad_key_gets_the_same_answer_and_no_echo(
    alice: Actor, get: Callable[..., Answer], prefix: str
) -> None:
    stopped_id, stopped = new_key(alice)
    expired_id, expired = new_key(alice)
    stop(stopped_id)
    with db.transaction() as session:
        session.get_one(Key, expired_id).expires_at = clock.now_ms() - 1
    unknown = key_text.mint("inference")
    mistyped = alice.key[:-1] + ("a" if alice.key[-1] != "a" else "b")
    bad = [unknown, mistyped, stopped, expired, "nonsense", "sk-" + "a" * 48, "x" * 8000]
    answers = [get(f"{prefix}/key", text) for text in bad]
    assert {answer[0] for answer in answers} == {401}
    assert len({answer[2] for answer in answers}) == 1
    assert REFUSED in answers[0][2].decode()
    for text, (_, headers, body) in zip(bad, answers, strict=True):
        assert text not in str(headers)
        assert text[:40] not in body.decode()
        assert set(headers) == set(answers[0][1])


def test_a_good_key_gets_in_and_sees_its_own_record(
    alice: Actor, get: Callable[..., Answer]
) -> None:
    status, _, body = get(key=alice.key)
    assert status == 200
    told = json.loads(body)["data"]
    assert (told["hash"], told["label"]) == (alice.key_id, key_text.hint_of(alice.key))
    assert told["usage_nusd"] == 0
    assert alice.key not in body.decode()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_name_of_the_scheme_may_be_in_any_case(
    alice: Actor, get: Callable[..., Answer], scheme: str
) -> None:
    assert get(Authorization=f"{scheme} {alice.key}")[0] == 200


def test_a_key_counts_only_as_a_bearer(alice: Actor, get: Callable[..., Answer]) -> None:
    for answer in (
        get(f"/v1/key?api_key={alice.key}"),
        get(f"/v1/key?key={alice.key}"),
        get(f"/v1/key?access_token={alice.key}"),
        get(Cookie=f"api_key={alice.key}; session={alice.key}"),
        get(Authorization=alice.key),
        get(Authorization=f"Basic {alice.key}"),
        get(Authorization=f"Token {alice.key}"),
        get(Authorization=f"Bearer{alice.key}"),
        get(Authorization="Bearer "),
        get(Authorization=f"Bearer {alice.key} {alice.key}"),
        get(Authorization=f"Bearer {alice.key},"),
        get(X_Authorization=f"Bearer {alice.key}"),
    ):
        assert (answer[0], code_of(answer)) == (401, "invalid_api_key")
        assert alice.key not in answer[2].decode()


@pytest.mark.parametrize(
    "lines",
    [
        ["Authorization: Bearer KEY", "Authorization: Bearer KEY"],
        ["Authorization: Bearer KEY", "Authorization: Bearer nonsense"],
        ["Authorization: Bearer nonsense", "Authorization: Bearer KEY"],
        ["Authorization: Bearer KEY\x00"],
        ["Authorization: Bearer KEY\x00KEY"],
        ["Authorization: Bearer \xc3\xa9\xff"],
        ["Authorization: Bearer", " KEY"],
        ["Authorization : Bearer KEY"],
        [f"Authorization: Bearer {'a' * 8100}"],
        [f"Authorization: Bearer {'a' * 9000}"],
    ],
    ids=itertools.count(),
)
def test_a_malformed_credential_is_refused_and_breaks_nothing(
    alice: Actor, address: str, lines: list[str]
) -> None:
    sent = "\r\n".join(line.replace("KEY", alice.key) for line in lines)
    told = ask(
        alice.server,
        f"GET /v1/key HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {address}\r\n"
        f"Connection: close\r\n{sent}\r\n\r\n",
    )
    assert told.status in (400, 401, 431)
    assert alice.key not in told.raw.decode("latin-1")


def test_a_key_from_outside_its_networks_is_refused(
    alice: Actor, get: Callable[..., Answer]
) -> None:
    _, text = new_key(alice, ips=["192.0.2.0/24", "2001:db8::/32"])
    refused = get(key=text)
    assert (refused[0], code_of(refused)) == (403, "forbidden")
    assert get(key=text, X_Forwarded_For="192.0.2.7")[0] == 200
    assert get(key=text, X_Forwarded_For="::ffff:192.0.2.7")[0] == 200
    assert get(key=text, X_Forwarded_For="2001:db8::7")[0] == 200
    assert get(key=text, X_Forwarded_For="192.0.3.7")[0] == 403


def test_only_what_trusted_proxies_wrote_of_an_address_counts(
    alice: Actor, get: Callable[..., Answer]
) -> None:
    _, text = new_key(alice, ips=["192.0.2.0/24"])
    assert get(key=text, X_Forwarded_For="203.0.113.1, 192.0.2.7")[0] == 200
    assert get(key=text, X_Forwarded_For="192.0.2.7, 198.51.100.8")[0] == 200
    assert get(key=text, X_Forwarded_For="192.0.2.7, 203.0.113.1")[0] == 403
    assert get(key=text, X_Forwarded_For="192.0.2.7, nonsense")[0] == 403
    assert get(key=text, X_Forwarded_For="")[0] == 403
    assert get(key=text, X_Real_IP="192.0.2.7", Forwarded="for=192.0.2.7")[0] == 403


def test_without_a_trusted_proxy_nobody_writes_their_own_address(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> None:
    folder = tmp_path_factory.mktemp("unproxied")
    path = make_sqlite_template(folder / "turnpike.db")
    bare = Server(folder, f"sqlite:///{path}", config_for(upstream, 1))
    try:
        bare.start()
        with engine_in_use(bare.database_url):
            alice = make_actor(bare, upstream, space="s0")
            _, text = new_key(alice, ips=["192.0.2.0/24"])
        headers = {"Authorization": f"Bearer {text}", "X-Forwarded-For": "192.0.2.7"}
        assert bare.request("GET", "/v1/key", None, headers)[0] == 403
    finally:
        bare.stop()


def test_a_key_calls_only_the_models_of_its_list(alice: Actor) -> None:
    _, text = new_key(alice, models=["other/model"])
    body = {"model": alice.model, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"Authorization": f"Bearer {text}", "Content-Type": "application/json"}
    refused = alice.server.request("POST", "/v1/chat/completions", body, headers)
    assert (refused[0], code_of(refused)) == (403, "model_not_allowed")
    assert alice.asked() == []


def test_a_management_key_calls_no_model_and_an_expiring_key_only_until_then(
    alice: Actor, get: Callable[..., Answer]
) -> None:
    _, manages = new_key(alice, kind="management")
    body = {"model": alice.model, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"Authorization": f"Bearer {manages}", "Content-Type": "application/json"}
    refused = alice.server.request("POST", "/v1/chat/completions", body, headers)
    assert (refused[0], code_of(refused)) == (401, "wrong_credential")
    assert alice.asked() == []
    _, expiring = new_key(alice, expires_at=clock.now_ms() + 1500)
    assert get(key=expiring)[0] == 200
    wait_for(lambda: get(key=expiring)[0] == 401, 4)


def wait_for(is_so: Callable[[], bool], patience_s: float) -> None:
    give_up_at = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


# How often


def test_every_answer_tells_the_limit(alice: Actor, get: Callable[..., Answer]) -> None:
    server = alice.server
    answers = {
        200: get(key=alice.key),
        401: get(key="nonsense"),
        404: get("/v1/nothing", alice.key),
        405: server.request("DELETE", "/v1/key", None, alice.headers),
        400: server.request("POST", "/v1/chat/completions", b"{", alice.headers),
        403: get(key=new_key(alice, ips=["192.0.2.1"])[1]),
    }
    for status, (answered, headers, _) in answers.items():
        assert answered == status
        limit, remaining, reset_at_s = (int(headers[name]) for name in RATE_HEADERS)
        assert 0 <= remaining < limit
        assert 0 <= reset_at_s - time.time() <= 62
        assert headers["x-request-id"]


def test_the_limit_is_the_keys_own_else_the_default_and_zero_is_none(
    alice: Actor, get: Callable[..., Answer]
) -> None:
    for rpm, shown in ((None, "60"), (7, "7"), (1000, "1000"), (0, "1000000")):
        _, text = new_key(alice, rpm=rpm)
        assert get(key=text)[1]["x-ratelimit-limit"] == shown
    assert get()[1]["x-ratelimit-limit"] == str(STRANGERS_RPM)


def test_beyond_its_limit_a_key_is_asked_to_wait(alice: Actor, get: Callable[..., Answer]) -> None:
    key_id, text = new_key(alice, rpm=2)
    assert [get(key=text)[1]["x-ratelimit-remaining"] for _ in range(2)] == ["1", "0"]
    refused = get(key=text)
    assert (refused[0], code_of(refused)) == (429, "rate_limit_exceeded")
    assert 25 <= int(refused[1]["retry-after"]) <= 30
    assert refused[1]["x-ratelimit-remaining"] == "0"
    assert get(key=alice.key)[0] == 200
    with db.transaction() as session:
        keys.update(session, key_id, {"rpm": 0}, "usr_alice")
    wait_for(lambda: get(key=text)[0] == 200, 2)


def test_a_refused_call_reaches_no_provider(alice: Actor) -> None:
    _, text = new_key(alice, rpm=1)
    body = {"model": alice.model, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"Authorization": f"Bearer {text}", "Content-Type": "application/json"}
    statuses = [
        alice.server.request("POST", "/v1/chat/completions", body, headers)[0] for _ in range(3)
    ]
    assert statuses == [200, 429, 429]
    assert len(alice.asked()) == 1


def test_an_address_that_tries_keys_is_throttled_and_nobody_else(
    alice: Actor, get: Callable[..., Answer]
) -> None:
    assert get(key=alice.key)[0] == 200
    statuses = [get(key=key_text.mint("inference"))[0] for _ in range(STRANGERS_RPM + 50)]
    assert set(statuses) == {401, 429}
    assert statuses[:STRANGERS_RPM] == [401] * STRANGERS_RPM
    refused = get(key="nonsense")
    assert refused[0] == 429
    assert int(refused[1]["retry-after"]) >= 1
    assert get(key=alice.key)[0] == 200, "a key that was good before is good from there still"
    _, unfamiliar = new_key(alice)
    assert get(key=unfamiliar, X_Forwarded_For="203.0.113.99")[0] == 200


def test_an_ipv6_host_is_one_address_however_many_it_writes(get: Callable[..., Answer]) -> None:
    left = [
        int(get(key="nonsense", X_Forwarded_For=f"2001:db8:1:2::{n}")[1]["x-ratelimit-remaining"])
        for n in range(1, 4)
    ]
    assert left == [299, 298, 297]


# And how soon a change holds


def test_a_stopped_key_is_dead_within_two_seconds_under_load(
    alice: Actor, get: Callable[..., Answer]
) -> None:
    key_id, text = new_key(alice, rpm=0)
    let_in: list[float] = []
    is_over = threading.Event()

    def call() -> None:
        while not is_over.is_set():
            began_s = time.monotonic()
            if get(key=text)[0] == 200:
                let_in.append(began_s)

    load = [threading.Thread(target=call) for _ in range(4)]
    for thread in load:
        thread.start()
    wait_for(lambda: len(let_in) > 20, 10)
    stop(key_id)
    stopped_s = time.monotonic()
    time.sleep(2.5)
    is_over.set()
    for thread in load:
        thread.join(10)
    assert max(let_in) - stopped_s < 2
    assert get(key=text, X_Forwarded_For="203.0.113.98")[0] == 401
