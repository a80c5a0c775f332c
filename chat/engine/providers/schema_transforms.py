"""Walking and rewriting JSON Schemas. The vendors' modules know what their API refuses and pass it in as a function.

Source: JSON Schema 2020-12, the vocabularies "core" and "applicator".
"""

from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]

# Keywords that hold one schema, a list of schemas, and schemas by name.
_ONE = ("items", "additionalProperties", "not")
_LIST = ("anyOf", "oneOf", "allOf", "prefixItems")
_BY_NAME = ("properties", "$defs", "definitions")
_MAX_DEPTH = 12  # of references inside one another


def transform(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Apply `change` to the schema and to all schemas inside it, the inner ones first."""
    return change(_transform_children(schema, lambda child: transform(child, change)))


def inline_references(schema: Schema) -> Schema:
    """Replace each reference by a copy of its target. A recursive reference becomes any object."""

    def inline(node: Schema, path: tuple[str, ...]) -> Schema:
        target, reference = node, node.get("$ref")
        if isinstance(reference, str):
            if reference in path or len(path) > _MAX_DEPTH:
                return {"type": "object"}
            target = _resolve(schema, reference) | {key: value for key, value in node.items() if key != "$ref"}
            path = (*path, reference)
        return _transform_children(target, lambda child: inline(child, path))

    whole = inline({key: value for key, value in schema.items() if key not in ("$defs", "definitions")}, ())
    return {key: value for key, value in whole.items() if key not in ("$defs", "definitions")}


def is_strict(schema: Schema) -> bool:
    """True if every object in the schema requires all of its properties and allows no others."""
    strict = True

    def check(node: Schema) -> Schema:
        nonlocal strict
        if "properties" in node or node.get("type") == "object":
            closed = node.get("additionalProperties") is False
            strict &= closed and set(node.get("properties") or ()) == set(node.get("required") or ())
        return node

    transform(schema, check)
    return strict


def _transform_children(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    changed: Schema = {}
    for key, value in schema.items():
        if key in _ONE and isinstance(value, dict):
            changed[key] = change(value)
        elif key in _LIST and isinstance(value, list):
            changed[key] = [change(child) if isinstance(child, dict) else child for child in value]
        elif key in _BY_NAME and isinstance(value, dict):
            changed[key] = {name: change(child) if isinstance(child, dict) else child for name, child in value.items()}
        else:
            changed[key] = value
    return changed


def _resolve(schema: Schema, reference: str) -> Schema:
    """The target of a reference such as "#/$defs/City"; an empty schema if there is none."""
    found: Any = schema
    for name in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if name and isinstance(found, dict) else found
    return found if isinstance(found, dict) else {}
