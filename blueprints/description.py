"""The API's description in OpenAPI 3.1, as it is served: docs/openapi.json for one address."""

import copy
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docs" / "openapi.json"
CHANGELOG = ROOT / "CHANGELOG.md"
ADDRESSES = 16
"""A caller may call us by any name; so many descriptions are kept."""

_VERSION = re.compile(r"^## \[(\d+\.\d+\.\d+)\]", re.MULTILINE)


@lru_cache(maxsize=ADDRESSES)
def description(base_url: str) -> bytes:
    """Return the document with the server's address, and with the twins under /api/v1.

    A path of /v1 that the file has under /api/v1 as well isn't the same there: its row stands.
    """
    document = msgspec.json.decode(FILE.read_bytes())
    document["info"]["version"] = version()
    document["servers"] = [{"url": base_url}]
    paths: dict[str, Any] = document["paths"]
    for path in [path for path in paths if path.startswith("/v1/")]:
        paths.setdefault(f"/api{path}", _twin(paths[path]))
    return msgspec.json.encode(document)


@lru_cache(maxsize=1)
def version() -> str:
    """Return the newest version that the changelog names."""
    found = _VERSION.search(CHANGELOG.read_text(encoding="utf-8"))
    return found[1] if found else "0"


def _twin(item: dict[str, Any]) -> dict[str, Any]:
    twin = copy.deepcopy(item)
    for operation in twin.values():
        operation["operationId"] = f"{operation['operationId']}UnderApi"
    return twin
