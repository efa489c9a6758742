"""JSON schemas as Gemini takes them: what it has no word for is told, never left out in silence.

Both places of a schema, `parametersJsonSchema` and `responseJsonSchema`, take JSON schema proper,
but not all of it. What only describes is dropped and named; what bounds the answer is dropped and
named at a tool, whose arguments the client checks anyway, and refused at the answer's own shape.

Source: the types of google-genai 3.4, `GenerateContentConfig.response_json_schema`, which lists
what is taken (read 2026-11-21).
"""

import re
from typing import Any

from wire.neutral import Dropped, unsupported

TAKEN = frozenset(
    {
        "$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum",
        "items", "prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf",
        "properties", "additionalProperties", "required", "propertyOrdering",
    }
)  # fmt: skip
"""The keywords that both take."""

_DESCRIPTIVE = frozenset(
    {
        "$schema",
        "$comment",
        "default",
        "examples",
        "example",
        "deprecated",
        "readOnly",
        "writeOnly",
        "title",
        "description",
    }
)
_OF_SCHEMAS = frozenset({"properties", "$defs"})
_LISTS_OF_SCHEMAS = frozenset({"anyOf", "oneOf", "prefixItems"})
_SCHEMAS = frozenset({"items", "additionalProperties"})


_SHOWABLE = re.compile(r"[\w$-]{1,40}", re.ASCII)


def of_tool(schema: dict[str, Any], dropped: Dropped) -> dict[str, Any]:
    """Return a tool's schema without what Gemini has no word for; all of that is noted."""
    return _Cleaner("tools.parameters", dropped, is_refused=False).clean(schema, "")


def of_answer(schema: dict[str, Any], param: str, dropped: Dropped) -> dict[str, Any]:
    """Return the schema of an answer; only what merely describes is left out, and noted.

    Raises: UnsupportedByModelError for what would bound the answer.
    """
    return _Cleaner(param, dropped, is_refused=True).clean(schema, "")


class _Cleaner:
    """A keyword is noted once, wherever it stands: what is noted goes into a header."""

    def __init__(self, param: str, dropped: Dropped, *, is_refused: bool) -> None:
        self._param = param
        self._dropped = dropped
        self._is_refused = is_refused

    def clean(self, schema: dict[str, Any], path: str) -> dict[str, Any]:
        cleaned: dict[str, Any] = {}
        for keyword, value in schema.items():
            if keyword == "const" and type(value) in (str, int, float):
                cleaned["enum"] = [value]  # says the same
            elif keyword == "definitions" and "$defs" not in schema:
                cleaned["$defs"] = self._inside("$defs", value, path)
            elif keyword in TAKEN and not ("$ref" in schema and keyword[0] != "$"):
                cleaned[keyword] = self._inside(keyword, value, path)
            else:
                self._leave_out(keyword, path)
        if type(ref := cleaned.get("$ref")) is str:
            cleaned["$ref"] = ref.replace("#/definitions/", "#/$defs/", 1)
        return cleaned

    def _leave_out(self, keyword: str, path: str) -> None:
        """Beside `$ref` Gemini takes nothing that doesn't begin with a dollar sign."""
        shown = keyword if _SHOWABLE.fullmatch(keyword) else "?"
        if self._is_refused and keyword not in _DESCRIPTIVE and not keyword.startswith("x-"):
            where = f"{self._param}{path}.{shown}"
            raise unsupported(where, "this model can't be held to it", "Say it without.")
        self._dropped.note(f"{self._param}.{shown}")

    def _inside(self, keyword: str, value: Any, path: str) -> Any:
        path = f"{path}.{keyword}"
        if keyword in _OF_SCHEMAS and type(value) is dict:
            return {name: self._maybe(inner, f"{path}.{name}") for name, inner in value.items()}
        if keyword in _LISTS_OF_SCHEMAS and type(value) is list:
            return [self._maybe(inner, f"{path}[{i}]") for i, inner in enumerate(value)]
        return self._maybe(value, path) if keyword in _SCHEMAS else value

    def _maybe(self, value: Any, path: str) -> Any:
        return self.clean(value, path) if type(value) is dict else value
