"""What `make run` does on a new checkout: serve it, say how to begin, refuse what can't be.

The checkout is copied and run with the packages of this one, so that nothing is installed.
"""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from tests.house import SKIPPED
from tests.live import free_port

pytestmark = [pytest.mark.live, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[1]
PYTHON_FOLDER = Path(sys.executable).parent
LEFT_OUT = (*SKIPPED, ".hypothesis", ".*_cache", ".env", "turnpike.toml")
START_S = 40.0


class Checkout:
    """A copy of the checkout with a port of its own."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        (folder / ".venv").symlink_to(PYTHON_FOLDER.parent)
        self.folder = folder
        self.port = free_port()
        self.running: list[subprocess.Popen[bytes]] = []

    def environ(self, **settings: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**kept, "PORT": str(self.port), "PYTHONDONTWRITEBYTECODE": "1", **settings}

    def start(self, log: str) -> subprocess.Popen[bytes]:
        """The recipe of `make run`, from its second line on; come back when it answers."""
        process = self.launch(log)
        give_up_at = time.monotonic() + START_S
        while not self.is_ready():
            assert process.poll() is None, self.said(log)
            assert time.monotonic() < give_up_at, self.said(log)
            time.sleep(0.1)
        return process

    def launch(self, log: str, **settings: str) -> subprocess.Popen[bytes]:
        recipe = recipe_of("run").replace(".venv/bin/", f"{self.folder}/.venv/bin/")
        with (self.folder / log).open("wb") as file:
            process = subprocess.Popen(  # noqa: S603 - our own recipe
                ["/bin/sh", "-ec", recipe],
                cwd=self.folder,
                env=self.environ(**settings),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def refusal(self, log: str, **settings: str) -> str:
        """What a start that is refused says."""
        assert self.launch(log, **settings).wait(START_S) not in (0, None)
        return self.said(log)

    def is_ready(self) -> bool:
        try:
            return self.request("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def request(
        self, method: str, path: str, form: dict[str, str] | None = None
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        try:
            connection.request(method, path, urlencode(form) if form else None, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def said(self, log: str) -> str:
        return (self.folder / log).read_text()

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


def recipe_of(target: str) -> str:
    """The recipe's lines as one script, as make would run them."""
    lines = (ROOT / "Makefile").read_text().split(f"\n{target}:")[1].splitlines()[1:]
    commands = []
    for line in lines:
        if not line.startswith("\t"):
            break
        commands.append(line.lstrip("\t@").replace("$(BIN)", ".venv/bin"))
    return "\n".join(commands)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = Checkout(tmp_path / "turnpike")
    yield made
    made.close()


def test_a_new_checkout_is_taken_into_use_as_it_says(checkout: Checkout) -> None:
    server = checkout.start("first.log")
    said = checkout.said("first.log")
    base = f"http://127.0.0.1:{checkout.port}"
    [link] = re.findall(rf"{base}/setup\?code=\S+", said)
    [curl] = [line.strip() for line in said.splitlines() if line.strip().startswith("curl ")]
    [key] = set(re.findall(r"tp_live_[\w-]{43}", said))
    assert said.count(key) == 2
    assert key in curl

    answered = subprocess.run(  # noqa: S602 - the very line that was printed, in a shell
        f'{curl} -s -w "\\n%{{http_code}}"', shell=True, capture_output=True, text=True, check=True
    )
    body, _, status = answered.stdout.rpartition("\n")
    assert status == "200"
    assert "Hello" in body

    path = link.removeprefix(base)
    form = {
        "code": urlsplit(link).query.removeprefix("code="),
        "email": "Ada@Example.com",
        "password": "short",
    }
    assert checkout.request("GET", path)[0] == 200
    status_of_short, page = checkout.request("POST", "/setup", form)
    assert status_of_short == 422
    assert 'value="Ada@Example.com"' in page
    assert "short" not in page.replace("too short", "")
    assert checkout.request("POST", "/setup", {**form, "code": "nope"})[0] == 422
    form["password"] = "a fine long phrase"
    status_of_claim, page = checkout.request("POST", "/setup", form)
    assert (status_of_claim, "ada@example.com" in page) == (200, True)
    assert "a fine long phrase" not in page
    assert checkout.request("GET", path)[0] == 404
    assert checkout.request("POST", "/setup", form)[0] == 404

    server.send_signal(signal.SIGTERM)
    assert server.wait(40) == 0
    again = checkout.start("second.log")
    printed = [line for line in checkout.said("second.log").splitlines() if line[:1] != "{"]
    assert printed == [f"Turnpike is at {base}"]
    again.send_signal(signal.SIGINT)
    assert again.wait(40) == 0


def test_a_second_server_on_the_same_file_is_refused(checkout: Checkout) -> None:
    server = checkout.start("first.log")
    by_make = checkout.refusal("make.log", PORT=str(free_port()))
    assert re.fullmatch(r"A server is serving \S+turnpike\.db\. Stop it, then migrate\.\n", by_make)
    gunicorn = subprocess.run(  # noqa: S603 - our own server
        [PYTHON_FOLDER / "gunicorn", "--config", "gunicorn.conf.py", "wsgi:application"],
        cwd=checkout.folder,
        env=checkout.environ(PORT=str(free_port())),
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert gunicorn.returncode != 0
    assert "SQLite is for one serving process: stop the other, or use Postgres." in gunicorn.stderr
    assert "Traceback" not in gunicorn.stderr
    assert checkout.is_ready()
    server.send_signal(signal.SIGTERM)
    assert server.wait(40) == 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"WEB_CONCURRENCY": "2"}, "WEB_CONCURRENCY=2 needs Postgres"),
        ({"TURNPIKE_X": "1"}, "TURNPIKE_X is not a setting of Turnpike"),
        ({"PORT": "http"}, "PORT has a bad value"),
    ],
)
def test_settings_that_cannot_be_are_one_line(
    checkout: Checkout, settings: dict[str, str], sentence: str
) -> None:
    said = checkout.refusal("refused.log", **settings)
    assert said.count("\n") == 1
    assert sentence in said
    assert not (checkout.folder / "instance").exists()
