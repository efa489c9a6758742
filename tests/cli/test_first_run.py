"""`flask first-run` and `flask setup-code`, and that serving imports no command."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import Result

from gateway import setup

Run = Callable[..., Result]
Answer = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]


def test_a_first_run_prints_link_key_and_a_line_that_names_the_sandbox(run: Run) -> None:
    result = run("first-run")
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(re.findall(r"http://127\.0\.0\.1:8000/setup\?code=[\w-]{32}\s", result.stdout)) == 1
    keys = re.findall(r"tp_live_[\w-]{43}", result.stdout)
    assert (len(keys), len(set(keys))) == (2, 1)
    assert '"model": "sandbox/echo"' in result.stdout


def test_a_later_run_prints_the_address_only(run: Run) -> None:
    run("first-run")
    assert run("first-run").stdout == "Turnpike is at http://127.0.0.1:8000\n"


def test_a_new_code_claims_set_up(run: Run, answer: Answer) -> None:
    run("first-run")
    made = answer("setup-code")
    assert made["url"] == f"http://127.0.0.1:8000/setup?code={made['code']}"
    user, _ = setup.claim(made["code"], "ada@example.com", "a fine long phrase")
    assert user.is_operator


def test_a_database_without_tables_is_one_line(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "DATABASE_URL": f"sqlite:///{tmp_path}/new.db"}
    flask = Path(sys.executable).with_name("flask")
    result = subprocess.run(  # noqa: S603 - our own command
        [flask, "users", "create", "ada@example.com"],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert "flask db upgrade" in result.stderr


def test_serving_imports_no_command() -> None:
    code = (
        "import sys; from app import create_app; from settings import Settings;"
        "create_app(Settings());"
        "print([m for m in sys.modules if m.startswith(('cli.', 'alembic'))])"
    )
    result = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
