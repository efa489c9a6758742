"""Pictures that are changed, on the live server: a form in, an object out."""

import base64
import json

import pytest
from openai import OpenAI

from tests.live import Actor
from tests.sounds import FORM, File, form
from tests.v1.raw import forget_peak, memory_mb, worker_pid

pytestmark = [pytest.mark.live]

MB = 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n and so on"
PICTURE = base64.b64encode(PNG).decode()
EDITS, VARIATIONS = "/v1/images/edits", "/v1/images/variations"


def ask(
    alice: Actor, path: str = EDITS, files: list[File] | None = None, **fields: str
) -> tuple[int, dict[str, str], bytes]:
    texts = {"model": f"{alice.space}/image", "prompt": "a bridge", **fields}
    pictures = [("image", "a.png", PNG)] if files is None else files
    payload = form([(name, text) for name, text in texts.items() if text], pictures)
    return alice.server.request("POST", path, payload, {**alice.headers, **FORM})


def test_the_sdk_changes_and_varies_a_picture_in_the_sandbox(alice: Actor) -> None:
    sdk = OpenAI(base_url=f"{alice.server.base_url}/v1", api_key=alice.key, max_retries=0)
    edited = sdk.images.edit(
        model="sandbox/image",
        image=[("a.png", PNG, "image/png"), ("b.png", PNG, "image/png")],
        mask=("m.png", PNG, "image/png"),
        prompt="a bridge",
        n=2,
        size="1024x1024",
    )
    assert edited.data is not None
    assert len(edited.data) == 2
    with pytest.warns(DeprecationWarning, match="deprecated"):
        varied = sdk.images.create_variation(
            model="sandbox/image", image=("a.png", PNG, "image/png"), response_format="b64_json"
        )
    assert varied.data is not None
    assert base64.b64decode(varied.data[0].b64_json or "").startswith(b"\x89PNG")


@pytest.mark.parametrize("path", [EDITS, VARIATIONS])
def test_they_are_charged_like_generations(alice: Actor, path: str) -> None:
    data = [{"b64_json": PICTURE}, {"b64_json": ""}]
    alice.provider_will(body={"created": 1, "data": data})
    status, headers, got = ask(alice, path, n="2", size="1024x1024", quality="high", stream="false")
    assert status == 200
    assert json.loads(got)["usage"]["cost"] == 0.17
    row = alice.generation(headers["x-generation-id"])
    assert (row["amount_nusd"], row["hold_nusd"]) == (170_000_000, 340_000_000)


def test_the_last_of_a_repeated_field_counts_for_price_and_provider(alice: Actor) -> None:
    alice.provider_will(body={"created": 1, "data": [{"b64_json": PICTURE}]})
    texts = [("model", f"{alice.space}/image"), ("prompt", "x"), ("n", "9"), ("n", "1")]
    payload = form(texts, [("image[]", "a.png", PNG)])
    _, headers, _ = alice.server.request("POST", EDITS, payload, {**alice.headers, **FORM})
    assert alice.generation(headers["x-generation-id"])["hold_nusd"] == 170_000_000
    (asked,) = alice.asked()
    assert asked["body"].count('name="n"\r\n\r\n1\r\n') == 1
    assert 'name="n"\r\n\r\n9' not in asked["body"]
    assert 'name="image[]"; filename="a.png"' in asked["body"]
    assert "\r\n\r\nfake-image\r\n" in asked["body"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"n": "11"}, "n"),
        ({"n": "two"}, "n"),
        ({"n": "0"}, "n"),
        ({"stream": "true"}, "stream"),
        ({"model": ""}, "model"),
    ],
)
def test_what_cant_be_done_is_refused(alice: Actor, fields: dict[str, str], param: str) -> None:
    status, _, got = ask(alice, EDITS, None, **fields)
    assert status == 400
    assert json.loads(got)["error"]["param"] == param
    assert alice.asked() == []


@pytest.mark.parametrize(
    "files",
    [
        [],
        [("mask", "m.png", PNG)],
        [("image", "a.png", b"")],
        [("image[]", "a.png", PNG)] * 17,
        [("image", "a.png", PNG), ("other", "b.png", PNG)],
    ],
)
def test_pictures_that_are_missing_or_too_many_are_refused(alice: Actor, files: list[File]) -> None:
    assert ask(alice, files=files)[0] == 400
    assert alice.asked() == []


def test_a_picture_of_20_mb_costs_less_than_twice_its_memory(alice: Actor) -> None:
    answer = {"created": 1, "data": [{"b64_json": PICTURE}]}
    alice.upstream.script(alice.space, default={"body": answer}, is_recorded=False)
    pid = worker_pid(alice.server)
    forget_peak(pid)
    before_mb = memory_mb(pid)
    assert ask(alice, files=[("image", "a.png", PNG.ljust(20 * MB))])[0] == 200
    assert memory_mb(pid, "VmHWM") - before_mb < 40


def test_a_larger_picture_and_a_larger_sum_are_refused(alice: Actor) -> None:
    larger = [("image", "a.png", bytes(20 * MB + 1))]
    assert ask(alice, files=larger)[0] == 413
    sums = [("image[]", "a.png", bytes(16 * MB)), ("image[]", "b.png", bytes(16 * MB))]
    assert ask(alice, files=sums)[0] == 413
    assert alice.asked() == []
