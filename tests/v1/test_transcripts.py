"""Transcripts on the live server: a form in, whatever its file; a text out, in whatever format."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from tests.live import Actor
from tests.sounds import BOUNDARY, FORM, form, wav
from tests.v1.raw import Told, exchange, forget_peak, head, memory_mb, worker_pid

pytestmark = [pytest.mark.live]

PATH = "/v1/audio/transcriptions"
MB = 1024 * 1024
MINUTE_NUSD = 6_000_000


def send(alice: Actor, payload: bytes, path: str = PATH) -> tuple[int, dict[str, str], bytes]:
    return alice.server.request("POST", path, payload, {**alice.headers, **FORM})


def ask(
    alice: Actor, sound: bytes, *, path: str = PATH, filename: str = "a.wav", **fields: str
) -> tuple[int, dict[str, str], bytes]:
    texts = {"model": f"{alice.space}/transcribe", **fields}
    return send(alice, form(list(texts.items()), [("file", filename, sound)]), path)


def code(raw: bytes) -> tuple[str, str | None]:
    error: dict[str, Any] = json.loads(raw)["error"]
    return error["code"], error["param"]


@pytest.mark.parametrize("wanted", ["json", "text", "srt", "verbose_json", "vtt"])
def test_the_sdk_gets_every_format_from_the_sandbox(alice: Actor, wanted: str) -> None:
    sdk = OpenAI(base_url=f"{alice.server.base_url}/v1", api_key=alice.key, max_retries=0)
    heard = sdk.audio.transcriptions.create(
        model="sandbox/transcribe",
        file=("a.wav", wav(2.5)),
        response_format=wanted,  # type: ignore[call-overload]
    )
    assert "transcript of Turnpike's sandbox" in (heard if isinstance(heard, str) else heard.text)


def test_a_translation_goes_to_its_own_path(alice: Actor) -> None:
    alice.provider_will(body={"text": "hi", "duration": 3})
    status, _, got = ask(alice, wav(3), path="/api/v1/audio/translations")
    assert (status, json.loads(got)["text"]) == (200, "hi")
    (asked,) = alice.asked()
    assert asked["path"].endswith("/v1/audio/translations")


def test_a_minute_is_charged_as_the_provider_counts_it(alice: Actor) -> None:
    alice.provider_will(body={"text": "hi", "usage": {"type": "duration", "seconds": 20}})
    status, headers, got = ask(alice, wav(30.2), language="en")
    assert status == 200
    told = json.loads(got)
    assert told["usage"] == {"type": "duration", "seconds": 20, "cost": 0.002}
    row = alice.generation(headers["x-generation-id"])
    assert row["amount_nusd"] == MINUTE_NUSD // 3
    assert row["hold_nusd"] == 31 * MINUTE_NUSD // 60


def test_without_a_duration_the_files_own_is_charged(alice: Actor) -> None:
    alice.provider_will(body="1\n00:00:00,000 --> 00:00:01,000\nhi\n")
    status, headers, got = ask(alice, wav(30), response_format="srt")
    assert (status, got) == (200, b"1\n00:00:00,000 --> 00:00:01,000\nhi\n")
    assert headers["content-type"] == "text/plain; charset=utf-8"
    row = alice.generation(headers["x-generation-id"])
    assert (row["amount_nusd"], row["rule"]) == (MINUTE_NUSD // 2, "c")


def test_an_absurd_duration_is_not_believed(alice: Actor) -> None:
    alice.provider_will(body={"text": "hi", "usage": {"type": "duration", "seconds": 10**9}})
    _, headers, _ = ask(alice, wav(30))
    row = alice.generation(headers["x-generation-id"])
    assert (row["amount_nusd"], row["rule"]) == (MINUTE_NUSD // 2, "d")


def test_another_container_is_held_by_its_size_and_settled_by_the_duration(alice: Actor) -> None:
    alice.provider_will(body={"text": "hi", "duration": 12.0})
    _, headers, _ = ask(alice, b"ID3" + bytes(44_997), filename="a.mp3")
    row = alice.generation(headers["x-generation-id"])
    assert row["hold_nusd"] == MINUTE_NUSD
    assert row["amount_nusd"] == MINUTE_NUSD // 5


def test_tokens_are_read_into_their_buckets(alice: Actor) -> None:
    usage = {
        "type": "tokens",
        "input_tokens": 14,
        "output_tokens": 45,
        "total_tokens": 59,
        "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
    }
    alice.provider_will(body={"text": "hi", "usage": usage})
    _, headers, got = ask(alice, wav(3), model=f"{alice.space}/hear")
    assert json.loads(got)["usage"]["total_tokens"] == 59
    row = alice.generation(headers["x-generation-id"])
    assert row["amount_nusd"] == 4 * 2_500 + 10 * 6_000 + 45 * 10_000


def test_a_model_that_is_sold_by_tokens_isnt_free_when_only_seconds_are_told(alice: Actor) -> None:
    alice.provider_will(body={"text": "hi", "usage": {"type": "duration", "seconds": 3}})
    _, headers, _ = ask(alice, wav(3), model=f"{alice.space}/hear")
    row = alice.generation(headers["x-generation-id"])
    assert row["amount_nusd"] >= 30 * 6_000
    assert row["amount_nusd"] <= row["hold_nusd"]


def test_the_form_goes_on_with_the_models_own_name_and_nothing_of_ours(alice: Actor) -> None:
    alice.provider_will(body={"text": "hi"})
    texts = [
        ("model", "another"),
        ("model", f"{alice.space}/transcribe"),
        ("provider", "{}"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("prompt", "Müller\r\nMeier"),
    ]
    status, _, _ = send(alice, form(texts, [("file", "a.wav", b"RIFF--x\r\n--\r")]))
    assert status == 200
    (asked,) = alice.asked()
    boundary = asked["headers"]["content-type"].partition("boundary=")[2]
    assert boundary not in ("", BOUNDARY)
    parts = asked["body"].split(f"--{boundary}")
    assert parts[-1] == "--\r\n"
    assert [part.partition("\r\n\r\n")[2].removesuffix("\r\n") for part in parts[1:-1]] == [
        "fake-transcribe",
        "word",
        "segment",
        "Müller\r\nMeier",
        "RIFF--x\r\n--\r",
    ]
    assert asked["headers"]["accept"] == "*/*"


@pytest.mark.parametrize(
    "filename",
    ["../../etc/passwd.wav", "C:\\x\\passwd.wav", "a" * 4096 + "passwd.wav", "..\u202epasswd.wav"],
)
def test_a_files_name_is_never_a_path(alice: Actor, filename: str) -> None:
    alice.provider_will(body={"text": "hi"})
    assert ask(alice, wav(1), filename=filename)[0] == 200
    (asked,) = alice.asked()
    name = asked["body"].partition('filename="')[2].partition('"')[0]
    assert name.endswith("passwd.wav")
    assert len(name) <= 100
    assert not set(name) & set("/\\\u202e")


def test_a_file_of_exactly_the_limit_is_heard_in_less_than_twice_its_memory(alice: Actor) -> None:
    alice.upstream.script(alice.space, default={"body": {"text": "hi"}}, is_recorded=False)
    payload = form(
        [("model", f"{alice.space}/transcribe")], [("file", "a.wav", wav(1).ljust(25 * MB, b"\r"))]
    )
    pid = worker_pid(alice.server)
    for _ in range(3):
        forget_peak(pid)
        before_mb = memory_mb(pid)
        assert send(alice, payload)[0] == 200
        assert memory_mb(pid, "VmHWM") - before_mb < 50


def test_the_sandbox_takes_a_large_file_in_little_memory(alice: Actor) -> None:
    payload = form([("model", "sandbox/transcribe")], [("file", "a.wav", wav(1500))])
    pid = worker_pid(alice.server)
    forget_peak(pid)
    before_mb = memory_mb(pid)
    status, _, got = send(alice, payload)
    assert (status, json.loads(got)["usage"]["seconds"]) == (200, 1500)
    assert memory_mb(pid, "VmHWM") - before_mb < 2 * len(payload) / MB


def test_a_byte_more_is_refused_and_nobody_is_asked(alice: Actor) -> None:
    status, _, got = ask(alice, bytes(25 * MB + 1))
    assert (status, code(got)[0]) == (413, "payload_too_large")
    assert alice.asked() == []


def test_a_told_length_beyond_the_limit_is_refused_before_the_form_comes(alice: Actor) -> None:
    lines = (f"Content-Type: {FORM['Content-Type']}", "Content-Length: 1000000000")
    told = Told(exchange(alice.server, [(head(alice, *lines, path=PATH) + "\r\n").encode()]))
    assert (told.status, told.error["code"]) == (413, "payload_too_large")


def test_an_endless_file_in_chunks_is_cut_in_bounded_memory(alice: Actor) -> None:
    def endless() -> Iterator[bytes]:
        lines = (f"Content-Type: {FORM['Content-Type']}", "Transfer-Encoding: chunked")
        yield (head(alice, *lines, path=PATH) + "\r\n").encode()
        start = form([], [("file", "a.wav", b"")]).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        yield b"%x\r\n%b\r\n" % (len(start), start)
        piece = b"%x\r\n%b\r\n" % (65536, bytes(65536))
        for _ in range(1600):
            yield piece

    pid = worker_pid(alice.server)
    forget_peak(pid)
    before_mb = memory_mb(pid)
    told = Told(exchange(alice.server, endless()))
    assert (told.status, told.error["code"]) == (413, "payload_too_large")
    assert memory_mb(pid, "VmHWM") - before_mb < 50


START = f"--{BOUNDARY}\r\n"
NAMED = f'{START}Content-Disposition: form-data; name="a"'


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"x" * MB,
        f"{NAMED}\r\n\r\n1\r\n".encode() * 100_000,
        f"{NAMED}; filename=".encode() + b"x" * MB + b"\r\n\r\n",
        (START + "X: y\r\n" * 200_000).encode(),
        f"{NAMED}\r\n\r\nno end".encode(),
        f"{START}X: y\r\n\r\nno name\r\n--{BOUNDARY}--\r\n".encode(),
        f"{START}Content-Disposition: form-data\r\n\r\nno name\r\n--{BOUNDARY}--\r\n".encode(),
        f'{NAMED}; filename="a"\r\n\r\n'.encode() + b"\r" * 5 * MB,
        f'{NAMED}; filename="a"\r\n\r\n'.encode() + b"\r\n--" * MB,
        f"{NAMED}\r\n\r\n\xff\r\n--{BOUNDARY}--\r\n".encode("latin-1"),
        f"--{BOUNDARY}--\r\n".encode(),
    ],
    ids=range(12),
)
def test_a_form_that_means_harm_is_refused_at_once(alice: Actor, payload: bytes) -> None:
    pid = worker_pid(alice.server)
    before_s, started_s = cpu_s(pid), time.monotonic()
    status, _, got = send(alice, payload)
    assert status in (400, 413), got
    assert cpu_s(pid) - before_s < 1
    assert time.monotonic() - started_s < 10
    assert alice.asked() == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream": "true"}, "stream"),
        ({"response_format": "mp3"}, "response_format"),
        ({"model": ""}, "model"),
        ({"base_url": "http://x"}, "base_url"),
    ],
)
def test_what_cant_be_done_is_refused(alice: Actor, fields: dict[str, str], param: str) -> None:
    status, _, got = ask(alice, wav(1), **fields)
    assert (status, code(got)) == (400, ("invalid_parameter", param))


def test_a_form_without_its_file_is_refused(alice: Actor) -> None:
    texts = [("model", f"{alice.space}/transcribe")]
    for files in ([], [("file", "a.wav", b"")], [("file", "a", b"1"), ("file", "b", b"2")]):
        status, _, got = send(alice, form(texts, files))
        assert (status, code(got)) == (400, ("invalid_parameter", "file"))


def test_what_is_no_form_is_refused(alice: Actor) -> None:
    status, _, got = alice.server.request("POST", PATH, b"{}", alice.headers)
    assert (status, code(got)[0]) == (415, "unsupported_media_type")
    broken = {**alice.headers, "Content-Type": "multipart/form-data"}
    assert alice.server.request("POST", PATH, b"{}", broken)[0] == 400


@pytest.mark.parametrize(
    "behavior",
    [{"status": 500}, {"body": "<html>"}, {"body": {"error": {"message": "no"}}}, {"body": {}}],
)
def test_what_is_no_transcript_is_free(alice: Actor, behavior: dict[str, object]) -> None:
    alice.provider_will(**behavior)
    assert ask(alice, wav(30))[0] == 502
    assert alice.credits()["total_usage"] == 0


def cpu_s(pid: int) -> float:
    """What a process has computed."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
