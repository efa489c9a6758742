"""The clients of the field, each in a process of its own that stays for the run.

A script of `scripts/` has one function for each case. It is told a case a line and answers with
what the client's own objects said, or with the error that the client raised: the tests judge both.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live import Actor

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).with_name("scripts")
PYTHON = ROOT / ".venv-compat" / "bin" / "python"


class RaisedError(Exception):
    """What a client raised: the names of its classes, its status, its message."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(str(told))
        self.kinds: list[str] = told["kinds"]
        self.kind = self.kinds[0]
        self.status: int | None = told["status"]
        self.message: str = told["message"]


class Client:
    """One script, running."""

    def __init__(self, command: list[str]) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            command,
            cwd=SCRIPTS,
            env={**kept, "LANGSMITH_TRACING": "false", "DO_NOT_TRACK": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, case: str, actor: Actor, **fields: Any) -> Any:
        """Play a case as this actor.

        Raises: RaisedError.
        """
        asked = {
            "case": case,
            "base_url": actor.server.base_url,
            "key": actor.key,
            "model": actor.model,
            **fields,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the script ended; its own words are above"
        told = json.loads(line)
        if "raised" in told:
            raise RaisedError(told["raised"])
        return told["said"]

    def close(self) -> None:
        """End it; it ends by itself when nobody writes to it any more."""
        self._process.communicate(timeout=10)


def python_client(script: str) -> Client:
    """Start a script under the interpreter of .venv-compat."""
    if not PYTHON.exists():
        reason = "there is no .venv-compat; `make test` makes it"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    return Client([str(PYTHON), str(SCRIPTS / f"{script}.py")])
