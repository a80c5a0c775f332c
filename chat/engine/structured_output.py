"""What an answer shall be: a type in; the JSON Schema for the model, and the check of its answer, out. The runner uses
it.

output_type                       checked by
--------------------------------  ------------------------------------------------------------------------------
dataclass, msgspec Struct ...     msgspec, whatever it knows
pydantic model                    pydantic, which is not imported here
a JSON Schema, a dict             this file: type, enum, const, required, properties, additionalProperties: false,
                                  items, $ref into itself, anyOf; nothing else of it
"""

import re
from typing import Any

import msgspec

from .exceptions import ConfigurationError
from .schema import Misfit, Schema, fitted, schema_of


class Output:
    """`schema` goes to the model. Raises ConfigurationError for a type that no JSON object can be."""

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
            raise ConfigurationError(f"The output_type {kind!r} is no object with fields, and models write only those.")

    def read(self, text: str) -> Any:
        """The answer as that type. Raises Misfit."""
        try:
            value = msgspec.json.decode(_unfenced(text))
            if isinstance(self._kind, dict):
                _check(value, self._kind, self._kind, "")
                return value
            return self._by_pydantic(value) if self._pydantic else fitted(value, self._kind)
        except RecursionError:
            raise Misfit("It is nested too deeply.") from None
        except msgspec.DecodeError as error:
            raise Misfit(f"It is not JSON: {error}.") from None

    def _by_pydantic(self, value: Any) -> Any:
        try:
            return self._kind.model_validate(value)
        except ValueError as error:
            found = error.errors() if hasattr(error, "errors") else [{"loc": (), "msg": str(error)}]
            raise Misfit("; ".join(f"{'.'.join(map(str, e['loc'])) or 'It'}: {e['msg']}" for e in found)) from None


def correction(problem: Misfit) -> str:
    """What the model is told of an answer that does not fit."""
    return f"That answer does not fit. {problem} Answer again, with the whole JSON object and nothing else."


_FENCED = re.compile(r"\A\s*```[a-zA-Z]*\s*\n(?P<inside>.*?)\n?\s*```\s*\Z", re.DOTALL)


def _unfenced(text: str) -> str:
    found = _FENCED.match(text)
    return found["inside"] if found else text


_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def _check(value: Any, schema: Any, whole: Schema, place: str) -> None:
    """Raises Misfit with the first thing that is wrong."""
    if not isinstance(schema, dict):
        return
    where = place or "The answer"
    if isinstance(reference := schema.get("$ref"), str):
        _check(value, _referred(whole, reference), whole, place)
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds or []
    if kinds and not any(_is(value, kind) for kind in kinds):
        raise Misfit(f"{where}: expected {' or '.join(kinds)}, got {_kind(value)}.")
    if "enum" in schema and value not in schema["enum"]:
        raise Misfit(f"{where}: expected one of {msgspec.json.encode(schema['enum']).decode()}.")
    if "const" in schema and value != schema["const"]:
        raise Misfit(f"{where}: expected {msgspec.json.encode(schema['const']).decode()}.")
    if options := schema.get("anyOf"):
        _check_any(value, options, whole, place)
    if isinstance(value, dict):
        _check_object(value, schema, whole, place)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check(item, schema.get("items"), whole, f"{place}[{number}]")


def _check_any(value: Any, options: list[Any], whole: Schema, place: str) -> None:
    problem: Misfit | None = None
    for option in options:
        try:
            return _check(value, option, whole, place)
        except Misfit as error:
            problem = error
    assert problem is not None
    raise problem


def _check_object(value: dict[str, Any], schema: Schema, whole: Schema, place: str) -> None:
    prefix = f"{place}." if place else ""
    properties = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name not in value:
            raise Misfit(f"{prefix}{name}: it is required, and missing.")
    for name, inner in value.items():
        if name in properties:
            _check(inner, properties[name], whole, prefix + name)
        elif schema.get("additionalProperties") is False:
            raise Misfit(f"{prefix}{name}: there is no such field.")


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, object))


def _kind(value: Any) -> str:
    return next(
        kind for kind in ("boolean", "integer", "number", "string", "array", "object", "null") if _is(value, kind)
    )


def _referred(whole: Schema, reference: str) -> Any:
    found: Any = whole
    for name in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(name) if name and isinstance(found, dict) else found
    return found
