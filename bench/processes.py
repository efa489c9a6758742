"""What a process and its children have used, and how they are started and stopped."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

STOP_S = 15.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CPUCLOCK_SCHED = 2


class Tree:
    """A process and all that descend from it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu_s(self) -> float:
        """The CPU time of all of them, user and system, to the nanosecond.

        It is utime + stime of /proc/<pid>/stat, read from the process's own clock, because /proc
        rounds to ten milliseconds. The clock's number is made as clock_getcpuclockid(3) makes it.
        """
        return sum(time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED) for pid in self.pids())

    def rss_bytes(self) -> int:
        """The resident memory of the largest of them, which is the worker."""
        return max((_rss_bytes(pid) for pid in self.pids()), default=0)

    def all_rss_bytes(self) -> int:
        """The resident memory of all of them; what they share is counted in each."""
        return sum(_rss_bytes(pid) for pid in self.pids())

    def pids(self) -> Iterator[int]:
        """All that live at the moment."""
        waiting = [self.pid]
        while waiting:
            pid = waiting.pop()
            yield pid
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    waiting += map(int, (task / "children").read_text().split())


def _rss_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def raise_open_files() -> None:
    """Let us, and so all that we start, open as many files as the machine allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def free_port() -> int:
    """A port of loopback that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for_port(process: "subprocess.Popen[bytes]", port: int, timeout_s: float) -> None:
    """Return once the process listens.

    Raises: RuntimeError when it ended, or doesn't in time.
    """
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nobody listens after {timeout_s:g} s")


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process of ours to end, and make it when it doesn't."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            for pid in reversed(list(Tree(process.pid).pids())):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(STOP_S)
