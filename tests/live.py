"""The live server: gunicorn in a process and on a database of its own, before a real provider.

One server for each of the suite's processes serves most tests; each test takes a workspace, a key
and a space of the provider of its own, so that they don't meet. A test that breaks things starts
a server for itself.
"""

import contextlib
import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import clock
import db
import ids
from gateway import key_text, ledger
from models import Cap, Key, Workspace
from tests.provisioning import SPACES
from tests.provisioning import config_for as config_for
from tests.upstream import Upstream

ROOT = Path(__file__).resolve().parents[1]
GUNICORN = Path(sys.executable).with_name("gunicorn")
FLASK = Path(sys.executable).with_name("flask")
START_S = 30.0


def free_port() -> int:
    """A port that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """A running server. `env` goes on top of the settings that every test server has."""

    folder: Path
    database_url: str
    config: str
    env: dict[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            **kept,
            "DATABASE_URL": self.database_url,
            "TURNPIKE_CONFIG": str(self.folder / "turnpike.toml"),
            "TURNPIKE_SECRET_KEYS": "0123456789abcdef0123456789abcdef",
            "TURNPIKE_SANDBOX": "on",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "TURNPIKE_DRAIN_S": "5",
            **self.env,
        }

    def start(self) -> "Server":
        """Start, and come back when it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "turnpike.toml").write_text(self.config)
        self.port = self.port or free_port()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own server
                [str(GUNICORN), "--config", "gunicorn.conf.py", "wsgi:application"],
                cwd=ROOT,
                env=self.environ(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + START_S
        while time.monotonic() < give_up_at:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended:\n{self.tail()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.request("GET", "/readyz")[0] == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the server isn't ready:\n{self.tail()}")

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = 30,
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own: status, headers in lower case, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, payload, headers or {})
            response = connection.getresponse()
            return (
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()

    def stop(self, how: int = signal.SIGTERM) -> int:
        """End it, by default in an orderly way, and return its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(40)
        finally:
            self.kill()

    def kill(self) -> None:
        """End every process of it at once."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def flask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the operator's beside it."""
        return subprocess.run(  # noqa: S603 - our own command
            [str(FLASK), *arguments],
            cwd=ROOT,
            env=self.environ(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@dataclass
class Actor:
    """Somebody with a workspace, a key and a provider of their own, on a live server."""

    server: Server
    upstream: Upstream
    space: str
    workspace_id: str
    key_id: str
    key: str

    @property
    def model(self) -> str:
        return f"{self.space}/large"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}

    def provider_will(self, **behavior: Any) -> None:
        """Script the provider; see `tests/upstream/behavior.py`."""
        self.upstream.script(self.space, default=behavior)

    def asked(self) -> list[dict[str, Any]]:
        """What the provider was asked."""
        return self.upstream.requests(self.space)

    def post(self, path: str, body: object, **headers: str) -> tuple[int, dict[str, str], Any]:
        """POST, and the answer's JSON."""
        status, told, raw = self.server.request("POST", path, body, {**self.headers, **headers})
        return status, told, json.loads(raw) if raw else None

    def get(self, path: str) -> tuple[int, dict[str, str], Any]:
        """GET, and the answer's JSON."""
        status, told, raw = self.server.request("GET", path, None, self.headers)
        return status, told, json.loads(raw) if raw else None

    def chat(self, text: str = "hi", **fields: Any) -> tuple[int, dict[str, str], Any]:
        """One plain chat call."""
        messages = [{"role": "user", "content": text}]
        body = {"model": self.model, "messages": messages, **fields}
        return self.post("/v1/chat/completions", body)

    def open_stream(self, text: str = "hi", **fields: Any) -> "Stream":
        """One streamed chat call, headers read, body not."""
        messages = [{"role": "user", "content": text}]
        body = {"model": self.model, "messages": messages, "stream": True, **fields}
        return Stream(self, json.dumps(body).encode())

    def generation(self, generation_id: str) -> dict[str, Any]:
        """The row of a generation, once it is there."""
        give_up_at = time.monotonic() + 10
        while True:
            status, _, told = self.get(f"/v1/generation?id={generation_id}")
            if status == 200:
                data: dict[str, Any] = told["data"]
                return data
            if time.monotonic() > give_up_at:
                raise AssertionError(f"{generation_id} never settled: {told}")
            time.sleep(0.05)

    def credits(self) -> dict[str, Any]:
        data: dict[str, Any] = self.get("/v1/credits")[2]["data"]
        return data


class Stream:
    """A streamed answer, read as it comes; `close` is a client that leaves."""

    def __init__(self, actor: Actor, body: bytes) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", actor.server.port, timeout=60)
        self.connection.request("POST", "/v1/chat/completions", body, actor.headers)
        self.response = self.connection.getresponse()
        self.headers = {name.lower(): value for name, value in self.response.getheaders()}

    @property
    def generation_id(self) -> str:
        return self.headers["x-generation-id"]

    def lines(self) -> Iterator[str]:
        """The lines of the stream that aren't empty."""
        for line in self.response:
            text = line.decode().rstrip("\r\n")
            if text:
                yield text

    def events(self) -> list[Any]:
        """All events to the end, decoded; "[DONE]" as it is; comments left out. Closes."""
        found: list[Any] = []
        for line in self.lines():
            if line.startswith("data: "):
                data = line.removeprefix("data: ")
                found.append(data if data == "[DONE]" else json.loads(data))
        self.close()
        return found

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def text_of(events: list[Any]) -> str:
    """What a stream said."""
    return "".join(
        choice["delta"].get("content") or ""
        for event in events
        if event != "[DONE]"
        for choice in event.get("choices", [])
    )


_spaces = itertools.count()


def make_actor(
    server: Server,
    upstream: Upstream,
    *,
    balance_nusd: int = 5_000_000_000,
    kind: str = "inference",
    cap_nusd: int | None = None,
    cap_period: str = "day",
    rpm: int | None = None,
    models: list[str] | None = None,
    workspace_id: str | None = None,
    space: str | None = None,
) -> Actor:
    """Make a workspace (unless it is given) with a key, and take the next space of the provider."""
    secret = key_text.mint(kind)
    now_ms = clock.now_ms()
    key = Key(
        id=ids.new_id("key_"),
        workspace_id=workspace_id or ids.new_id("wks_"),
        kind=kind,
        name="test",
        hash=key_text.hash_of(secret),
        hint=key_text.hint_of(secret),
        rpm=rpm,
        models=json.dumps(models) if models is not None else None,
        created_at=now_ms,
        updated_at=now_ms,
    )
    with db.transaction() as session:
        if workspace_id is None:
            row = Workspace(
                id=key.workspace_id, name="test", has_every_class=True, created_at=now_ms
            )
            session.add(row)
            session.flush()
            ledger.open_books(session, key.workspace_id)
            if balance_nusd:
                ledger.grant(session, key.workspace_id, balance_nusd)
        session.add(key)
        session.flush()
        if cap_nusd is not None:
            session.add(
                Cap(
                    workspace_id=key.workspace_id,
                    subject="key",
                    subject_id=key.id,
                    period=cap_period,
                    limit_nusd=cap_nusd,
                    created_at=now_ms,
                )
            )
    name = space or f"s{next(_spaces) % SPACES}"
    upstream.forget(name)
    return Actor(server, upstream, name, key.workspace_id, key.id, secret)
