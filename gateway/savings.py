"""What a call saved against the reference model, at this call's own token counts. Pure."""

from gateway import pricing
from gateway.catalog import Catalog
from wire.usage import Usage


def percent(catalog: Catalog, usage: Usage, charge_nusd: int) -> int | None:
    """Return how much less it cost than on the reference model, in percent; negative is dearer.

    None where the reference has no price, or would cost nothing itself.
    """
    entry = catalog.models.get(catalog.options.reference_model)
    if entry is None or not entry.routes:
        return None
    route = entry.routes[0]
    reference_nusd = pricing.cost(usage, route.price, route.markup_bps)
    if not reference_nusd:
        return None
    return round(100 * (reference_nusd - charge_nusd) / reference_nusd)
