"""What is known of a request before anything else: its id, and the address it comes from."""

import ipaddress
import re

from flask import Request, current_app

import ids
from settings import Network, Settings

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
HOPS = 32


def request_id_of(request: Request) -> str:
    """Return the caller's own X-Request-Id where it is sane, else a new one."""
    told = request.environ.get("HTTP_X_REQUEST_ID", "")
    return told if told and _ID.fullmatch(told) else ids.new_id("req_")


def settings() -> Settings:
    """Return the settings of the app that serves this request."""
    found: Settings = current_app.config["TURNPIKE"]
    return found


def address_of(request: Request) -> str:
    """Return the client's address; X-Forwarded-For counts as far as trusted proxies wrote it."""
    address: str = request.environ.get("REMOTE_ADDR") or "0.0.0.0"  # noqa: S104 - no peer, no bind
    trusted = settings().trusted_proxies
    if not trusted or not _is_in(address, trusted):
        return address
    forwarded = request.environ.get("HTTP_X_FORWARDED_FOR", "")
    for hop in reversed(forwarded.split(",")[-HOPS:]):
        hop = hop.strip()
        if not _is_address(hop):
            return address
        address = hop
        if not _is_in(address, trusted):
            return address
    return str(address)


def bucket_of(address: str) -> str:
    """Return the name of an address's rate bucket: an IPv6 host has its /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "address:unknown"
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.version == 6:
        return f"address:{ipaddress.ip_network((parsed, 64), strict=False).network_address}"
    return f"address:{parsed}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
