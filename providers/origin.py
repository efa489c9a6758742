"""Where a provider is, and the head of a request to it."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PRINTABLE = re.compile(r"[!-~]+")
_NAME_OF_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?")
_METHOD = re.compile(r"[A-Z]{3,10}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_DOT_SEGMENT = re.compile(r"/(\.|%2e){1,2}(/|$)", re.IGNORECASE)

_METHODS_FRAMED_OTHERWISE = frozenset({"HEAD", "CONNECT"})
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that frame the message or belong to the connection: a caller's are dropped."""


class OriginKey(NamedTuple):
    """What two requests must share to share a connection."""

    scheme: str
    host: str
    port: int
    allow_private: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """Where and how a provider may be reached; built once for each provider.

    `base_url` is http or https, with an ASCII host and without user, query or fragment. Addresses
    that aren't public are refused without `allow_private`, each time a connection is made.
    `connect_timeout_s` spans the name, all its addresses and TLS.

    Raises: ValueError, which doesn't repeat the URL.
    """

    base_url: str
    allow_private: bool
    connect_timeout_s: float = 5.0
    key: OriginKey = field(init=False, repr=False, compare=False)
    authority: str = field(init=False, repr=False, compare=False)
    base_path: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _PRINTABLE.fullmatch(self.base_url) or "\\" in self.base_url:
            raise ValueError("a base URL is printable ASCII without spaces and backslashes")
        if "?" in self.base_url or "#" in self.base_url:
            raise ValueError("a base URL has no query and no fragment")
        parts = urlsplit(self.base_url)
        if parts.scheme not in _DEFAULT_PORTS:
            raise ValueError("a base URL starts with https:// or http://")
        if "@" in parts.netloc:
            raise ValueError("a base URL has no user")
        host = _checked_host(parts.hostname or "", is_bracketed="[" in parts.netloc)
        default_port = _DEFAULT_PORTS[parts.scheme]
        port = default_port if parts.port is None else parts.port
        if not port:
            raise ValueError("a base URL has a port other than 0")
        authority = f"[{host}]" if ":" in host else host
        base_path = parts.path.rstrip("/")
        if _DOT_SEGMENT.search(base_path):
            raise ValueError("a base URL has no dot segments")
        object.__setattr__(self, "key", OriginKey(parts.scheme, host, port, self.allow_private))
        object.__setattr__(
            self, "authority", authority if port == default_port else f"{authority}:{port}"
        )
        object.__setattr__(self, "base_path", base_path)


def request_head(
    origin: Origin, method: str, path: str, headers: Mapping[str, str], body_bytes: int
) -> bytes:
    """Write the request line and the headers, up to and with the empty line.

    Headers that frame the message are ours: a caller's `Host`, `Content-Length` and the like are
    dropped.

    Raises: ValueError for what would break out of its place; it never repeats a value.
    """
    lines = [
        f"{_checked_target(method, path, origin.base_path)}{origin.authority}\r\n"
        "Accept-Encoding: identity\r\n"
    ]
    for name, value in headers.items():
        if _may_send(name):
            lines.append(f"{name}: {value}\r\n")
    count = len(lines) + 2  # the first entry has three lines
    if body_bytes or method in _METHODS_WITH_BODY:
        lines.append(f"Content-Length: {body_bytes}\r\n")
        count += 1
    head = "".join(lines)
    if head.count("\r") != count or head.count("\n") != count or "\0" in head:
        raise ValueError("a header value has a line end or a NUL")
    try:
        return b"%b\r\n" % head.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("a header value has a character beyond Latin-1") from None


def _checked_host(host: str, *, is_bracketed: bool) -> str:
    if is_bracketed:
        if "%" in host:
            raise ValueError("an IPv6 address in a base URL has no zone")
        return str(ipaddress.IPv6Address(host))
    if len(host) > 253 or not _NAME_OF_HOST.fullmatch(host) or ".." in host:
        raise ValueError("a base URL has a host of letters, digits, dots and hyphens")
    return host


@lru_cache(maxsize=1024)
def _checked_target(method: str, path: str, base_path: str) -> str:
    """Return the request line and the start of the Host line."""
    if not _METHOD.fullmatch(method) or method in _METHODS_FRAMED_OTHERWISE:
        raise ValueError("not a method that we send")
    if (path and not _PRINTABLE.fullmatch(path)) or "#" in path or "\\" in path:
        raise ValueError("a path is printable ASCII without spaces, backslashes and fragment")
    if path and path[0] not in "/?":
        raise ValueError("a path starts with a slash")
    if _DOT_SEGMENT.search(path.partition("?")[0]):
        raise ValueError("a path has no dot segments")
    target = base_path + path
    if not target.startswith("/"):
        target = "/" + target
    return f"{method} {target} HTTP/1.1\r\nHost: "


@lru_cache(maxsize=512)
def _may_send(name: str) -> bool:
    if not _TOKEN.fullmatch(name):
        raise ValueError("not the name of a header")
    return name.lower() not in _OURS
