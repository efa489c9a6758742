"""The door of /v1 and its twin /api/v1: who is calling, and how often they may.

Each view says which credentials it takes (`accepts`); one that says nothing lets nobody in. A
caller's limits are counted before the view runs, a stranger's by address, and every answer tells
them.
"""

from collections.abc import Callable
from typing import TypeVar

from flask import Response, current_app, g, request

from blueprints.arrival import address_of, bucket_of, request_id_of
from errors import AccessError, InvalidKeyError, LedgerUnavailableError, WrongCredentialError
from gateway import catalog, keys, runtime
from gateway.keys import Caller
from gateway.limits import Allowance, EmptyBucketError, rpm_of

PREFIXES = ("/v1/", "/api/v1/")
STRANGERS_RPM = 300
ACCOUNT_RPM = 600

KEY_HINT = (
    "Send it as 'Authorization: Bearer tp_live_…'; keys are made in the console under API keys."
)
WRONG = {
    "management": "A management key can't call models. Use an API key (tp_live_…) here.",
    "inference": "An API key can't do this. Use a management key (tp_mgmt_…) or sign in.",
}

View = TypeVar("View", bound=Callable[..., object])


def accepts(*credentials: str) -> Callable[[View], View]:
    """Say which credentials a view takes: "inference", "management", or "none" for everybody."""

    def mark(view: View) -> View:
        view.credentials = frozenset(credentials)  # type: ignore[attr-defined]
        return view

    return mark


def is_inside(path: str) -> bool:
    """Whether a path belongs to the API."""
    return path.startswith(PREFIXES) or f"{path}/" in PREFIXES


def enter() -> None:
    """Before every request of the API: find the caller and count the call.

    Raises: InvalidKeyError, WrongCredentialError, ForbiddenError, RateLimitedError,
    LedgerUnavailableError.
    """
    g.request_id = request_id_of(request)
    g.allowance = None
    address = address_of(request)
    wanted = _wanted()
    try:
        caller = _caller(address, wanted)
    except AccessError:
        _count(bucket_of(address), STRANGERS_RPM)
        raise
    except LedgerUnavailableError:
        _check_address(address)  # nobody knows whether the key is bad
        raise
    if caller is None:
        _count(bucket_of(address), STRANGERS_RPM)
        return
    g.caller = caller
    if caller.kind == "management":
        _count(f"key:{caller.key_id}", ACCOUNT_RPM)
    else:
        default_rpm = catalog.current().options.default_rate_limit_rpm
        _count(f"key:{caller.key_id}", rpm_of(caller, default_rpm))
    if wanted is not None and caller.kind not in wanted:
        raise WrongCredentialError(WRONG[caller.kind])


def leave(response: Response) -> Response:
    """Put the request's id and the limits on an answer of the API."""
    headers = response.headers
    headers["X-Request-Id"] = g.request_id
    allowance: Allowance | None = g.get("allowance")
    if allowance is not None:
        headers["X-RateLimit-Limit"] = str(allowance.limit)
        headers["X-RateLimit-Remaining"] = str(allowance.remaining)
        headers["X-RateLimit-Reset"] = str(allowance.reset_at_s)
    return response


def _wanted() -> frozenset[str] | None:
    """Return the credentials that the view takes; None where there is no view (404, 405)."""
    if request.endpoint is None:
        return None
    view = current_app.view_functions[request.endpoint]
    return getattr(view, "credentials", frozenset())


def _caller(address: str, wanted: frozenset[str] | None) -> Caller | None:
    if wanted is not None and "none" in wanted:
        return None
    bearer = _bearer(request.environ.get("HTTP_AUTHORIZATION")) or _api_key(request.path)
    if bearer is None:
        if wanted is None:
            return None
        raise InvalidKeyError(f"No API key was sent. {KEY_HINT}")
    return keys.find(bearer, address, _check_address)


def _bearer(header: str | None) -> str | None:
    if not header:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "bearer" or not value.strip():
        raise InvalidKeyError(f"The Authorization header isn't a bearer key. {KEY_HINT}")
    return value.strip()


def _check_address(address: str) -> None:
    """Spare the database what an address with too many bad keys tries next."""
    _spend(runtime.current().limiter.check, bucket_of(address), STRANGERS_RPM)


def _api_key(path: str) -> str | None:
    """Return the key as Anthropic's clients send it, at messages only."""
    return request.environ.get("HTTP_X_API_KEY") if "/v1/messages" in path else None


def _count(bucket: str, rpm: int) -> None:
    _spend(runtime.current().limiter.admit, bucket, rpm)


def _spend(ask: Callable[[str, int], Allowance], bucket: str, rpm: int) -> None:
    try:
        g.allowance = ask(bucket, rpm)
    except EmptyBucketError as error:
        g.allowance = error.allowance
        raise
