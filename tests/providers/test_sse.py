"""Event streams, cut wherever a read may fall."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.sse import DONE, Event, EventSplitter, EventTooBigError, comment, event


def split(*reads: bytes, limit_bytes: int = 1_000) -> list[Event]:
    splitter = EventSplitter(limit_bytes)
    events = [each for read in reads for each in splitter.feed(read)]
    return events + splitter.finish()


def data(*values: bytes) -> list[Event]:
    return [Event("", value) for value in values]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (b'data: {"a":1}\n\n', data(b'{"a":1}')),
        (b"data: a\n\ndata: b\n\n", data(b"a", b"b")),
        (b"data:a\n\n", data(b"a")),
        (b"data:  a \n\n", data(b" a ")),
        (b"data: a: b\n\n", data(b"a: b")),
        (b"data\n\n", data(b"")),
        (b"data:\n\n", data(b"")),
        (b"data: a\ndata:\ndata: b\n\n", data(b"a\n\nb")),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", data(b"a", b"b")),
        (b"data: a\r\rdata: b\r\r", data(b"a", b"b")),
        (b"data: a\r\ndata: b\rdata: c\n\r\n", data(b"a\nb\nc")),
        (b"data: a\n\r\ndata: b\r\n\n", data(b"a", b"b")),
        (b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n", data(b"a", b"b")),
        (b"event: x\ndata: a\n\n", [Event("x", b"a")]),
        (b"data: a\nevent:x\n\ndata: b\n\n", [Event("x", b"a"), Event("", b"b")]),
        (b"event: x\n\ndata: a\n\n", data(b"a")),
        (b"event: \xc3\xa9\ndata: a\n\n", [Event("\u00e9", b"a")]),
        (b"event: \xff\ndata: a\n\n", [Event("\ufffd", b"a")]),
        (b"id: 1\nretry: 5\nother: x\nlone\ndata: a\n\n", data(b"a")),
        (b"Data: a\ndatax: b\n data: c\n\n", []),
        (b": hi\n\n:\n\ndata: a\n: x\n\n", data(b"a")),
        (b"\xef\xbb\xbfdata: a\n\n", data(b"a")),
        (b"data: \xef\xbb\xbfa\n\n\xef\xbb\xbfdata: b\n\n", data(b"\xef\xbb\xbfa")),
        (b"\xef\xbbdata: a\n\ndata: b\n\n", data(b"b")),
        (b"data: \xe2\x80\xa8\n\n", data(b"\xe2\x80\xa8")),
        (b"data: a\n\ndata: [DONE]\n\n", data(b"a", b"[DONE]")),
    ],
)
def test_a_stream_is_the_same_events_wherever_it_is_cut(stream: bytes, events: list[Event]) -> None:
    assert split(stream) == events
    assert split(*[stream[at : at + 1] for at in range(len(stream))]) == events
    for at in range(len(stream) + 1):
        assert split(stream[:at], b"", stream[at:]) == events


@given(
    st.lists(st.sampled_from([b"data: a", b"data:", b"event: e", b":", b"id: 1", b"", b"x"])),
    st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=1),
    st.lists(st.integers(1, 9), min_size=1),
)
def test_line_ends_and_cuts_change_nothing(
    lines: list[bytes], ends: list[bytes], sizes: list[int]
) -> None:
    plain = b"".join(line + b"\n" for line in lines)
    # A CR before an LF would be one line end: after a CR, an empty line ends with a CR as well.
    mixed = b""
    for number, line in enumerate(lines):
        end = ends[number % len(ends)]
        mixed += line + (b"\r" if not line and mixed.endswith(b"\r") else end)
    reads = []
    turn = 0
    while mixed:
        size = sizes[turn % len(sizes)]
        reads.append(mixed[:size])
        mixed = mixed[size:]
        turn += 1
    assert split(*reads) == split(plain)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_last_event_without_its_blank_line_counts_when_its_line_is_whole(end: bytes) -> None:
    assert split(b"data: a\n\ndata: b" + end) == data(b"a", b"b")
    assert split(b"event: e" + end + b"data: b" + end) == [Event("e", b"b")]
    assert split(b"data: a\n\ndata: b") == data(b"a")
    assert split(b"data: a\n\ndata: b" + end + b"da") == data(b"a")
    assert split(b"data: a\n\n: b" + end) == data(b"a")


def test_finishing_twice_gives_nothing_twice() -> None:
    splitter = EventSplitter()
    splitter.feed(b"data: a\n")
    assert splitter.finish() == data(b"a")
    assert splitter.finish() == []


def test_comments_are_counted_and_not_shown() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b": ping\n\n") == []
    assert splitter.feed(b": ping\n: pong\r\n\r\ndata: :a\n\n") == data(b":a")
    assert splitter.comments == 3


@pytest.mark.parametrize("prefix", [b"", b"data: x\n\n", b"x"])
def test_an_event_beyond_the_limit_ends_the_stream(prefix: bytes) -> None:
    fits = b"data: " + b"a" * 90 + b"\n\n"
    assert split(fits, fits, limit_bytes=100)[0].data == b"a" * 90
    for reads in (
        [prefix, b"data: " + b"a" * 100 + b"\n\n"],
        [prefix + b"data: " + b"a" * 100],
        [prefix, *[b"data: a\n"] * 20],
        [prefix + b"data: b\n\ndata: " + b"a" * 100 + b"\n\n"],
        [prefix, *[b"a"] * 200],
    ):
        with pytest.raises(EventTooBigError):
            split(*reads, limit_bytes=100)


def test_an_event_that_comes_in_small_pieces_is_put_together() -> None:
    splitter = EventSplitter()
    for _ in range(20_000):
        assert splitter.feed(b"data: 0123456789\n") == []
    [whole] = splitter.feed(b"\n")
    assert len(whole.data) == 20_000 * 11 - 1


def test_events_are_written_as_they_are_read() -> None:
    assert event(b'{"a":1}') == b'data: {"a":1}\n\n'
    assert event(b"a", "delta") == b"event: delta\ndata: a\n\n"
    assert event(b"") == b"data: \n\n"
    assert split(DONE) == data(b"[DONE]")
    assert split(comment("still here"), event(b"a")) == data(b"a")
    assert split(event(b"a\nb\r\nc\rd\n", "x")) == [Event("x", b"a\nb\nc\nd\n")]


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "\n"])
def test_what_would_break_out_of_its_line_is_not_written(text: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        event(b"a", text)
    with pytest.raises(ValueError, match="one line"):
        comment(text)
