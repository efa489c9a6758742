"""A provider for tests and for the benchmark: a process of its own that speaks real HTTP.

`with Upstream() as upstream:` starts it. A test takes a space of its own, points a provider at
`upstream.base_url(space)`, scripts the space, and reads what was asked. `behavior.py` has every
field of a script.
"""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]

Behavior = Mapping[str, Any]
Record = dict[str, Any]


class Upstream:
    """The process, and the line to its control."""

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", "tests.upstream")) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - the interpreter and our own module
            [*command, "--port", "0"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError("the fake provider didn't start")
        self.port = int(line)

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> "Upstream":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the process; it would also stop by itself once ours is gone."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)

    def base_url(self, space: str) -> str:
        """What a provider of that space has as `base_url`."""
        return f"http://127.0.0.1:{self.port}/{space}/v1"

    def script(
        self,
        space: str,
        *,
        default: Behavior | None = None,
        queue: Sequence[Behavior] = (),
        models: Mapping[str, Behavior] | None = None,
        keys: Mapping[str, Behavior] | None = None,
        model_list: Sequence[str] = ("fake-model",),
        is_recorded: bool = True,
    ) -> None:
        """Say how a space behaves from now on: the queue first, then by key or model."""
        self._post(
            "/control/script",
            {
                "space": space,
                "default": dict(default or {}),
                "queue": [dict(each) for each in queue],
                "models": {name: dict(each) for name, each in (models or {}).items()},
                "keys": {key: dict(each) for key, each in (keys or {}).items()},
                "model_list": list(model_list),
                "is_recorded": is_recorded,
            },
        )

    def requests(self, space: str) -> list[Record]:
        """What the space was asked, oldest first."""
        found: list[Record] = self._post(f"/control/requests?space={quote(space)}")
        return found

    def wait_for(
        self, space: str, is_met: Callable[[list[Record]], bool], timeout_s: float = 5.0
    ) -> list[Record]:
        """Return what was asked once it is as wanted, and fail when it isn't in time."""
        until_s = time.monotonic() + timeout_s
        while True:
            records = self.requests(space)
            if is_met(records):
                return records
            if time.monotonic() > until_s:
                raise AssertionError(f"not in {timeout_s} s: {records}")
            time.sleep(0.01)

    def release(self, space: str) -> int:
        """Let every answer go on that is held by `hold_before`; returns how many there were."""
        return int(self._post(f"/control/release?space={quote(space)}")["released"])

    def forget(self, space: str) -> None:
        """Drop the script and the records of a space."""
        self._post(f"/control/forget?space={quote(space)}")

    def door(self, kind: str) -> str:
        """Open a port that does this at accept, "close", "rst" or "silent"; returns a base URL."""
        return f"http://127.0.0.1:{self._post(f'/control/door?kind={kind}')['port']}/v1"

    def connections(self) -> int:
        """How many connections are open, the asking one included."""
        return int(self._post("/control/state")["connections"])

    def _post(self, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", path, json.dumps(body))
            response = connection.getresponse()
            told = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(told["error"])
        return told


def good_answer(content: str, **fields: Any) -> Behavior:
    """A good answer that says this."""
    return {"content": content, **fields}
