"""How an exchange with a provider fails; `providers/transport.py` is where callers find these.

Messages name the host and the fault. They hold no header, no key, no path and no byte of an answer.
"""


class TransportError(Exception):
    """The exchange didn't come to its end."""


class ConnectFailedError(TransportError):
    """No connection: DNS, refused, TLS, or too slow. Only a stale one may have had the request."""


class AddressRefusedError(TransportError):
    """The host has an address that this origin may not reach. Nothing was sent."""


class ConnectionBrokenError(TransportError):
    """The connection ended early, or what came over it isn't HTTP/1.1."""


class DeadlineError(TransportError):
    """The exchange took longer than it may, or its body was silent for too long."""


class TransportAbortedError(TransportError):
    """Somebody called `abort`."""


class ResponseTooBigError(TransportError):
    """The body is larger than its reader takes."""
