"""How long a sound file lasts, by its own head; its data is never looked at."""

import io
import wave

DENSEST_BYTES_PER_S = 750
"""Below what any sound that a transcriber hears is compressed to: no file is longer than that."""

HEAD_BYTES = 4096
WAV_HEAD_BYTES = 44
FASTEST_BYTES_PER_S = 192_000 * 8 * 4
"""192 kHz, eight channels, 32 bits: a head that claims more is made up."""


def longest_ms(head: bytes, size_bytes: int) -> int:
    """Return what a file can last at the most, in milliseconds, rounded up.

    A WAV's size over what its format takes for a second, whatever length its head claims; of
    anything else the size over the least that a second takes.
    """
    bytes_per_s = _wav_bytes_per_s(head)
    if 0 < bytes_per_s <= FASTEST_BYTES_PER_S:
        return -(-max(size_bytes - WAV_HEAD_BYTES, 0) * 1000 // bytes_per_s)
    return -(-size_bytes * 1000 // DENSEST_BYTES_PER_S)


def _wav_bytes_per_s(head: bytes) -> int:
    """Return what a second of uncompressed sound takes; 0 for what is something else."""
    try:
        with wave.open(io.BytesIO(head)) as sound:
            return int(sound.getframerate() * sound.getnchannels() * sound.getsampwidth())
    except (wave.Error, EOFError, RuntimeError):
        return 0
