"""Two thousand bodies that nobody would write by hand: never a 500, a hang or a hold left open."""

import copy
import http.client
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import db
from models import Wallet
from tests.live import Actor
from tests.v1.raw import wait_until, worker_pid

pytestmark = [pytest.mark.live]

SEED = 20_261_121
BODIES = 2_000
THREADS = 4
SLOWEST_S = 5.0
PATH = "/v1/chat/completions"

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2, 128, 1.5, -0.0, 1e308, 5e-324, 2**31, 2**53, 2**63 - 1,
    -(2**63), "", " ", "a", "\x00", "\u2028", "\U0001f600", "a\r\nX-Forged: 1", "x" * 300, "auto",
    "none", [], {}, [[]], [{}], [None], {"": None}, {"type": []}, {"type": "text"}, {"type": None},
    ["text"], {"type": "function", "function": {"name": "f"}}, {"a": {"b": {"c": []}}},
]  # fmt: skip
FIELDS = [
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n",
    "temperature", "top_p", "stop", "tools", "tool_choice", "functions", "function_call",
    "logprobs", "top_logprobs", "logit_bias", "seed", "user", "metadata", "response_format",
    "modalities", "audio", "prediction", "reasoning", "reasoning_effort", "verbosity", "store",
    "service_tier", "parallel_tool_calls", "web_search_options", "session_id", "models",
    "provider", "budget", "aicraft_budget", "usage", "background", "plugins", "transforms",
    "route", "unknown", "presence_penalty", "frequency_penalty", "prompt_cache_key",
    "safety_identifier", "api_base", "",
]  # fmt: skip


def rich_body(model: str) -> dict[str, Any]:
    """A body with something of everything, to be spoiled."""
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "what is this"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": "42"},
            {"role": "user", "content": "go on"},
        ],
        "max_tokens": 20,
        "temperature": 0.5,
        "stop": ["x"],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "response_format": {"type": "text"},
        "metadata": {"a": "b"},
        "stream_options": {"include_usage": True},
    }


def places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every (container, key) of a body."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        found.append((value, key))
        if isinstance(inner, dict | list):
            places(inner, found)
    return found


def spoiled(chance: random.Random, model: str) -> bytes:
    """A body with a few places changed, and now and then a few bytes."""
    body = rich_body(model)
    if chance.random() < 0.3:
        body["stream"] = True
    for _ in range(chance.randrange(1, 4)):
        container, key = chance.choice(places(body, []))
        what = chance.random()
        if what < 0.5:
            container[key] = copy.deepcopy(chance.choice(ODD))
        elif what < 0.65:
            container.pop(key)
        elif isinstance(container, list) and what < 0.75:
            container.append(copy.deepcopy(container[key]))
        else:
            body[chance.choice(FIELDS)] = copy.deepcopy(chance.choice(ODD))
    raw = json.dumps(body, ensure_ascii=chance.random() < 0.5).encode()
    if chance.random() < 0.35:
        raw = bytes_spoiled(chance, raw)
    return raw


def bytes_spoiled(chance: random.Random, raw: bytes) -> bytes:
    cut = bytearray(raw)
    for _ in range(chance.randrange(1, 6)):
        if not cut:
            break
        at = chance.randrange(len(cut))
        what = chance.random()
        if what < 0.4:
            cut[at] = chance.randrange(256)
        elif what < 0.6:
            del cut[at : at + chance.randrange(1, 20)]
        elif what < 0.8:
            cut[at:at] = chance.choice(
                [b"{", b"[", b'"', b"\\u", b"\x00", b"\xff", b"1e999", b"NaN"]
            )
        else:
            del cut[at:]
    return bytes(cut)


def work(actor: Actor, bodies: list[bytes], seen: Counter[int], faults: list[str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", actor.server.port, timeout=20)
    for body in bodies:
        began = time.monotonic()
        try:
            connection.request("POST", PATH, body, actor.headers)
            response = connection.getresponse()
            told = response.read()
        except (OSError, http.client.HTTPException) as error:
            faults.append(f"{error!r}: {body[:2000]!r}")
            connection.close()
            continue
        seen[response.status] += 1
        took_s = time.monotonic() - began
        is_json = response.headers["Content-Type"].startswith(("application/json", "text/event"))
        forged = "x-forged" in {name.lower() for name in response.headers}
        if response.status >= 500 or took_s > SLOWEST_S or forged or not is_json:
            faults.append(f"{response.status} in {took_s:.1f} s: {body[:2000]!r} -> {told[:300]!r}")
    connection.close()


def held_nusd(actor: Actor) -> int:
    with db.reading() as session:
        wallet = session.get(Wallet, actor.workspace_id)
        assert wallet is not None
        return int(wallet.held_nusd)


@pytest.mark.timeout(100)
def test_no_body_makes_a_500_a_hang_or_a_hold_that_stays(new_actor: Callable[..., Actor]) -> None:
    seed = int(os.environ.get("FUZZ_SEED", SEED))
    chance = random.Random(seed)  # noqa: S311 - the same bodies every time
    actor = new_actor(balance_nusd=500_000_000_000)
    actor.upstream.script(actor.space, default={"tool_calls": [{"name": "f"}]}, is_recorded=False)
    pid = worker_pid(actor.server)
    bodies = [spoiled(chance, actor.model) for _ in range(int(os.environ.get("FUZZ", BODIES)))]
    seen: Counter[int] = Counter()
    faults: list[str] = []
    threads = [
        threading.Thread(target=work, args=(actor, bodies[number::THREADS], seen, faults))
        for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == [], f"seed {seed}: {len(faults)} faults\n" + "\n".join(faults[:5])
    assert set(seen) <= {200, 400, 404}
    assert seen[200] > len(bodies) / 10
    assert seen[400] > len(bodies) / 10
    wait_until(lambda: held_nusd(actor) == 0)
    assert worker_pid(actor.server) == pid
    assert actor.chat("still there")[0] == 200
