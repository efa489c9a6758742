"""Every error ends in what to do next (B-32): a verb to follow, or where to look."""

import re

_REMEDY = re.compile(
    r"\b(Ask|[Ll]eave it out|Call|Check|Choose|Come back|Leave|List|Make|Name|Raise|Refer|Remove|Say|Send|Shorten"
    r"|Take|Top up|Try again|Use|Wait|Write)\b|GET /v1/models|are listed in|are made in|it has"
    r"|This path takes|Its id is in"
)


def has_remedy(message: str) -> bool:
    """Whether a message tells its reader what to do."""
    return _REMEDY.search(message) is not None
