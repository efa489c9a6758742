"""Sounds for tests: models that speak and hear, files to be heard, forms to send them in."""

import struct
from collections.abc import Sequence

BOUNDARY = "--boundary-of-a-test"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}

File = tuple[str, str, bytes]
"""The field, the file's name, and what is in it."""


def audio_models(number: int) -> str:
    """Speech by characters and by tokens, transcription by minutes and by tokens."""
    kinds = {
        "speech": ("text", "audio", 'per_million_chars = "15"'),
        "voice": ("text", "audio", 'input = "0.60", audio_output = "12"'),
        "transcribe": ("audio", "text", 'per_minute = "0.006"'),
        "hear": ("audio", "text", 'input = "2.50", audio_input = "6", output = "10"'),
    }
    return "".join(
        f"""
[[models]]
id = "s{number}/{name}"
input = ["{taken}"]
output = ["{given}"]
price = {{ {price} }}
[[models.endpoints]]
provider = "p{number}"
upstream_model = "fake-{name}"
"""
        for name, (taken, given, price) in kinds.items()
    )


def wav(seconds: float, rate: int = 8000) -> bytes:
    """Silence: mono, 16 bits."""
    samples = bytes(2 * int(seconds * rate))
    head = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    chunks = b"fmt " + struct.pack("<I", len(head)) + head
    chunks += b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def form(fields: Sequence[tuple[str, str]], files: Sequence[File]) -> bytes:
    """A multipart form as browsers and SDKs write it."""
    lines = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in fields
    ]
    for name, filename, content in files:
        lines += [
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; '
            f'filename="{filename}"\r\nContent-Type: audio/wav\r\n\r\n'.encode(),
            content,
            b"\r\n",
        ]
    return b"".join([*lines, f"--{BOUNDARY}--\r\n".encode()])
