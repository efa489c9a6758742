"""TLS to providers: who is believed, and that waiting through it is bounded as well."""

import contextlib
import datetime
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from providers.transport import (
    ConnectFailedError,
    DeadlineError,
    Transport,
    TransportAbortedError,
)
from tests.providers.raw_upstream import (
    HEAD,
    Peer,
    RawUpstream,
    always,
    answer,
    echo_path,
    exchange,
    fetch,
    once,
)

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate authority of our own, and the certificates that it signs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Our authority")])
        self.certificate = self._sign(self.name, self.key, [], NOW + DAY, is_authority=True)
        self.pem = folder / "authority.pem"
        self.pem.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def client(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.pem)
        return context

    def server(self, *names: x509.GeneralName, ends_at: datetime.datetime) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        return self._context(key, self._sign(name, key, names, ends_at, is_authority=False))

    def self_signed(self) -> ssl.SSLContext:
        return self._context(self.key, self.certificate)

    def _context(
        self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
    ) -> ssl.SSLContext:
        pem = self.folder / f"{certificate.serial_number}.pem"
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: object,
        ends_at: datetime.datetime,
        *,
        is_authority: bool,
    ) -> x509.Certificate:
        names = [*names] if isinstance(names, list | tuple) else []
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 3 * DAY)
            .not_valid_after(ends_at)
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())


LOCALHOST = x509.DNSName("localhost")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def transport(authority: Authority) -> Iterator[Transport]:
    with contextlib.closing(Transport(ssl_context=authority.client())) as opened:
        yield opened


def test_a_trusted_host_is_called_and_its_connection_kept(
    transport: Transport, authority: Authority
) -> None:
    context = authority.server(LOCALHOST, ends_at=NOW + DAY)
    asked: list[str | None] = []
    context.sni_callback = lambda _sock, name, _context: asked.append(name)
    with RawUpstream(echo_path, context=context) as upstream:
        for turn in range(4):
            assert fetch(transport, upstream.origin(), f"/{turn}") == b"/v1/%d" % turn
        assert asked == ["localhost"]
        assert len(upstream.peers) == 1


def test_an_address_is_checked_as_a_name_is(transport: Transport, authority: Authority) -> None:
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    context = authority.server(address, ends_at=NOW + DAY)
    with RawUpstream(always(answer(b"ok")), context=context) as upstream:
        assert fetch(transport, upstream.origin(host="127.0.0.1")) == b"ok"
        with pytest.raises(ConnectFailedError, match="certificate"):
            fetch(transport, upstream.origin())
        assert len(upstream.requests) == 1


BAD: dict[str, Callable[[Authority], ssl.SSLContext]] = {
    "wrong host": lambda ca: ca.server(x509.DNSName("example.com"), ends_at=NOW + DAY),
    "no host": lambda ca: ca.server(ends_at=NOW + DAY),
    "self-signed": Authority.self_signed,
    "expired": lambda ca: ca.server(LOCALHOST, ends_at=NOW - DAY),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_certificate_is_refused_before_anything_is_sent(
    transport: Transport, authority: Authority, bad: Callable[[Authority], ssl.SSLContext]
) -> None:
    with RawUpstream(echo_path, context=bad(authority)) as upstream:
        with pytest.raises(ConnectFailedError, match="certificate refused"):
            fetch(transport, upstream.origin())
        assert upstream.requests == []


def test_nobody_trusts_our_authority_by_default(authority: Authority) -> None:
    context = authority.server(LOCALHOST, ends_at=NOW + DAY)
    with (
        contextlib.closing(Transport()) as usual,
        RawUpstream(echo_path, context=context) as upstream,
        pytest.raises(ConnectFailedError, match="certificate refused"),
    ):
        fetch(usual, upstream.origin())


def drips(peer: Peer) -> None:
    """Send the head of a handshake record that never ends."""
    peer.drip(b"\x16\x03\x03\x40\x00\x02" + b"\x00" * 400, 0.005)


BAD_HANDSHAKES: dict[str, Callable[[Peer], object]] = {
    "stalled": Peer.wait_for_close,
    "dripping": drips,
    "not TLS": lambda peer: peer.send(answer(b"plain")),
    "reset": Peer.reset,
    "closed": lambda _: None,
}


@pytest.mark.parametrize("script", BAD_HANDSHAKES.values(), ids=BAD_HANDSHAKES)
def test_a_handshake_that_comes_to_nothing_ends_within_the_connect_time(
    transport: Transport, script: Callable[[Peer], object]
) -> None:
    with RawUpstream(script) as upstream:
        origin = upstream.origin()
        began = time.monotonic()
        with pytest.raises(ConnectFailedError):
            fetch(transport, type(origin)(origin.base_url.replace("http:", "https:"), True, 0.2))
        assert time.monotonic() - began < 0.6


def test_an_abort_wakes_a_reader_of_tls(transport: Transport, authority: Authority) -> None:
    context = authority.server(LOCALHOST, ends_at=NOW + DAY)
    script = once(HEAD + b"Content-Length: 9\r\n\r\nab")
    with (
        RawUpstream(script, context=context) as upstream,
        exchange(transport, upstream.origin()) as call,
    ):
        assert call.read(2) == b"ab"
        assert call.read(0.02) is None
        timer = threading.Timer(0.1, call.abort)
        timer.start()
        began = time.monotonic()
        with pytest.raises(TransportAbortedError):
            call.read(5)
        assert time.monotonic() - began < 0.5
        timer.join()


def test_the_deadline_holds_while_half_a_record_drips_in(
    transport: Transport, authority: Authority
) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + b"Content-Length: 9\r\n\r\nab")
        assert isinstance(peer.sock, ssl.SSLSocket)
        with contextlib.suppress(OSError):
            for _ in range(400):
                # Beneath TLS: the head of a record of 16 KiB, and then its bytes one by one.
                super(ssl.SSLSocket, peer.sock).send(b"\x17\x03\x03\x40\x00")
                time.sleep(0.005)

    context = authority.server(LOCALHOST, ends_at=NOW + DAY)
    with RawUpstream(script, context=context) as upstream:
        began = time.monotonic()
        with exchange(transport, upstream.origin(), within_s=0.3) as call:
            assert call.read(2) == b"ab"
            assert call.read(0.05) is None
            with pytest.raises(DeadlineError):
                call.read(5)
        assert time.monotonic() - began < 0.7


def test_a_body_of_many_records_and_a_large_request_pass_whole(
    transport: Transport, authority: Authority
) -> None:
    context = authority.server(LOCALHOST, ends_at=NOW + DAY)
    with RawUpstream(always(answer(b"x" * 500_000)), context=context) as upstream:
        for _ in range(2):
            assert fetch(transport, upstream.origin(), body=b"y" * 500_000) == b"x" * 500_000
        assert len(upstream.peers) == 1
        assert upstream.requests[0].endswith(b"y" * 500_000)


def test_what_follows_an_answer_in_another_record_is_not_the_next_answer(
    transport: Transport, authority: Authority
) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer(b"mine"))
        peer.send(answer(b"stolen"))
        peer.wait_for_close()

    context = authority.server(LOCALHOST, ends_at=NOW + DAY)
    with RawUpstream(script, echo_path, context=context) as upstream:
        assert fetch(transport, upstream.origin()) == b"mine"
        time.sleep(0.05)
        assert fetch(transport, upstream.origin(), "/b") == b"/v1/b"
