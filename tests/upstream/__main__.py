"""`python -m tests.upstream --port 0`: serve until standard input is closed; prints the port."""

import argparse
import asyncio
import contextlib
import os
import sys

from tests.upstream.server import serve


async def _run(port: int) -> None:
    serving = asyncio.create_task(serve(port, _tell))
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, _read, serving)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def _read(serving: "asyncio.Task[None]") -> None:
    """Whoever started us is gone when their end of the pipe is."""
    if not os.read(sys.stdin.fileno(), 4096):
        serving.cancel()


def _tell(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--port", type=int, default=0)
with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(_run(parser.parse_args().port))
