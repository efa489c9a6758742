"""What a key may be: the value of each field is checked here, whoever asks for it. Pure.

Every refusal is an InvalidParameterError that names its field.
"""

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

import clock
from errors import ForbiddenError, InvalidParameterError
from gateway import key_text
from gateway.callers import Caller, networks
from money import LARGEST_NUSD

KINDS = ("inference", "management")
PLATFORMS = ("intl", "cn")
RESETS = {"daily": "day", "weekly": "week", "monthly": "month", None: "lifetime"}
"""The word for a limit's reset, and the period that it stands for in `caps`."""

LONGEST_NAME = 100
LARGEST_RPM = 1_000_000
LONGEST_MODEL = 256
MOST_LISTED = 500
LAST_MS = 253_402_300_799_999
"""The end of the year 9999: no calendar writes a later one."""

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNPRINTED = frozenset({"Cc", "Cs", "Zl", "Zp"})


def checked(values: Mapping[str, object]) -> dict[str, Any]:
    """Return the fields in the form that is kept; a field that nobody may set is refused.

    Raises: InvalidParameterError.
    """
    unknown = [name for name in values if name not in _RULES]
    if unknown:
        raise _bad(unknown[0], "A key has no such field that can be set. Leave it out.")
    return {name: _RULES[name](value) for name, value in values.items()}


def check_limit(limit_nusd: int | None, reset: str | None) -> None:
    """Refuse a reset of a limit that isn't there: who sets one believes in a limit.

    Raises: InvalidParameterError.
    """
    if limit_nusd is None and reset is not None:
        raise _bad("limit", "A limit that resets needs an amount. Set both, or neither.")


def check_not_wider(maker: Caller, workspace_id: str, wanted: Mapping[str, Any]) -> None:
    """Refuse a key that may do more than the key that asks for it.

    Raises: ForbiddenError.
    """
    if workspace_id != maker.workspace_id:
        raise _wider("belong to another workspace")
    if wanted.get("kind", "inference") != "inference":
        raise _wider("be a management key; make one in the console", is_whole=True)
    if maker.user_id is not None and wanted.get("user_id", maker.user_id) != maker.user_id:
        raise _wider("belong to another member")
    models = wanted.get("models")
    if maker.models is not None and (models is None or not maker.models.issuperset(models)):
        raise _wider("call models that its maker can't")
    if maker.networks is not None and not _are_within(maker, wanted.get("ips")):
        raise _wider("be used from where its maker can't")
    if maker.platform is not None and wanted.get("platform") != maker.platform:
        raise _wider("call another platform than its maker")
    expires_at = wanted.get("expires_at")
    if maker.expires_at is not None and (expires_at is None or expires_at > maker.expires_at):
        raise _wider("outlive its maker")


def _are_within(maker: Caller, ips: list[str] | None) -> bool:
    if ips is None:
        return False
    return all(
        any(
            network.version == own.version and network.subnet_of(own)  # type: ignore[arg-type]
            for own in maker.networks or ()
        )
        for network in networks(ips)
    )


def _wider(what: str, *, is_whole: bool = False) -> ForbiddenError:
    remedy = "" if is_whole else ". Ask for less, or make it in the console"
    return ForbiddenError(f"A key that is made with this one can't {what}{remedy}.")


def _name(value: object) -> str:
    name = value.strip() if isinstance(value, str) else ""
    is_printed = all(c not in _BIDI and unicodedata.category(c) not in _UNPRINTED for c in name)
    if not 1 <= len(name) <= LONGEST_NAME or not is_printed or key_text.is_in(name):
        raise _bad(
            "name",
            "Give the key a name of 1 to 100 characters, in one line and without a key in it.",
        )
    return name


def _one_of(param: str, *choices: str | None) -> Callable[[object], Any]:
    listed = ", ".join("null" if choice is None else choice for choice in choices)

    def check(value: object) -> object:
        if value not in choices:
            raise _bad(param, f"It must be one of {listed}.")
        return value

    return check


def _whole(param: str, least: int, most: int, sentence: str) -> Callable[[object], int | None]:
    def check(value: object) -> int | None:
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise _bad(param, sentence)
        return value

    return check


def _user_id(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _bad("user_id", "It must be the id of a member of the workspace.")
    return value


def _models(value: object) -> list[str] | None:
    listed = _listed("models", value)
    if listed is None:
        return None
    if any(not 1 <= len(text) <= LONGEST_MODEL or text != text.strip() for text in listed):
        raise _bad("models", f"Each must be a model's id of 1 to {LONGEST_MODEL} characters.")
    return listed


def _ips(value: object) -> list[str] | None:
    listed = _listed("ips", value)
    if listed is None:
        return None
    try:
        return [str(network) for network in networks(listed)]
    except ValueError as error:
        sentence = "Each must be an address or a network, such as 203.0.113.0/24."
        raise _bad("ips", sentence) from error


def _listed(param: str, value: object) -> list[str] | None:
    if value is None:
        return None
    texts = list(value) if isinstance(value, list | tuple | set | frozenset) else []
    if not 1 <= len(texts) <= MOST_LISTED or not all(isinstance(text, str) for text in texts):
        raise _bad(param, f"List 1 to {MOST_LISTED} of them, or leave it out to allow all.")
    return list(dict.fromkeys(texts))


def _expires_at(value: object) -> int | None:
    sentence = "The expiry must be an instant in the future."
    instant_ms = _whole("expires_at", 0, LAST_MS, sentence)(value)
    if instant_ms is not None and instant_ms <= clock.now_ms():
        raise _bad("expires_at", sentence)
    return instant_ms


def _bad(param: str, sentence: str) -> InvalidParameterError:
    return InvalidParameterError(f"{param}: {sentence}", param=param)


_RULES: dict[str, Callable[[object], Any]] = {
    "name": _name,
    "kind": _one_of("kind", *KINDS),
    "user_id": _user_id,
    "limit_nusd": _whole(
        "limit", 0, LARGEST_NUSD, "It must be an amount of 0 or more, or null for no limit."
    ),
    "limit_reset": _one_of("limit_reset", *RESETS),
    "rpm": _whole("rpm", 0, LARGEST_RPM, "It must be a whole number from 0 (none) to 1000000."),
    "models": _models,
    "ips": _ips,
    "platform": _one_of("platform", *PLATFORMS, None),
    "expires_at": _expires_at,
}
