"""gunicorn's configuration, made from Turnpike's settings."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dotenv import load_dotenv

sys.path.insert(0, str(Path(__file__).parent))
load_dotenv(Path(__file__).parent / ".env")

from db import ServingLock  # noqa: E402
from settings import Settings, SettingsError  # noqa: E402

try:
    _settings = Settings.from_env(os.environ)
    _settings.check_safe_to_serve()
except SettingsError as error:
    sys.exit(f"turnpike: {error}")

bind = f"{_settings.host}:{_settings.port}"
workers = _settings.web_concurrency
worker_class = "serving.Worker"
logger_class = "serving.Log"
worker_connections = 10_000
backlog = 2048
keepalive = 12
timeout = 60
graceful_timeout = _settings.drain_s + 5
control_socket_disable = True
accesslog = None
errorlog = "-"
loglevel = "warning"
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190
proc_name = "turnpike"


if workers > 1:
    _shared = tempfile.mkdtemp(prefix="turnpike-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = _shared
    atexit.register(shutil.rmtree, _shared, ignore_errors=True)


def on_starting(server):
    """Claim the database for this server, and let Ctrl-C drain as SIGTERM does."""
    server.handle_int = server.handle_term
    if _settings.is_sqlite:
        lock = ServingLock(_settings.sqlite_path)
        if not lock.acquire():
            sys.exit(
                f"turnpike: another server is serving {_settings.sqlite_path}. "
                "SQLite is for one serving process: stop the other, or use Postgres."
            )
        server.turnpike_lock = lock


def when_ready(server):
    """Say where it is, and on a new database how to begin."""
    flask = Path(sys.executable).with_name("flask")
    subprocess.run(  # noqa: S603 - our own command
        [str(flask), "first-run"], cwd=Path(__file__).parent, check=False
    )


def worker_exit(server, worker):
    """Write down what is queued before the worker goes."""
    runtime = getattr(sys.modules.get("wsgi"), "runtime", None)
    if runtime is not None:
        runtime.close()


def child_exit(server, worker):
    """Forget a dead worker's live gauges."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        from prometheus_client import multiprocess  # noqa: PLC0415 - reads the variable above

        multiprocess.mark_process_dead(worker.pid)
