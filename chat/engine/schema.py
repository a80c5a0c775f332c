"""Python types to JSON Schema, and JSON values to Python types. Problems are described in sentences that a model can
act on. tools.py and structured_output.py use it."""

import re
from contextlib import suppress
from typing import Any

import msgspec

Schema = dict[str, Any]


class SchemaMismatch(ValueError):
    """A value that does not match its type. The text says where, and what was expected."""


def schema_of(kind: Any) -> Schema:
    """The JSON Schema of a type that msgspec knows, with `$defs` of the types it refers to. Raises TypeError for other
    types."""
    (root,), definitions = msgspec.json.schema_components((kind,), ref_template="#/$defs/{name}")
    schema: Schema = _simplify(root)
    named = {name: _simplify(definition) for name, definition in definitions.items()}
    own = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if own in named:
        schema = named[own]
        if not _refers_to(list(named.values()), own):
            del named[own]
    return schema | {"$defs": named} if named else schema


def convert(value: Any, kind: Any) -> Any:
    """The value as that type. Models sometimes write numbers as strings; if that is the only problem, the string is
    converted. Raises SchemaMismatch."""
    try:
        return msgspec.convert(value, kind)
    except RecursionError:
        raise SchemaMismatch("It is nested too deeply.") from None
    except msgspec.ValidationError as error:
        with suppress(msgspec.ValidationError):
            return msgspec.convert(value, kind, strict=False)
        raise SchemaMismatch(_with_path_first(str(error))) from None


_PATH = re.compile(r" - at `(?:key in )?\$\.?")


def _with_path_first(message: str) -> str:
    """ "Expected `int`, got `str` - at `$.days`" as "days: Expected ...", because models look for the name of a
    field."""
    found = _PATH.search(message)
    if found is None or not message.endswith("`"):
        return f"{message}."
    problem, path = message[: found.start()], message[found.end() : -1]
    return f"{path}: {problem}." if path else f"{problem}."


def _simplify(node: Any) -> Any:
    """Without titles, which are the names of our own classes, and with a `type` for each `enum`, which Google
    requires."""
    if isinstance(node, list):
        return [_simplify(child) for child in node]
    if not isinstance(node, dict):
        return node
    simple = {key: _simplify(child) for key, child in node.items() if key != "title" or not isinstance(child, str)}
    values = simple.get("enum")
    if isinstance(values, list) and "type" not in simple:
        for kind, name in ((str, "string"), (int, "integer")):
            if all(type(value) is kind for value in values):
                simple["type"] = name
    return simple


def _refers_to(node: Any, name: str) -> bool:
    if isinstance(node, list):
        return any(_refers_to(child, name) for child in node)
    if isinstance(node, dict):
        return node.get("$ref") == f"#/$defs/{name}" or any(_refers_to(child, name) for child in node.values())
    return False
