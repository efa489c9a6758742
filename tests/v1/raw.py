"""HTTP byte by byte, for what no library would send; and a look at the server's worker."""

import contextlib
import json
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.live import Actor, Server


def head(
    actor: Actor, *lines: str, method: str = "POST", path: str = "/v1/chat/completions"
) -> str:
    """A request's head with the actor's key, less its last empty line."""
    told = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {actor.key}", *lines]
    return "".join(f"{line}\r\n" for line in told)


def exchange(server: Server, pieces: Iterable[bytes], timeout_s: float = 20) -> bytes:
    """Send, and read until the server closes (or is silent for so long); a reset ends it too."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout_s) as line:
        received = b""
        with contextlib.suppress(OSError):
            for piece in pieces:
                line.sendall(piece)
        with contextlib.suppress(OSError):
            while data := line.recv(65536):
                received += data
    return received


class Told:
    """The first response of what was received; `rest` is what came after it."""

    def __init__(self, received: bytes) -> None:
        self.raw = received
        top, _, body = received.partition(b"\r\n\r\n")
        lines = top.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1]) if received else 0
        pairs = (line.partition(":") for line in lines[1:])
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}
        length = int(self.headers.get("content-length", len(body)))
        self.body, self.rest = body[:length], body[length:]

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = json.loads(self.body)["error"]
        return error


def ask(server: Server, text: str | bytes, timeout_s: float = 20) -> Told:
    """Send one thing and return what came back."""
    payload = text if isinstance(text, bytes) else text.encode("latin-1")
    return Told(exchange(server, [payload], timeout_s))


def worker_pid(server: Server) -> int:
    """The one worker of a server."""
    assert server.process is not None
    master = server.process.pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return int(children[0])


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    """What a process has in memory; `VmHWM` is its peak since `forget_peak`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"{field} isn't told")


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def wait_until(is_met: Any, timeout_s: float = 10) -> None:
    """Come back once it is so, and fail when it isn't in time."""
    give_up_at = time.monotonic() + timeout_s
    while not is_met():
        assert time.monotonic() < give_up_at, "not in time"
        time.sleep(0.02)
