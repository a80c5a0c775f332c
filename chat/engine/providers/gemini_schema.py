"""JSON Schemas in, out the part of OpenAPI's that Gemini knows. gemini.py calls it, for tools and for answers.

Source: "Schema" in https://ai.google.dev/api/caching, and what its servers were seen to refuse.
"""

import msgspec

from .schema_transforms import Schema, inlined, mapped

# The fields of `Schema` in the API's reference; others are refused.
_FIELDS = {
    "type", "format", "title", "description", "nullable", "enum", "items", "minItems", "maxItems", "properties",
    "required", "minProperties", "maxProperties", "minimum", "maximum", "minLength", "maxLength", "pattern", "anyOf",
    "propertyOrdering",
}  # fmt: skip
_FORMATS = {"enum", "date-time", "int32", "int64", "float", "double"}


def openapi(schema: Schema) -> Schema:
    """The same schema as Gemini takes it. What gets lost on the way we check ourselves."""
    return mapped(inlined(schema), _change)


def _change(schema: Schema) -> Schema:
    made = dict(schema)
    for part in made.pop("allOf", ()):
        properties = {**part.get("properties", {}), **made.get("properties", {})}
        required = [*part.get("required", ()), *made.get("required", ())]
        made = {**part, **made, "properties": properties, "required": required}
    if "const" in made:
        made["enum"] = [made["const"]]
    either = made.get("anyOf") or made.get("oneOf")
    kinds = made.get("type")
    if isinstance(kinds, list):
        made["nullable"] = "null" in kinds or None
        kinds = [kind for kind in kinds if kind != "null"]
        made["type"] = kinds[0] if len(kinds) == 1 else None
        either = either or ([{"type": kind} for kind in kinds] if len(kinds) > 1 else None)
    if either:
        made = _either(made, either)
    if isinstance(made.get("enum"), list):
        made = _enumerated(made)
    if made.get("type") == "array" and not made.get("items"):
        made["items"] = next(iter(schema.get("prefixItems") or ()), {"type": "string"})
    if made.get("format") not in _FORMATS:
        made["format"] = None
    if "required" in made:
        made["required"] = [name for name in made["required"] if name in made.get("properties", {})]
    if made.get("properties") and not made.get("type"):
        made["type"] = "object"
    return {key: value for key, value in made.items() if key in _FIELDS and value is not False and _says(value)}


def _either(schema: Schema, choices: list[Schema]) -> Schema:
    """A choice of one, and of one or null, is that one."""
    real = [choice for choice in choices if choice.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf") and _says(value)}
    if len(real) < len(choices):
        rest["nullable"] = True
    return {**real[0], **rest} if len(real) == 1 else {**rest, "anyOf": real}


def _says(value: object) -> bool:
    return value is not None and value != {} and value != []


def _enumerated(schema: Schema) -> Schema:
    """Only strings may be enumerated; of other values the description tells."""
    values = [value for value in schema["enum"] if value is not None]
    made = schema | {"nullable": schema.get("nullable") or len(values) < len(schema["enum"])}
    if all(isinstance(value, str) for value in values):
        return made | {"type": "string", "enum": values}
    told = f"One of {', '.join(msgspec.json.encode(value).decode() for value in values)}."
    kind = "boolean" if isinstance(values[0], bool) else "integer" if isinstance(values[0], int) else "number"
    return made | {
        "type": schema.get("type") or kind,
        "enum": None,
        "description": f"{schema.get('description', '')} {told}".strip(),
    }
