"""The smallest value that a JSON schema allows, as far as that can be said in a few lines."""

from typing import Any

DEPTH_MOST = 16

_SMALLEST: dict[str, Any] = {
    "string": "",
    "integer": 0,
    "number": 0,
    "boolean": False,
    "array": [],
    "null": None,
}


def smallest(schema: object, depth: int = 0) -> Any:
    """Return the first enum member, the constant, or the emptiest value of the type.

    Objects get the properties that they require. References and bounds aren't followed.
    """
    if not isinstance(schema, dict) or depth > DEPTH_MOST:
        return {}
    if "const" in schema:
        return schema["const"]
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return choices[0]
    for alternatives in (schema.get("anyOf"), schema.get("oneOf")):
        if isinstance(alternatives, list) and alternatives:
            return smallest(alternatives[0], depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        kind = kind[0]
    if isinstance(kind, str) and kind in _SMALLEST:
        return _SMALLEST[kind]
    return _smallest_object(schema, depth)


def _smallest_object(schema: dict[str, Any], depth: int) -> dict[str, Any]:
    required, properties = schema.get("required"), schema.get("properties")
    if not isinstance(required, list) or not isinstance(properties, dict):
        return {}
    return {
        name: smallest(properties.get(name), depth + 1)
        for name in required
        if isinstance(name, str)
    }
