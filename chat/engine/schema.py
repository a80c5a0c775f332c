"""Python types in, JSON Schemas out; JSON values in, Python values out, or a sentence that a model can act on. tools.py
and output.py use it; it knows neither."""

import re
from contextlib import suppress
from typing import Any

import msgspec

Schema = dict[str, Any]


class Misfit(ValueError):
    """A value that is not what was asked for. Its text says where, and what was expected."""


def schema_of(kind: Any) -> Schema:
    """The JSON Schema of a type that msgspec knows, with `$defs` of what it refers to. Raises TypeError for others."""
    (root,), definitions = msgspec.json.schema_components((kind,), ref_template="#/$defs/{name}")
    schema: Schema = _plain(root)
    named = {name: _plain(definition) for name, definition in definitions.items()}
    own = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if own in named:
        schema = named[own]
        if not _mentions(list(named.values()), own):
            del named[own]
    return schema | {"$defs": named} if named else schema


def fitted(value: Any, kind: Any) -> Any:
    """The value as that type. Models write numbers as text at times: where only that is wrong, it is forgiven. Raises
    Misfit."""
    try:
        return msgspec.convert(value, kind)
    except RecursionError:
        raise Misfit("It is nested too deeply.") from None
    except msgspec.ValidationError as error:
        with suppress(msgspec.ValidationError):
            return msgspec.convert(value, kind, strict=False)
        raise Misfit(_sentence(str(error))) from None


_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$\.?(?P<place>.*)`)?$", re.DOTALL)


def _sentence(message: str) -> str:
    """ "Expected `int`, got `str` - at `$.days`" with the place in front: it is a field's name that models look for."""
    found = _PLACE.match(message)
    assert found is not None
    return f"{found['place']}: {found['what']}." if found["place"] else f"{found['what']}."


def _plain(node: Any) -> Any:
    """Without titles, which are our own class names, and with a type beside every list of values: Google wants it."""
    if isinstance(node, list):
        return [_plain(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    made = {key: _plain(inner) for key, inner in node.items() if key != "title" or not isinstance(inner, str)}
    values = made.get("enum")
    if isinstance(values, list) and "type" not in made:
        for kind, name in ((str, "string"), (int, "integer")):
            if all(type(value) is kind for value in values):
                made["type"] = name
    return made


def _mentions(node: Any, name: str) -> bool:
    if isinstance(node, list):
        return any(_mentions(inner, name) for inner in node)
    if isinstance(node, dict):
        return node.get("$ref") == f"#/$defs/{name}" or any(_mentions(inner, name) for inner in node.values())
    return False
