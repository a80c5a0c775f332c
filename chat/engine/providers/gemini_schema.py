"""JSON Schema to the subset of OpenAPI's schema objects that Gemini knows, for tools and for structured answers.

Source: "Schema" in https://ai.google.dev/api/caching, and what Gemini's servers were seen to refuse.
"""

import msgspec

from .schema_transforms import Schema, inline_references, transform

# The fields of `Schema` in the API's reference. The API refuses others.
_FIELDS = {
    "type", "format", "title", "description", "nullable", "enum", "items", "minItems", "maxItems", "properties",
    "required", "minProperties", "maxProperties", "minimum", "maximum", "minLength", "maxLength", "pattern", "anyOf",
    "propertyOrdering",
}  # fmt: skip
_FORMATS = {"enum", "date-time", "int32", "int64", "float", "double"}


def to_openapi(schema: Schema) -> Schema:
    """The schema as Gemini takes it. We check the keywords that are dropped here ourselves."""
    return transform(inline_references(schema), _convert)


def _convert(schema: Schema) -> Schema:
    converted = dict(schema)
    for part in converted.pop("allOf", ()):
        properties = {**part.get("properties", {}), **converted.get("properties", {})}
        required = [*part.get("required", ()), *converted.get("required", ())]
        converted = {**part, **converted, "properties": properties, "required": required}
    if "const" in converted:
        converted["enum"] = [converted["const"]]
    choices = converted.get("anyOf") or converted.get("oneOf")
    types = converted.get("type")
    if isinstance(types, list):
        converted["nullable"] = "null" in types or None
        types = [name for name in types if name != "null"]
        converted["type"] = types[0] if len(types) == 1 else None
        choices = choices or ([{"type": name} for name in types] if len(types) > 1 else None)
    if choices:
        converted = _convert_choices(converted, choices)
    if isinstance(converted.get("enum"), list):
        converted = _convert_enum(converted)
    if converted.get("type") == "array" and not converted.get("items"):
        converted["items"] = next(iter(schema.get("prefixItems") or ()), {"type": "string"})
    if converted.get("format") not in _FORMATS:
        converted["format"] = None
    if "required" in converted:
        converted["required"] = [name for name in converted["required"] if name in converted.get("properties", {})]
    if converted.get("properties") and not converted.get("type"):
        converted["type"] = "object"
    return {key: value for key, value in converted.items() if key in _FIELDS and value is not False and _is_set(value)}


def _convert_choices(schema: Schema, choices: list[Schema]) -> Schema:
    """Replace a choice of one schema, or of one or null, by that schema."""
    real = [choice for choice in choices if choice.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf") and _is_set(value)}
    if len(real) < len(choices):
        rest["nullable"] = True
    return {**real[0], **rest} if len(real) == 1 else {**rest, "anyOf": real}


def _is_set(value: object) -> bool:
    return value is not None and value != {} and value != []


def _convert_enum(schema: Schema) -> Schema:
    """Gemini takes enums of strings only; other values are listed in the description."""
    values = [value for value in schema["enum"] if value is not None]
    converted = schema | {"nullable": schema.get("nullable") or len(values) < len(schema["enum"])}
    if all(isinstance(value, str) for value in values):
        return converted | {"type": "string", "enum": values}
    listed = f"One of {', '.join(msgspec.json.encode(value).decode() for value in values)}."
    kind = "boolean" if isinstance(values[0], bool) else "integer" if isinstance(values[0], int) else "number"
    return converted | {
        "type": schema.get("type") or kind,
        "enum": None,
        "description": f"{schema.get('description', '')} {listed}".strip(),
    }
