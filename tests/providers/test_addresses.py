"""What may be reached: addresses in every disguise, names, and base URLs."""

import contextlib
import time

import pytest

from providers.addresses import Address, Resolver, _Lookup, check_public, is_public
from providers.transport import AddressRefusedError, ConnectFailedError, Origin, Transport


def words(text: str) -> list[str]:
    return text.split()


CLOSED = words("""
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254 127.0.0.1 127.255.255.254
169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.254 192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1
192.168.0.1 192.168.255.254 198.18.0.1 198.19.255.254 198.51.100.7 203.0.113.7 224.0.0.1
239.255.255.255 240.0.0.1 255.255.255.254 255.255.255.255
:: ::1 ::2 ::7f00:1 ::8.8.8.8 ::ffff:0.0.0.0 ::ffff:127.0.0.1 ::ffff:a9fe:a9fe ::ffff:10.0.0.1
::ffff:0:8.8.8.8 64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b::10.1.2.3 64:ff9b:1::1
64:ff9b:1::8.8.8.8 100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1
2001:20::1 2001:db8::1 2002::1 2002:7f00:1:: 2002:a9fe:a9fe:: 2002:0808:0808:: 3fff::1 5f00::1
fc00::1 fd00::1 fd12:3456:789a::1 fe80::1 fe80::1%lo fe80::1%25eth0 febf::1 fec0::1 ff02::1 ff0e::1
2600::5efe:10.0.0.1 2600::200:5efe:8.8.8.8 2606:4700::1111%eth0 4000::1
""")

OPEN = words("""
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1
169.253.255.255 172.15.255.255 172.32.0.1 192.0.1.1 198.17.255.255 198.20.0.1 223.255.255.255
2606:4700:4700::1111 2a00:1450:4001:80e::200e 2001:4860:4860::8888 2600:1f18::1 ::ffff:8.8.8.8
64:ff9b::8.8.8.8
""")


def test_the_forms_are_many_and_different() -> None:
    assert len(set(CLOSED)) == len(CLOSED) >= 60


@pytest.mark.parametrize("ip", CLOSED)
def test_an_address_of_our_own_surroundings_is_closed(ip: str) -> None:
    assert not is_public(ip)


@pytest.mark.parametrize("ip", OPEN)
def test_a_public_address_is_open(ip: str) -> None:
    assert is_public(ip)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "0x7f.1", "1.1.1.1 ", "01.1.1.1", "1"])
def test_what_is_not_an_address_is_closed(text: str) -> None:
    assert not is_public(text)


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    public = Address(2, ("8.8.8.8", 443))
    check_public("mixed.example", [public, public])
    for private in (Address(2, ("10.0.0.1", 443)), Address(10, ("fd00::1", 443, 0, 0))):
        for answer in ([public, private], [private, public]):
            with pytest.raises(AddressRefusedError, match=r"mixed\.example"):
                check_public("mixed.example", answer)


HOSTS = words("""
127.0.0.1 127.1 127.0.1 0 0x7f.1 0x7f000001 2130706433 017700000001 0177.0.0.1 2852039166 0xa9fea9fe
0251.0376.0251.0376 169.16689662 169.254.43518 10.1 192.168.257 localhost LOCALHOST 169.254.169.254
[::] [::1] [::ffff:127.0.0.1] [::ffff:a9fe:a9fe] [2002:a9fe:a9fe::] [64:ff9b::a9fe:a9fe] [fe80::1]
[fd00::1] [2001::1] [::127.0.0.1] [ff02::1]
""")


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_leads_inside_is_refused_without_leave(host: str) -> None:
    with contextlib.closing(Transport()) as transport:
        for url in (f"http://{host}", f"http://{host}:8080/v1"):
            origin = Origin(url, allow_private=False, connect_timeout_s=2)
            with pytest.raises(AddressRefusedError):
                transport.open(origin, "GET", "/", {}, b"", time.monotonic() + 2)


def test_an_answer_is_kept_and_can_be_forgotten() -> None:
    resolver = Resolver()
    first = resolver.resolve("localhost", 80, 2)
    assert first
    assert resolver.resolve("localhost", 80, 2) is first
    assert resolver.resolve("localhost", 81, 2) is not first
    resolver.forget("localhost", 80)
    resolver.forget("localhost", 80)
    assert resolver.resolve("localhost", 80, 2) is not first


def test_a_failure_is_told_and_not_kept() -> None:
    resolver = Resolver()
    for _ in range(2):
        with pytest.raises(ConnectFailedError):
            resolver.resolve("a" * 64, 80, 2)


def test_nobody_waits_for_a_name_longer_than_they_may() -> None:
    resolver = Resolver()
    resolver._lookups["slow.example", 80] = _Lookup("slow.example", 80)  # asked, not answered
    with pytest.raises(ConnectFailedError, match="in time"):
        resolver.resolve("slow.example", 80, 0.02)


def test_only_so_many_answers_are_kept() -> None:
    resolver = Resolver()
    for port in range(1, 1200):
        resolver.resolve("127.0.0.1", port, 2)
    assert len(resolver._lookups) <= 1024


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "base_path"),
    [
        ("https://api.example.com/v1", "api.example.com", 443, "api.example.com", "/v1"),
        ("https://api.example.com/v1/", "api.example.com", 443, "api.example.com", "/v1"),
        ("http://LocalHost:8080", "localhost", 8080, "localhost:8080", ""),
        ("http://[::1]:80/a/b", "::1", 80, "[::1]", "/a/b"),
        ("https://[2606:4700::0:1111]:8443", "2606:4700::1111", 8443, "[2606:4700::1111]:8443", ""),
    ],
)
def test_a_base_url_is_taken_apart(
    url: str, host: str, port: int, authority: str, base_path: str
) -> None:
    origin = Origin(url, allow_private=False)
    assert (origin.key.host, origin.key.port) == (host, port)
    assert (origin.authority, origin.base_path) == (authority, base_path)


URLS = words("""
ftp://a file:///etc/passwd gopher://a unix:/a a.example //a.example https:// https:///v1
https://user@a.example https://user:pass@a.example https://@a.example https://a.example#@b
https://a.example/?q=1 https://a.example/#f https://a.example\\@b https://a.example:0
https://a.example:99999 https://a.example:x https://[fe80::1%25eth0]/ https://[::1 https://[v1.a]
https://a..b https://.a https://a%2eb https://\u00e9.example https://a.example/../b
https://-a.example https://a.example,b
""")


@pytest.mark.parametrize(
    "url",
    [
        *URLS,
        "",
        "https://a.example/a b",
        "https://a.ex\tample",
        "https://a.example\n",
        " https://a",
    ],
)
def test_a_base_url_that_could_mean_something_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Origin(url, allow_private=True)
    assert "pass" not in str(caught.value)
