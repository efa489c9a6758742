"""Every error ends in what to do next (B-32): a verb to follow, or where to look."""

import re

_REMEDY = re.compile(
    r"\b(Ask|Call|Check|Choose|Come back|Leave|leave it out|List|Make|Name|Raise|Refer|Remove|Say"
    r"|Send|Shorten|Take|Top up|Try again|Use|Wait|Write)\b|GET /v1/models|are listed in"
    r"|are made in|This path takes|Its id is in"
)


def has_remedy(message: str) -> bool:
    """Whether a message tells its reader what to do."""
    return _REMEDY.search(message) is not None
