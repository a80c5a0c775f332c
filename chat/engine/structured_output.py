"""Structured output: the JSON Schema of an output type for the model, and validation of the model's answer.

output_type                       validated by
--------------------------------  ------------------------------------------------------------------------------
dataclass, msgspec Struct ...     msgspec
pydantic model                    pydantic, which is not imported here
JSON Schema, as a dict            this module; it knows type, enum, const, required, properties,
                                  additionalProperties: false, items, $ref within the schema, and anyOf
"""

import re
from typing import Any

import msgspec

from .exceptions import ConfigurationError
from .schema import Schema, SchemaMismatch, convert, schema_of


class OutputType:
    """The type of an answer. `schema` goes to the model. Raises ConfigurationError for a type that is not a JSON
    object."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._pydantic = (
            isinstance(kind, type) and hasattr(kind, "model_validate") and hasattr(kind, "__pydantic_fields__")
        )
        try:
            if isinstance(kind, dict):
                self.schema: Schema = kind
            else:
                self.schema = kind.model_json_schema() if self._pydantic else schema_of(kind)
        except Exception as error:
            raise ConfigurationError(f"{kind!r} cannot be an output_type: {str(error).splitlines()[-1]}.") from error
        if "properties" not in self.schema and self.schema.get("type") != "object" and "anyOf" not in self.schema:
            raise ConfigurationError(
                f"The output_type {kind!r} is not an object with fields; models can write only those."
            )

    def parse(self, text: str) -> Any:
        """The answer as the output type. Raises SchemaMismatch."""
        try:
            value = msgspec.json.decode(_without_fence(text))
            if isinstance(self._kind, dict):
                _check(value, self._kind, self._kind, "")
                return value
            return self._validate_with_pydantic(value) if self._pydantic else convert(value, self._kind)
        except RecursionError:
            raise SchemaMismatch("It is nested too deeply.") from None
        except msgspec.DecodeError as error:
            raise SchemaMismatch(f"It is not JSON: {error}.") from None

    def _validate_with_pydantic(self, value: Any) -> Any:
        try:
            return self._kind.model_validate(value)
        except ValueError as error:
            errors = error.errors() if hasattr(error, "errors") else [{"loc": (), "msg": str(error)}]
            problems = (f"{'.'.join(map(str, e['loc'])) or 'It'}: {e['msg']}" for e in errors)
            raise SchemaMismatch("; ".join(problems)) from None


def correction_prompt(problem: SchemaMismatch) -> str:
    """The message to the model after an answer that does not match."""
    return f"That answer does not fit. {problem} Answer again, with the whole JSON object and nothing else."


_OPENING_FENCE = re.compile(r"```[a-zA-Z]*\s*")


def _without_fence(text: str) -> str:
    """Some models put their JSON into a Markdown code block."""
    first, _, rest = text.strip().partition("\n")
    return rest.removesuffix("```") if _OPENING_FENCE.fullmatch(first) and rest.endswith("```") else text


_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def _check(value: Any, schema: Any, root: Schema, path: str) -> None:
    """Raises SchemaMismatch for the first problem. `path` is the place of `value` in the answer, such as "a.b[0]"."""
    if not isinstance(schema, dict):
        return
    where = path or "The answer"
    if isinstance(reference := schema.get("$ref"), str):
        _check(value, _resolve(root, reference), root, path)
    types = schema.get("type")
    types = [types] if isinstance(types, str) else types or []
    if types and not any(_has_type(value, name) for name in types):
        raise SchemaMismatch(f"{where}: expected {' or '.join(types)}, got {_type_name(value)}.")
    if "enum" in schema and value not in schema["enum"]:
        raise SchemaMismatch(f"{where}: expected one of {msgspec.json.encode(schema['enum']).decode()}.")
    if "const" in schema and value != schema["const"]:
        raise SchemaMismatch(f"{where}: expected {msgspec.json.encode(schema['const']).decode()}.")
    if choices := schema.get("anyOf"):
        _check_any(value, choices, root, path)
    if isinstance(value, dict):
        _check_object(value, schema, root, path)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check(item, schema.get("items"), root, f"{path}[{number}]")


def _check_any(value: Any, choices: list[Any], root: Schema, path: str) -> None:
    problem: SchemaMismatch | None = None
    for choice in choices:
        try:
            return _check(value, choice, root, path)
        except SchemaMismatch as error:
            problem = error
    assert problem is not None
    raise problem


def _check_object(value: dict[str, Any], schema: Schema, root: Schema, path: str) -> None:
    prefix = f"{path}." if path else ""
    properties = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name not in value:
            raise SchemaMismatch(f"{prefix}{name}: it is required, and missing.")
    for name, item in value.items():
        if name in properties:
            _check(item, properties[name], root, prefix + name)
        elif schema.get("additionalProperties") is False:
            raise SchemaMismatch(f"{prefix}{name}: there is no such field.")


def _has_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(name, object))


def _type_name(value: Any) -> str:
    names = ("boolean", "integer", "number", "string", "array", "object", "null")
    return next(name for name in names if _has_type(value, name))


def _resolve(root: Schema, reference: str) -> Any:
    """The target of a reference such as "#/$defs/City"."""
    found: Any = root
    for name in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(name) if name and isinstance(found, dict) else found
    return found
