"""Images, speech and transcripts: small, valid, and the same each time."""

import base64
import hashlib
import math
import re
import struct
import zlib
from typing import Any

import clock

IMAGES_MOST = 10
SIDE_MOST = 4096
SAMPLES_PER_S = 8000
WORD_S = 0.25
SPEECH_S_MOST = 60.0

_SIZE = re.compile(r"([1-9][0-9]{0,3})x([1-9][0-9]{0,3})")
_MP3_FRAME = b"\xff\xfb\x90\x64" + bytes(413)
"""A silent frame of 1152 samples: MPEG-1 layer III, 128 kbit/s, 44.1 kHz, 417 bytes."""
_MP3_FRAME_S = 1152 / 44100

AUDIO_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "pcm": "audio/pcm"}


def png(width: int, height: int, seed: bytes, text: str) -> bytes:
    """Draw stripes in two colors, with a `Comment` that says what it is."""
    row = b"\0" + b"\xf0" * ((width + 7) // 8)
    palette = hashlib.sha256(seed).digest()[:6]
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)),
            _png_chunk(b"PLTE", palette),
            _png_chunk(b"tEXt", b"Comment\0" + text.encode("latin-1", "replace")),
            _png_chunk(b"IDAT", zlib.compress(row * height, 1)),
            _png_chunk(b"IEND", b""),
        ]
    )


def images(body: dict[str, Any]) -> dict[str, Any]:
    """Answer an image request; `url`, where asked for, holds the image itself.

    Raises: ValueError for a size or a number that there is not.
    """
    size, n, prompt = body.get("size"), body.get("n"), body.get("prompt")
    size = "1024x1024" if size in (None, "auto") else size
    n = 1 if n is None else n
    match = _SIZE.fullmatch(size) if isinstance(size, str) else None
    if match is None or max(map(int, match.groups())) > SIDE_MOST:
        raise ValueError(f"size must be like 1024x1024, each side at most {SIDE_MOST}")
    if type(n) is not int or not 0 < n <= IMAGES_MOST:
        raise ValueError(f"n must be between 1 and {IMAGES_MOST}")
    text = f"Turnpike's sandbox drew these {size} pixels; no model was asked"
    width, height = map(int, match.groups())
    data = []
    for index in range(n):
        drawn = base64.b64encode(png(width, height, f"{index} {prompt}".encode(), text)).decode()
        is_url = body.get("response_format") == "url"
        image = {"url": f"data:image/png;base64,{drawn}"} if is_url else {"b64_json": drawn}
        data.append({**image, "revised_prompt": text})
    return {
        "created": clock.now_ms() // 1000,
        "size": size,
        "quality": body.get("quality") or "standard",
        "output_format": "png",
        "data": data,
    }


def speech(body: dict[str, Any]) -> tuple[str, bytes]:
    """Return the media type and the sound: a soft tone in WAV and PCM, silence in MP3.

    A word takes a quarter of a second.

    Raises: ValueError for an input or a format that there is not.
    """
    text, form = body.get("input"), body.get("response_format") or "mp3"
    if not isinstance(text, str) or not text:
        raise ValueError("input must be a text, and not empty")
    if form not in AUDIO_TYPES:
        raise ValueError(f"the sandbox speaks {', '.join(AUDIO_TYPES)} only")
    seconds = min(max(len(text.split()), 1) * WORD_S, SPEECH_S_MOST)
    if form == "mp3":
        return AUDIO_TYPES[form], _MP3_FRAME * math.ceil(seconds / _MP3_FRAME_S)
    period = [round(3000 * math.sin(2 * math.pi * i / 20)) for i in range(20)]
    samples = struct.pack("<20h", *period) * int(seconds * SAMPLES_PER_S / 20)
    return AUDIO_TYPES[form], samples if form == "pcm" else _wav(samples)


def transcript(body: dict[str, Any]) -> tuple[str, dict[str, Any] | str]:
    """Answer a transcription: the media type, and what a form with a file is said to say."""
    form: tuple[bytes | bytearray, ...] = body["form"]
    size_bytes = sum(map(len, form))
    seconds = _wav_seconds(form[min(len(form) - 1, 1)], size_bytes)
    text = f"This is the transcript of Turnpike's sandbox, which heard {size_bytes} bytes of form."
    wanted = body.get("response_format", "json")
    usage = {"type": "duration", "seconds": math.ceil(seconds)}
    if wanted == "text":
        return "text/plain; charset=utf-8", f"{text}\n"
    if wanted in ("srt", "vtt"):
        head, comma = ("WEBVTT\n\n", ".") if wanted == "vtt" else ("1\n", ",")
        return (
            "text/plain; charset=utf-8",
            f"{head}00:00:00{comma}000 --> 00:00:01{comma}000\n{text}\n",
        )
    if wanted == "verbose_json":
        segment = {"id": 0, "start": 0.0, "end": seconds, "text": text}
        whole = {"task": "transcribe", "language": "english", "duration": seconds, "text": text}
        return "application/json", {**whole, "segments": [segment], "usage": usage}
    return "application/json", {"text": text, "usage": usage}


def form_fields(form: tuple[bytes | bytearray, ...]) -> dict[str, Any]:
    """Return the text fields that matter here, which stand in the first piece, and the form."""
    found: dict[str, Any] = {"form": form}
    for name in ("model", "prompt", "size", "response_format", "n"):
        text = _form_field(form[0], name)
        if text:
            found[name] = int(text) if name == "n" and text.isdecimal() else text
    return found


def _form_field(form: bytes | bytearray, name: str) -> str:
    """Find a short text field of a multipart form; "" without one."""
    pattern = rb'name="?%b"?\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]{0,200})\r\n' % re.escape(
        name.encode()
    )
    match = re.search(pattern, form)
    return match.group(1).decode("utf-8", "replace") if match else ""


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _wav(samples: bytes) -> bytes:
    """Mono, 16 bits, 8 kHz."""
    head = struct.pack("<HHIIHH", 1, 1, SAMPLES_PER_S, 2 * SAMPLES_PER_S, 2, 16)
    chunks = b"fmt " + struct.pack("<I", len(head)) + head
    chunks += b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def _wav_seconds(form: bytes | bytearray, size_bytes: int) -> float:
    """The length of a WAV file that begins in this piece of a form; a second for anything else."""
    at = form.find(b"fmt ")
    data_at = form.find(b"data", at)
    if form.find(b"RIFF") < 0 or at < 0 or data_at < 0 or len(form) < data_at + 8:
        return 1.0
    bytes_per_s = struct.unpack_from("<I", form, at + 16)[0]
    size = min(struct.unpack_from("<I", form, data_at + 4)[0], size_bytes - data_at - 8)
    return float(size / bytes_per_s) if bytes_per_s else 1.0
