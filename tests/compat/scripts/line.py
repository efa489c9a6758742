"""The line between a script and the tests: a case comes in as JSON, what came of it goes out."""

import ipaddress
import json
import sys
from collections.abc import Callable
from typing import Any


def serve(cases: dict[str, Callable[[dict[str, Any]], Any]]) -> None:
    """Play one case a line until nobody asks any more; libraries may print what they like."""
    out, sys.stdout = sys.stdout, sys.stderr
    sys.addaudithook(_stay_on_this_machine)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            told = {"said": cases[asked["case"]](asked)}
        except Exception as error:  # noqa: BLE001 - whatever a client raises is what is tested
            told = {"raised": _raised(error)}
        out.write(json.dumps(told) + "\n")
        out.flush()


def _raised(error: Exception) -> dict[str, Any]:
    return {
        "kinds": [kind.__name__ for kind in type(error).__mro__],
        "status": getattr(error, "status_code", None),
        "message": str(getattr(error, "message", error)),
    }


def _stay_on_this_machine(event: str, values: tuple[object, ...]) -> None:
    if event in {"socket.connect", "socket.sendto"} and isinstance(values[1], tuple):
        host = str(values[1][0])
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise ConnectionRefusedError(f"a test may only talk to loopback, not to {host}")
