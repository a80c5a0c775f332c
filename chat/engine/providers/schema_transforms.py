"""JSON Schemas in, JSON Schemas out that a vendor takes. How to walk one is here; what a vendor refuses stands in its
module. Source: JSON Schema 2020-12, the vocabularies "core" and "applicator"."""

from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]

_ONE = ("items", "additionalProperties", "not")
_MANY = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "$defs", "definitions")
_DEEP = 12  # references inside one another


def mapped(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """With `change` applied to it and to all schemas in it, the inner ones first."""
    return change(_children(schema, lambda inner: mapped(inner, change)))


def inlined(schema: Schema) -> Schema:
    """Without references: what they point to stands in their place. Where that would never end, any object will do."""

    def look(inner: Schema, seen: tuple[str, ...]) -> Schema:
        target, reference = inner, inner.get("$ref")
        if isinstance(reference, str):
            if reference in seen or len(seen) > _DEEP:
                return {"type": "object"}
            target = _target(schema, reference) | {key: value for key, value in inner.items() if key != "$ref"}
            seen = (*seen, reference)
        return _children(target, lambda deeper: look(deeper, seen))

    whole = look({key: value for key, value in schema.items() if key not in ("$defs", "definitions")}, ())
    return {key: value for key, value in whole.items() if key not in ("$defs", "definitions")}


def is_strict(schema: Schema) -> bool:
    """Whether every object in it lists all of its properties as required and takes no others."""
    strict = True

    def look(inner: Schema) -> Schema:
        nonlocal strict
        if "properties" in inner or inner.get("type") == "object":
            closed = inner.get("additionalProperties") is False
            strict &= closed and set(inner.get("properties") or ()) == set(inner.get("required") or ())
        return inner

    mapped(schema, look)
    return strict


def _children(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    made: Schema = {}
    for key, value in schema.items():
        if key in _ONE and isinstance(value, dict):
            made[key] = change(value)
        elif key in _MANY and isinstance(value, list):
            made[key] = [change(inner) if isinstance(inner, dict) else inner for inner in value]
        elif key in _NAMED and isinstance(value, dict):
            made[key] = {name: change(inner) if isinstance(inner, dict) else inner for name, inner in value.items()}
        else:
            made[key] = value
    return made


def _target(schema: Schema, reference: str) -> Schema:
    """What a reference like "#/$defs/City" points to; an empty schema if that is nothing."""
    found: Any = schema
    for name in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if name and isinstance(found, dict) else found
    return found if isinstance(found, dict) else {}
