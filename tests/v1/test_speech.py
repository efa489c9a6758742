"""Speech on the live server: raw sound, as it comes."""

import base64
import http.client
import json

import pytest
from openai import OpenAI

import clock
import db
from models import InsuranceDay
from tests.live import Actor

pytestmark = [pytest.mark.live]

SOUND = b"\xff\xfb\x90\x64 and so on" * 8
TEXT = "Hello there, how are you?"


def speech(alice: Actor, **fields: object) -> tuple[int, dict[str, str], bytes]:
    body = {"model": f"{alice.space}/speech", "input": TEXT, "voice": "alloy", **fields}
    return alice.server.request("POST", "/v1/audio/speech", body, alice.headers)


def ask(alice: Actor) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Ask for speech, and come back with the head of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", alice.server.port, timeout=10)
    body = json.dumps({"model": f"{alice.space}/speech", "input": TEXT, "voice": "alloy"})
    connection.request("POST", "/v1/audio/speech", body, alice.headers)
    return connection, connection.getresponse()


def sound(**behavior: object) -> dict[str, object]:
    """A provider that sends SOUND in chunks."""
    return {
        "body_base64": base64.b64encode(SOUND).decode(),
        "headers": {"content-type": "audio/mpeg"},
        "framing": "chunked",
        "split_bytes": 16,
        **behavior,
    }


@pytest.mark.parametrize(
    ("wanted", "kind"), [("mp3", "audio/mpeg"), ("wav", "audio/wav"), ("pcm", "audio/pcm")]
)
def test_the_sdk_streams_a_sound_from_the_sandbox(alice: Actor, wanted: str, kind: str) -> None:
    sdk = OpenAI(base_url=f"{alice.server.base_url}/v1", api_key=alice.key, max_retries=0)
    with sdk.audio.speech.with_streaming_response.create(
        model="sandbox/speech",
        voice="alloy",
        input=TEXT,
        response_format=wanted,  # type: ignore[arg-type]
    ) as answer:
        assert answer.headers["content-type"] == kind
        assert len(b"".join(answer.iter_bytes())) > 1000


def test_a_sound_comes_as_the_provider_sent_it_and_is_charged_by_characters(alice: Actor) -> None:
    alice.provider_will(**sound(headers={"content-type": "audio/mpeg; rate=24000"}))
    status, headers, got = speech(alice, response_format="mp3", speed=1.5)
    assert (status, got) == (200, SOUND)
    assert headers["content-type"] == "audio/mpeg; rate=24000"
    row = alice.generation(headers["x-generation-id"])
    assert row["amount_nusd"] == row["hold_nusd"] == len(TEXT) * 15_000
    (asked,) = alice.asked()
    sent = json.loads(asked["body"])
    assert sent == {
        "model": "fake-speech",
        "input": TEXT,
        "voice": "alloy",
        "response_format": "mp3",
        "speed": 1.5,
    }
    assert asked["headers"]["accept"] == "*/*"


def test_the_first_bytes_are_out_before_the_last_have_come(alice: Actor) -> None:
    alice.provider_will(**sound(hold_before=2))
    connection, answer = ask(alice)
    assert answer.read(16) == SOUND[:16]
    assert alice.upstream.release(alice.space) == 1
    assert answer.read() == SOUND[16:]
    connection.close()


def test_a_model_that_is_sold_by_tokens_is_charged_within_its_bound(alice: Actor) -> None:
    second = base64.b64encode(bytes(48_000)).decode()
    alice.provider_will(**sound(body_base64=second, split_bytes=0))
    _, headers, _ = speech(alice, model=f"{alice.space}/voice", response_format="pcm")
    row = alice.generation(headers["x-generation-id"])
    assert row["amount_nusd"] == 20 * 12_000 + row["tokens_prompt"] * 600
    assert 0 < row["tokens_prompt"] <= len(TEXT)
    assert row["hold_nusd"] > row["amount_nusd"]


@pytest.mark.parametrize("fault", [{"cut_after": 3}, {"rst_after": 3}])
def test_a_provider_that_dies_midway_cuts_the_connection_and_is_insured(
    alice: Actor, fault: dict[str, int]
) -> None:
    alice.provider_will(**sound(**fault))
    connection, answer = ask(alice)
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        answer.read()
    connection.close()
    row = alice.generation(answer.headers["x-generation-id"])
    assert (row["amount_nusd"], row["rule"]) == (0, "j")


def test_beyond_the_days_insurance_a_broken_sound_is_paid(alice: Actor) -> None:
    with db.transaction() as session:
        day = clock.now().date().isoformat()
        session.add(InsuranceDay(workspace_id=alice.workspace_id, day=day, used_nusd=10**12))
    alice.provider_will(**sound(cut_after=3))
    connection, answer = ask(alice)
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    connection.close()
    row = alice.generation(answer.headers["x-generation-id"])
    assert (row["amount_nusd"], row["rule"]) == (len(TEXT) * 15_000, "j")


def test_a_client_that_leaves_midway_pays_and_the_provider_is_left(alice: Actor) -> None:
    alice.provider_will(**sound(hold_before=2))
    connection, answer = ask(alice)
    assert answer.read(16) == SOUND[:16]
    answer.close()
    connection.close()
    alice.upstream.wait_for(alice.space, lambda asked: asked[0]["aborted_at"] is not None)
    row = alice.generation(answer.headers["x-generation-id"])
    assert (row["amount_nusd"], row["rule"]) == (len(TEXT) * 15_000, "i")


@pytest.mark.parametrize(
    "behavior",
    [
        {"body": "<html>hello</html>", "headers": {"content-type": "text/html"}},
        {"body": {"error": {"message": "no"}}},
        {"body": "", "headers": {"content-type": "audio/mpeg"}},
        {"status": 500},
    ],
)
def test_what_is_no_sound_is_an_error_and_free(alice: Actor, behavior: dict[str, object]) -> None:
    alice.provider_will(**behavior)
    status, headers, got = speech(alice)
    assert (status, headers["content-type"]) == (502, "application/json")
    assert json.loads(got)["error"]["code"] == "upstream_error"
    assert alice.credits()["total_usage"] == 0


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": ["a"]}, "input"),
        ({"stream_format": "sse"}, "stream_format"),
        ({"speed": 9}, "speed"),
        ({"response_format": 1}, "response_format"),
        ({"api_base": "http://x"}, "api_base"),
    ],
)
def test_what_cant_be_spoken_is_refused(
    alice: Actor, fields: dict[str, object], param: str
) -> None:
    status, _, got = speech(alice, **fields)
    assert status == 400
    assert json.loads(got)["error"]["param"] == param
    assert alice.asked() == []


def test_a_chat_model_cant_speak(alice: Actor) -> None:
    status, _, got = speech(alice, model=alice.model)
    assert status == 400
    assert json.loads(got)["error"]["code"] == "unsupported_by_model"
