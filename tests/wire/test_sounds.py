"""How long a file is taken to be."""

import struct

from tests.sounds import wav
from wire.sounds import HEAD_BYTES, longest_ms


def test_a_wav_is_as_long_as_its_samples() -> None:
    sound = wav(2.5)
    assert longest_ms(sound[:HEAD_BYTES], len(sound)) == 2500


def test_a_head_that_claims_less_than_there_is_shortens_nothing() -> None:
    sound = bytearray(wav(10))
    struct.pack_into("<I", sound, sound.index(b"data") + 4, 16)
    assert longest_ms(bytes(sound[:HEAD_BYTES]), len(sound)) == 10_000


def test_a_head_that_claims_an_impossible_rate_isnt_believed() -> None:
    sound = bytearray(wav(10))
    struct.pack_into("<I", sound, 24, 2**32 - 1)
    assert longest_ms(bytes(sound[:HEAD_BYTES]), len(sound)) == -(-len(sound) * 1000 // 750)


def test_anything_else_is_bounded_by_its_size() -> None:
    for head in (b"", b"ID3", b"RIFF", b"RIFF\0\0\0\0WAVEfmt ", b"\xff\xfb\x90\x64"):
        assert longest_ms(head, 7500) == 10_000
