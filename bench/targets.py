"""What is measured: Turnpike, the provider itself, and nginx as a yardstick."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bench.processes import Tree, free_port, stop, wait_for_port
from tests.upstream import ROOT, Upstream

SPACE = "bench"
PROVIDER_KEY = "sk-bench-provider"
START_S = 60.0
COMMAND_S = 120.0
SETTLED_S = 1.0
BIN = Path(sys.executable).parent

ANSWER_WORDS = 60
BURST = 100
IDLE_FIRST_S = 0.5
IDLE = {"stamp": True, "is_role_apart": False, "first_gap_s": IDLE_FIRST_S, "gap_s": 0.5}

MODELS: dict[str, dict[str, Any]] = {
    "plain": {"words": ANSWER_WORDS},
    "short": {"words": 1},
    "paced-4": {"words": 4, "gap_s": 0.02},
    "paced-104": {"words": 104, "gap_s": 0.02},
    "burst-100": {"words": 100, "burst": BURST},
    "burst-2100": {"words": 2100, "burst": BURST},
    "idle-20": {"words": 20, **IDLE},
    "idle-4": {"words": 4, **IDLE},
}
"""The local provider's models: each behaves in its own way, whoever asks."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send the load, and whose CPU and memory to read."""

    name: str
    port: int
    path: str
    key: str
    prefix: str
    tree: Tree


class Workbench:
    """The provider, a provisioned Turnpike, and a folder that is gone afterwards."""

    def __init__(self, folder: Path, upstream: Upstream) -> None:
        self._folder = folder
        self._environment = _environment(folder)
        self._log = folder / "server.log"
        upstream.script(SPACE, models=MODELS, is_recorded=False)
        self.upstream = upstream
        self.direct = Target(
            "direct", upstream.port, f"/{SPACE}/v1/chat/completions", PROVIDER_KEY, "",
            Tree(upstream.pid),
        )  # fmt: skip
        (folder / "turnpike.toml").write_text(_provisioning(upstream.base_url(SPACE)))
        self._key = self._provision()

    def _provision(self) -> str:
        self._flask("db", "upgrade")
        made = self._told("users", "create", "bench@example.com", "--json")
        workspace = str(made["workspace_id"])
        self._told("credits", "grant", "--workspace", workspace, "--usd", "100000", "--json")
        key = ("keys", "create", "--workspace", workspace, "--name", "bench", "--rpm", "0")
        return str(self._told(*key, "--json")["key"])

    def _told(self, *arguments: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._flask(*arguments))
        return told

    def _flask(self, *arguments: str) -> bytes:
        done = subprocess.run(  # noqa: S603 - our own command
            [BIN / "flask", *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            timeout=COMMAND_S,
            check=False,
        )
        if done.returncode:
            words = " ".join(arguments[:2])
            raise RuntimeError(f"flask {words} failed:\n{done.stderr.decode()[-2000:]}")
        return done.stdout

    @contextlib.contextmanager
    def turnpike(self) -> Iterator[Target]:
        """Run Turnpike with one worker; its log is shown when it doesn't start."""
        port = free_port()
        environment = {**self._environment, "PORT": str(port)}
        command = [str(BIN / "gunicorn"), "--config", "gunicorn.conf.py", "wsgi:application"]
        with self._log.open("ab") as log, _running(command, environment, log) as process:
            try:
                wait_for_port(process, port, START_S)
                _wait_until_ready(process, port)
            except RuntimeError as error:
                raise RuntimeError(f"{error}\n{self._log.read_text()[-2000:]}") from error
            path, tree = "/v1/chat/completions", Tree(process.pid)
            _wait_until_settled(tree)
            yield Target("turnpike", port, path, self._key, "bench/", tree)

    @contextlib.contextmanager
    def nginx(self) -> Iterator[Target]:
        """Run nginx as the cheapest of all proxies, in one process."""
        binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if binary is None:
            raise RuntimeError("nginx isn't installed")
        port = free_port()
        configuration = self._folder / "nginx.conf"
        configuration.write_text(_nginx(self._folder, port, self.upstream.port))
        command = [binary, "-p", str(self._folder), "-c", str(configuration)]
        with self._log.open("ab") as log, _running(command, self._environment, log) as process:
            wait_for_port(process, port, START_S)
            yield Target("nginx", port, self.direct.path, PROVIDER_KEY, "", Tree(process.pid))


@contextlib.contextmanager
def _running(
    command: list[str], environment: Mapping[str, str], log: IO[bytes]
) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(  # noqa: S603 - what we measure
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
    )
    try:
        yield process
    finally:
        stop(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    until_s = time.monotonic() + START_S
    while time.monotonic() < until_s and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise RuntimeError("the server isn't ready")


def _wait_until_settled(tree: Tree) -> None:
    """Let what only the start needs come to its end, so that nobody's CPU time is lost with it."""
    until_s = time.monotonic() + START_S
    seen, since_s = set(tree.pids()), time.monotonic()
    while time.monotonic() < min(since_s + SETTLED_S, until_s):
        time.sleep(0.05)
        now = set(tree.pids())
        if now != seen:
            seen, since_s = now, time.monotonic()


def _environment(folder: Path) -> dict[str, str]:
    """The operator's environment without anything that steers Turnpike, and our settings."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "VIRTUAL_ENV")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "DATABASE_URL": f"sqlite:///{folder / 'turnpike.db'}",
        "HOST": "127.0.0.1",
        "WEB_CONCURRENCY": "1",
        "TURNPIKE_CONFIG": str(folder / "turnpike.toml"),
        "TURNPIKE_SECRET_KEYS": "0123456789abcdef0123456789abcdef0123456789abcdef",
    }


def _provisioning(base_url: str) -> str:
    models = "".join(
        f"""
[[models]]
id = "bench/{name}"
name = "{name}"
context_length = 128000
max_output_tokens = 8192
price = {{ input = "1.00", output = "2.00" }}
[[models.endpoints]]
provider = "bench"
upstream_model = "{name}"
"""
        for name in MODELS
    )
    return f"""
[gateway]
default_rate_limit_rpm = 0

[[providers]]
slug = "bench"
kind = "openai"
base_url = "{base_url}"
api_key = "{PROVIDER_KEY}"
private_network = true
{models}"""


def _nginx(folder: Path, port: int, upstream_port: int) -> str:
    return f"""
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr error;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream provider {{
    server 127.0.0.1:{upstream_port};
    keepalive 256;
    keepalive_requests 1000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    keepalive_requests 1000000;
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""
