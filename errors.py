"""Every failure that a caller can meet, as one tree.

TurnpikeError
├ InvalidRequestError 400
│ ├ InvalidParameterError
│ ├ ContextLengthError
│ ├ UnsupportedByModelError
│ └ UpstreamRejectedError            the provider refuses the caller's input
├ AccessError
│ ├ InvalidKeyError 401
│ ├ WrongCredentialError 401
│ ├ ForbiddenError 403
│ └ ForbiddenModelError 403
├ MoneyError
│ ├ InsufficientCreditsError 402
│ ├ InFlightBudgetError 402
│ ├ SpendingCapError 402
│ ├ WalletFrozenError 402
│ ├ LedgerUnavailableError 503
│ └ HoldResolvedError 500
├ NotFoundError 404
│ └ ModelNotFoundError
├ MethodNotAllowedError 405
├ ConflictError 409
├ TooLargeError 413
├ UriTooLongError 414
├ MediaTypeError 415
├ RateLimitedError 429
├ HeadersTooLargeError 431
├ UpstreamError 502
│ ├ UpstreamTimeoutError 502
│ ├ UpstreamBrokenError 502
│ ├ UpstreamBusyError 503
│ └ NoEndpointsError 503
├ DrainingError 503
└ InternalError 500

The domain raises, the edge renders. Each message ends in what to do next.
"""

from collections.abc import Mapping
from typing import ClassVar


class TurnpikeError(Exception):
    """A failure with a status, a `type` and a `code`, whose message a caller may read."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        provider: str | None = None,
        detail: str | None = None,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        """`detail` is for the log only; `facts` go to the caller as the error's metadata."""
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.provider = provider
        self.detail = detail
        self.facts = dict(facts or {})


class InvalidRequestError(TurnpikeError):
    """The request can't be understood as it stands."""

    status, type, code = 400, "invalid_request_error", "invalid_request"


class InvalidParameterError(InvalidRequestError):
    """One parameter has a value that isn't allowed; `param` names it."""

    code = "invalid_parameter"


class ContextLengthError(InvalidRequestError):
    """The prompt is longer than the model's context."""

    code = "context_length_exceeded"


class UnsupportedByModelError(InvalidRequestError):
    """The model can't do what was asked; the message names models that can."""

    code = "unsupported_by_model"


class UpstreamRejectedError(InvalidRequestError):
    """The provider refuses the caller's input; another try would be refused as well."""

    code = "provider_rejected"


class AccessError(TurnpikeError):
    """The caller may not do this."""

    status, type, code = 403, "permission_error", "forbidden"


class InvalidKeyError(AccessError):
    """No valid key was presented; unknown, malformed, revoked and expired keys look the same."""

    status, type, code = 401, "authentication_error", "invalid_api_key"


class WrongCredentialError(AccessError):
    """The credential is valid, but of a class that this endpoint doesn't take."""

    status, type, code = 401, "authentication_error", "wrong_credential"


class ForbiddenError(AccessError):
    """The key is valid and isn't allowed to do this."""


class ForbiddenModelError(AccessError):
    """The key, the plan or the class of the model forbids this model."""

    code = "model_not_allowed"


class MoneyError(TurnpikeError):
    """The ledger refuses; nothing was sent to a provider."""

    status, type, code = 402, "insufficient_quota", "insufficient_credits"


class InsufficientCreditsError(MoneyError):
    """The wallet can't cover the call, whatever else is in flight."""


class InFlightBudgetError(MoneyError):
    """The money is there, but held by calls that are still running."""

    code = "in_flight_budget"


class SpendingCapError(MoneyError):
    """A spending limit of the key, the member or the workspace stands in the way."""

    code = "spending_cap"


class WalletFrozenError(MoneyError):
    """An operator has frozen the wallet."""

    code = "wallet_frozen"


class LedgerUnavailableError(MoneyError):
    """The ledger can't be reached, so nothing may be spent.

    `is_uncertain`: it went away while it committed, and may have done so.
    """

    status, type, code = 503, "server_error", "ledger_unavailable"
    is_uncertain = False


class HoldResolvedError(MoneyError):
    """A hold was to be resolved a second time: a defect of ours, and no money has moved."""

    status, type, code = 500, "server_error", "hold_resolved"


class NotFoundError(TurnpikeError):
    """There is no such thing, or it is another workspace's."""

    status, type, code = 404, "invalid_request_error", "not_found"


class ModelNotFoundError(NotFoundError):
    """No model or alias of the catalog has this name."""

    code = "model_not_found"


class MethodNotAllowedError(TurnpikeError):
    """The path exists and doesn't answer to this method."""

    status, type, code = 405, "invalid_request_error", "method_not_allowed"


class ConflictError(TurnpikeError):
    """The request contradicts the present state."""

    status, type, code = 409, "invalid_request_error", "conflict"


class TooLargeError(TurnpikeError):
    """The body is larger than the endpoint reads."""

    status, type, code = 413, "invalid_request_error", "payload_too_large"


class UriTooLongError(TurnpikeError):
    """The address is longer than the server reads."""

    status, type, code = 414, "invalid_request_error", "uri_too_long"


class MediaTypeError(TurnpikeError):
    """The body has a type or a compression that the endpoint doesn't read."""

    status, type, code = 415, "invalid_request_error", "unsupported_media_type"


class HeadersTooLargeError(TurnpikeError):
    """The headers are more or longer than the server reads."""

    status, type, code = 431, "invalid_request_error", "headers_too_large"


class RateLimitedError(TurnpikeError):
    """Too many requests a minute; `Retry-After` says when the next one is welcome."""

    status, type, code = 429, "rate_limit_error", "rate_limit_exceeded"


class UpstreamError(TurnpikeError):
    """Every route that was tried has failed."""

    status, type, code = 502, "upstream_error", "upstream_error"


class UpstreamTimeoutError(UpstreamError):
    """The providers didn't answer in time."""

    code = "upstream_timeout"


class UpstreamBrokenError(UpstreamError):
    """A provider's answer broke off or made no sense."""


class UpstreamBusyError(UpstreamError):
    """Every provider that was tried is at its limit."""

    status, code = 503, "provider_overloaded"


class NoEndpointsError(UpstreamError):
    """No endpoint is left to try: health, region or capacity excludes them all."""

    status, code = 503, "no_endpoints"


class DrainingError(TurnpikeError):
    """The server is shutting down and takes no new work."""

    status, type, code = 503, "server_error", "shutting_down"


class InternalError(TurnpikeError):
    """A defect of ours; the log has it under the request's id."""
