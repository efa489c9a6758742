import json
import time
import tracemalloc
from typing import Any

from wire.chat_stream import ChatStream


def stream() -> ChatStream:
    return ChatStream("gen-1", "openai/gpt-4o", wants_usage=False, created=5)


def chunk(**delta: Any) -> bytes:
    told = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_741_570_283,
        "model": "gpt-4o-2024-08-06",
        "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
        "usage": None,
    }
    return json.dumps(told).encode()


def test_the_estimate_runs_ahead_of_events_and_bytes() -> None:
    reader = stream()
    for _ in range(10):
        reader.feed(chunk(content="a"))
    assert reader.output_estimate == 10
    reader.feed(chunk(content="x" * 290))
    assert reader.output_estimate == 100
    reader.feed(chunk(audio={"data": "A" * 2_500}))
    assert reader.output_estimate == 100 + 3


def test_text_is_kept_up_to_two_mebibytes_and_counted_beyond() -> None:
    reader = stream()
    data = chunk(content="x" * 1_000_000)
    for _ in range(5):
        reader.feed(data)
    assert [len(text) for text in reader.delivered_texts()] == [2_000_000]
    assert reader.delivered_bytes == 5_000_000
    assert reader.output_count(lambda _: 7) == 1_000_007


def test_a_long_stream_of_short_pieces_takes_little_memory() -> None:
    reader = stream()
    data = chunk(content=" word")
    tracemalloc.start()
    for _ in range(5_000):
        reader.feed(data)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 60_000


def test_a_chunk_costs_a_few_microseconds() -> None:
    reader, data = stream(), chunk(content=" token")
    began = time.process_time()
    for _ in range(10_000):
        reader.feed(data)
    assert time.process_time() - began < 0.3
