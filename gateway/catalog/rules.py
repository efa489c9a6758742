"""What the fields of the provisioning file mean together: each rule finds what breaks it."""

import ipaddress
from collections.abc import Callable, Iterator

from gateway.catalog.vendors import VENDORS
from gateway.catalog.written import WrittenFile, WrittenProvider
from providers.origin import Origin

Path = tuple[str | int, ...]
Problem = tuple[Path, str]
"""A place in the file and what is wrong there, with the remedy."""

LOCAL = "local/"
SANDBOX = "sandbox"
NEEDS_NO_ADDRESS = (SANDBOX, "anthropic", "gemini")


def names_are_unique(file: WrittenFile) -> Iterator[Problem]:
    """No slug or id twice; no alias under a model's id."""
    rows: dict[str, list[tuple[str, str]]] = {
        "providers": [("slug", row.slug) for row in file.providers],
        "models": [("id", row.id) for row in file.models],
        "aliases": [("id", row.id) for row in file.aliases],
        "plans": [("slug", row.slug) for row in file.plans],
    }
    for table, named in rows.items():
        seen = {row.id for row in file.models} if table == "aliases" else set()
        for number, (field, name) in enumerate(named):
            if name in seen:
                yield (table, number, field), f"{name} is there already; keep one of them"
            seen.add(name)
    for number, model in enumerate(file.models):
        places = set()
        for at, endpoint in enumerate(model.endpoints):
            place = (endpoint.provider, endpoint.upstream_model)
            if place in places:
                yield (
                    ("models", number, "endpoints", at, "upstream_model"),
                    f"{place[1]} at {place[0]} is there already; keep one of them",
                )
            places.add(place)


def providers_can_be_reached(file: WrittenFile) -> Iterator[Problem]:
    """An address that may be called, and one way to give the keys."""
    for number, row in enumerate(file.providers):
        if row.api_key is not None and row.api_keys is not None:
            yield ("providers", number, "api_keys"), "api_key is set too; keep one of them"
        for key in (*(row.api_keys or ()), *([row.api_key] if row.api_key else [])):
            if not (key.isascii() and key.isprintable() and " " not in key):
                field = "api_key" if row.api_keys is None else "api_keys"
                yield ("providers", number, field), "a key is printable ASCII without spaces"
        if row.base_url is None:
            if row.kind not in NEEDS_NO_ADDRESS:
                yield (
                    ("providers", number, "base_url"),
                    f'a provider of kind {row.kind} needs one, such as "https://host/v1"',
                )
        elif problem := _problem_of_address(row.base_url, row):
            yield ("providers", number, "base_url"), problem


def endpoints_have_providers(file: WrittenFile) -> Iterator[Problem]:
    """Each endpoint is at a provider of the file, a vendor's own, or the sandbox."""
    known = {row.slug for row in file.providers} | set(VENDORS) | {SANDBOX}
    for number, model in enumerate(file.models):
        for at, endpoint in enumerate(model.endpoints):
            if endpoint.provider not in known:
                yield (
                    ("models", number, "endpoints", at, "provider"),
                    f"there is no provider {endpoint.provider}; add it under [[providers]]",
                )


def local_models_stay_here(file: WrittenFile) -> Iterator[Problem]:
    """What is called `local/` never leaves the operator's machines."""
    stays = {row.slug for row in file.providers if row.local}
    for number, model in enumerate(file.models):
        if not model.id.startswith(LOCAL):
            continue
        for at, endpoint in enumerate(model.endpoints):
            if endpoint.provider not in stays:
                yield (
                    ("models", number, "endpoints", at, "provider"),
                    f"{model.id} says that it stays here, but {endpoint.provider} is not "
                    "local = true; give the model another id or mark the provider",
                )


def hosted_tools_have_a_price(file: WrittenFile) -> Iterator[Problem]:
    """A tool that runs at the provider changes its bill, so it needs a price."""
    tools = {row.slug: row.hosted_tools for row in file.providers}
    for number, model in enumerate(file.models):
        for at, endpoint in enumerate(model.endpoints):
            named = endpoint.hosted_tools
            if named is None:
                named = tools.get(endpoint.provider, ())
            price = endpoint.price or model.price
            if "web_search" in named and price is not None and price.web_search is None:
                yield (
                    ("models", number, "endpoints", at),
                    "the hosted tool web_search has no price; add web_search to the price, "
                    "or hosted_tools = [] to the endpoint",
                )


def tiers_ascend(file: WrittenFile) -> Iterator[Problem]:
    """The bonus tiers of [topups] stand in order, so that the highest that fits is plain to see."""
    tiers = file.topups.bonus if file.topups else ()
    for number in range(1, len(tiers)):
        before, here = tiers[number - 1].from_usd, tiers[number].from_usd
        if _number(here) <= _number(before):
            yield ("topups", "bonus"), f"from_usd {here} comes after {before}; let them ascend"


RULES: tuple[Callable[[WrittenFile], Iterator[Problem]], ...] = (
    names_are_unique,
    providers_can_be_reached,
    endpoints_have_providers,
    local_models_stay_here,
    hosted_tools_have_a_price,
    tiers_ascend,
)


def _number(amount: str) -> float:
    return float(amount) if amount.replace(".", "", 1).isdigit() else float("inf")


def _problem_of_address(base_url: str, row: WrittenProvider) -> str | None:
    try:
        origin = Origin(base_url, row.private_network)
    except ValueError as error:
        return f'{error}; write one such as "https://host/v1"'
    if _is_private(origin.key.host) and not row.private_network:
        return f"{origin.key.host} is on a private network; allow it with private_network = true"
    return None


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False
