"""The line of one paid call: plan, hold, attempt, relay, settle. Read this first.

Every call of every dialect goes through `start`, and through nothing else. What it needs stands
beside it: `planning` chooses the routes, `router` tries them, `call_hold` holds, `who_pays`
decides, `paid_call` settles, `relay` hands on.
"""

import random
from dataclasses import dataclass

from errors import DrainingError, InvalidParameterError, TurnpikeError
from gateway import catalog, disclosure, planning, router, runtime, telemetry
from gateway.dialects import ClientGoneError, Dialect, Line, Origin
from gateway.keys import Caller
from gateway.paid_call import PaidCall
from gateway.relay import KEEPALIVE_S, Relay, RenderError
from gateway.sound_relay import SoundRelay
from gateway.who_pays import End
from money import print_usd

__all__ = ["ClientGoneError", "Line", "Origin", "Relay", "Whole", "start"]


@dataclass(frozen=True, slots=True)
class Whole:
    """A plain answer, settled: its bytes, and the headers that tell how it came about."""

    body: bytes
    headers: dict[str, str]


def start(
    caller: Caller, call: Dialect, line: Line, origin: Origin, render_error: RenderError
) -> Whole | Relay:
    """Make one call and pay for it.

    A stream is returned once its first content is in, or after ten seconds without any: then
    comments keep the client's line while providers are still tried.

    Raises: NotFoundError, AccessError, InvalidRequestError, MoneyError before anything is sent;
    UpstreamError when every route has failed; ClientGoneError; DrainingError.
    """
    house = runtime.current()
    if house.is_draining:
        raise DrainingError("The server is shutting down. Try again.", retry_after_s=1)
    snapshot = catalog.current()
    try:
        routes = planning.plan(call, caller, snapshot, seed=random.getrandbits(32))
        _refuse_forced_tools(call, routes)
        paid = PaidCall(house, caller, call, routes, snapshot, line, origin)
        paid.open()
    except TurnpikeError as error:
        telemetry.REFUSED.labels(error.code).inc()
        raise
    if call.api == "speech":
        return SoundRelay(paid, _answered(paid), render_error)
    if call.is_streamed:
        return Relay(paid, paid.answer(KEEPALIVE_S), render_error)
    return _whole(paid)


def _answered(paid: PaidCall) -> router.Reply:
    while True:
        reply = paid.answer(router.TOTAL_S)
        if reply is not None:
            return reply


def _whole(paid: PaidCall) -> Whole:
    reply = _answered(paid)
    answer = reply.reading.answer
    if paid.has_client_left:
        paid.finish(End.CLIENT_LEFT)
        raise ClientGoneError
    paid.finish(End.BROKEN if answer.is_error_finish else End.FINISHED)
    body = answer.render(
        paid.record.id,
        reply.route.model_id,
        disclosure.usage_extra(paid),
        estimate=paid.estimate_shown(),
    )
    own = {"X-Turnpike-Cost-Usd": print_usd(paid.record.charge_nusd)}
    if hasattr(answer, "content_type"):
        own["Content-Type"] = answer.content_type
    return Whole(body, {**disclosure.headers(paid), **own})


def _refuse_forced_tools(call: Dialect, routes: tuple[catalog.Route, ...]) -> None:
    """A hosted tool that isn't priced is dropped, unless the caller insists on it."""
    forced = call.forced_tool
    if forced is not None and not all(forced in route.hosted_tools for route in routes):
        raise InvalidParameterError(
            f"The tool {forced} runs at the provider and isn't offered here. Leave it out.",
            param="tool_choice",
        )
