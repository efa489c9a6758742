"""However a request is written, the door decides on what the router then serves."""

import pytest

from tests.live import Server
from tests.v1.raw import ask

pytestmark = [pytest.mark.live]


@pytest.mark.parametrize(
    ("target", "lines"),
    [
        ("/v1/key", ["Host: x/v1/../?"]),
        ("/v1/key", ["Host: x/#"]),
        ("/v1/key", ["Host: x."]),
        ("http://127.0.0.1/v1/key", []),
        ("http://x/api/v1/models/../../v1/key", []),
        ("//v1/key", []),
        ("///v1//key", []),
        ("/v1//key", []),
        ("/api/v1/../../v1/key", []),
        ("/healthz/../v1/key", []),
        ("/%2e%2e/v1/key", []),
        ("/v1/%2e/key", []),
        ("/%76%31/key", []),
        ("/v1%2fkey", []),
        ("/v1/key;x", []),
        ("/v1/key/", []),
        ("/V1/key", []),
        ("/static/../v1/key", []),
        ("/api/v1/models", ["X-Original-URL: /v1/key", "X-Rewrite-URL: /v1/key"]),
        ("/healthz", ["X-Original-URL: /v1/key"]),
        ("/v1/key", ["X-Original-URL: /healthz", "X-Rewrite-URL: /healthz"]),
        ("/v1/key", ["X-HTTP-Method-Override: OPTIONS", "X-Method-Override: HEAD"]),
        ("/v1/key", ["SCRIPT_NAME: /v1"]),
        ("/v1/key", ["SCRIPT_NAME: /", "PATH_INFO: /healthz"]),
        ("/v1/v1/key", ["SCRIPT_NAME: /v1"]),
    ],
)
def test_no_way_to_write_a_request_changes_who_may_have_it(
    server: Server, target: str, lines: list[str]
) -> None:
    own = "".join(f"{line}\r\n" for line in lines)
    host = "" if any(line.startswith("Host:") for line in lines) else "Host: x\r\n"
    told = ask(
        server,
        f"GET {target} HTTP/1.1\r\n{host}{own}Connection: close\r\n\r\n",
    )
    is_public = target in ("/healthz", "/api/v1/models")
    assert told.status in ((200, 404) if is_public else (308, 400, 401, 404))
    assert b"limit_remaining" not in told.raw
