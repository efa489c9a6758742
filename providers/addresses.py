"""Which addresses a provider may be reached at: names resolved, and what isn't public kept out.

The check is on the address that is connected to, never on the name: a name that changes its mind
between check and use gains nothing.

Source: https://www.iana.org/assignments/iana-ipv4-special-registry and
https://www.iana.org/assignments/iana-ipv6-special-registry, read 2026-11-21.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from providers.transport_errors import AddressRefusedError, ConnectFailedError

KEPT_S = 30.0
"""How long a successful resolution is used."""

KEPT_HOSTS = 1024
"""How many answers are kept at most."""

_CLOSED_IPV4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_OPEN_IPV6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_IPV6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, ORCHID, benchmarks and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_IPV4_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP = 0x00005EFE
_ISATAP_GLOBAL = 0x02005EFE

_SocketAddress = tuple[str, int] | tuple[str, int, int, int]


class Address(NamedTuple):
    """What `socket.connect` takes: the family and its address, numeric."""

    family: int
    sockaddr: _SocketAddress

    @property
    def ip(self) -> str:
        """The numeric address, perhaps with the zone of a link-local one."""
        return self.sockaddr[0]


def is_public(ip: str) -> bool:
    """Tell whether a numeric address is reachable by anybody, and not one of our own surroundings.

    IPv6 is open by exception only: global unicast, less what wraps an IPv4 address (6to4, Teredo,
    ISATAP) or is set aside. IPv4-mapped and NAT64 addresses are judged by the IPv4 address within.
    """
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        if address not in _IPV4_MAPPED and address not in _NAT64:
            return _is_public_ipv6(address)
        address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return not any(address in network for network in _CLOSED_IPV4)


def _is_public_ipv6(address: ipaddress.IPv6Address) -> bool:
    if address not in _OPEN_IPV6 or any(address in network for network in _CLOSED_IPV6):
        return False
    return (int(address) >> 32) & 0xFFFFFFFF not in (_ISATAP, _ISATAP_GLOBAL)


def check_public(host: str, addresses: Iterable[Address]) -> None:
    """Refuse a host when one of its addresses isn't public, even if others are.

    Raises: AddressRefusedError
    """
    for address in addresses:
        if not is_public(address.ip):
            raise AddressRefusedError(f"{host} has an address that isn't public")


def _address(family: int, sockaddr: tuple[Any, ...]) -> Address:
    return Address(family, cast("_SocketAddress", sockaddr))


class Resolver:
    """Names to addresses, each answer kept for KEPT_S, and asked for once however many wait for it.

    `getaddrinfo` has no time-out of its own: it runs on a thread (a greenlet, when patched), and
    whoever needs the answer waits only as long as they may. Failures are not kept.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lookups: dict[tuple[str, int], _Lookup] = {}

    def resolve(self, host: str, port: int, timeout_s: float) -> tuple[Address, ...]:
        """Return every address of the host.

        Raises: ConnectFailedError
        """
        now = time.monotonic()
        with self._lock:
            lookup = self._lookups.get((host, port))
            is_new = lookup is None or lookup.expires_at <= now
            if lookup is None or is_new:
                self._make_room()
                lookup = self._lookups[host, port] = _Lookup(host, port)
        if is_new:
            lookup.start()
        if not lookup.done.wait(max(timeout_s, 0.0)):
            raise ConnectFailedError(f"{host}: the name was not resolved in time")
        if lookup.error is not None:
            raise ConnectFailedError(f"{host}: the name has no address") from lookup.error
        return lookup.addresses

    def forget(self, host: str, port: int) -> None:
        """Ask again next time: none of the addresses answered."""
        with self._lock:
            lookup = self._lookups.get((host, port))
            if lookup is not None and lookup.done.is_set():
                del self._lookups[host, port]

    def _make_room(self) -> None:
        if len(self._lookups) >= KEPT_HOSTS:
            kept = {key: each for key, each in self._lookups.items() if not each.done.is_set()}
            self._lookups = kept


class _Lookup:
    """One question to the resolver, under way or answered."""

    __slots__ = ("addresses", "done", "error", "expires_at", "host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.done = threading.Event()
        self.expires_at = float("inf")
        self.addresses: tuple[Address, ...] = ()
        self.error: Exception | None = None

    def start(self) -> None:
        """Ask; that there is no thread to ask on is an answer as well."""
        try:
            threading.Thread(target=self._run, name="resolve", daemon=True).start()
        except RuntimeError as error:
            self._end(error)

    def _run(self) -> None:
        try:
            found = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
            )
        except (OSError, UnicodeError) as error:
            self._end(error)
            return
        self.addresses = tuple(
            dict.fromkeys(_address(family, sockaddr) for family, _, _, _, sockaddr in found)
        )
        self._end(None if self.addresses else OSError("an empty answer"))

    def _end(self, error: Exception | None) -> None:
        self.error = error
        self.expires_at = 0.0 if error else time.monotonic() + KEPT_S
        self.done.set()
