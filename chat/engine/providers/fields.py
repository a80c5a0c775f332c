"""How the parsers read a known field whose value is of another type than its vendor documents.

Proxies and servers send numbers as strings and texts as numbers, [] for an empty object, an object with the keys "0",
"1" for an array, and null among the items of an array. Such a value is read if its meaning is plain. Otherwise these
functions raise UnreadableError, which ends the answer with an error: to ignore the value of a known field would lose a
part of the answer without a sign. Unknown fields are ignored.
"""

import json
import re
from typing import Any

from .lenient_json import join_halves


class UnreadableError(ValueError):
    """A server sent something that its wire does not have. The text completes the phrase "it sent"."""


def is_empty(value: object) -> bool:
    """True for the values that stand for a missing field. 0 is a value."""
    return value is None or value is False or value in ("", [], {})


def text_of(value: object, field: str) -> str:
    """A text. A number or true was a text that somebody on the way has parsed as JSON; a list holds pieces of it, or
    parts such as {"type": "text", "text": "..."}."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if is_empty(value):
        return ""
    if isinstance(value, list):
        return "".join(text_of(item, field) for item in value)
    if isinstance(value, dict):
        for key in ("text", "value", "content"):
            if key in value:
                return text_of(value[key], field)
        if is_numbered(value):
            return text_of(list(value.values()), field)
    raise unreadable(field, value)


def items_of(value: object, field: str) -> list[Any]:
    """The items of an array that are not empty. An object is its only item."""
    if is_empty(value):
        return []
    if isinstance(value, dict):
        value = list(value.values()) if is_numbered(value) else [value]
    if isinstance(value, list):
        return [item for item in value if not is_empty(item)]
    raise unreadable(field, value)


def with_indices(value: object) -> object:
    """An object with the keys "0", "1" as an array whose items know their index. Other values as they are."""
    if not isinstance(value, dict) or not is_numbered(value):
        return value
    return [
        {"index": key, **object_of(item, "index")} if isinstance(item, dict) else item for key, item in value.items()
    ]


def object_of(value: object, field: str) -> dict[str, Any]:
    """An object, {} for an empty value. An array of one object is that object."""
    if isinstance(value, dict) and not is_numbered(value):
        return value
    items = items_of(value, field)
    if not items:
        return {}
    if len(items) == 1 and isinstance(items[0], dict) and not is_numbered(items[0]):
        return items[0]
    raise unreadable(field, value)


def word_of(value: object) -> str:
    """A finish reason, "" for none. Some servers send {"type": "stop"}, a list of one, a number, or the text "null"."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("type", "reason", "value") if value.get(key)), value)
    if isinstance(value, list):
        value = next(iter(items_of(value, "finish_reason")), "")
    if is_empty(value) or value in ("null", "None"):
        return ""
    return join_halves(value) if isinstance(value, str) else json.dumps(value)


def flag_of(value: object) -> bool:
    """True for true, and for the number and the texts that mean it."""
    return value is True or value == 1 or (isinstance(value, str) and value.lower() in ("true", "1"))


def index_of(value: object) -> int | None:
    """An index, None if there is none."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def token_count(value: object) -> int | None:
    """A number of tokens, None if it is unknown. JSON has one kind of number: 12.0 is 12."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}(\.0*)?", value):
        value = float(value) if "." in value else int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def sum_counts(*counts: int | None) -> int | None:
    """The sum of the known counts, None if none is known. For vendors that send no total."""
    known = [number for number in counts if number is not None]
    return sum(known) if known else None


def total_count(total: int | None, *counts: int | None) -> int | None:
    """The vendor's total. Less than the sum of its parts is wrong, so the sum counts then."""
    return None if total is None else max(total, sum_counts(*counts) or 0)


def update_counts(known: dict[str, Any] | None, sent: dict[str, Any], *counts: str) -> dict[str, Any]:
    """A usage after a later report. Its `counts` do not become 0 again, though some proxies end with a report of 0."""
    updated = dict(known or {})
    for key, value in sent.items():
        if value is not None and not (key in counts and token_count(value) == 0 and updated.get(key)):
            updated[key] = value
    return updated


_FINE = {"0", "200", "ok", "success", "none", "null", "false"}


def is_error(value: object) -> bool:
    """Whether the value of a field for errors means one. Some servers send such a field with every chunk, to say that
    nothing is wrong: "", {}, {"code": 0, "message": "success"}."""
    values = value.values() if isinstance(value, dict) else [value]
    return any(not is_empty(item) and str(item).strip().lower() not in _FINE for item in values)


_FAILURE = re.compile(
    r"error|abort|malformed|insufficient|overload|unavailable|time_?out|network|unexpected|too_many|missing|interrupt"
    r"|cancel",
    re.IGNORECASE,
)


def is_failure(finish_reason: str) -> bool:
    """Whether a finish reason says that the server could not finish the answer: `error` (OpenRouter, Mistral),
    `insufficient_system_resource` (DeepSeek), `network_error` (Zhipu), `abort` (vLLM, SGLang),
    `MALFORMED_FUNCTION_CALL` and others (Gemini)."""
    return bool(_FAILURE.search(finish_reason))


def unreadable(field: str, value: object) -> UnreadableError:
    """The error about a known field with a value of this type."""
    kinds = {bool: "true", int: "a number", float: "a number", str: "a text", list: "an array", dict: "an object"}
    return UnreadableError(f"'{field}' as {kinds.get(type(value), 'null')}")


def is_numbered(value: dict[str, Any]) -> bool:
    """Whether an object has the keys of an array. {} has none."""
    return bool(value) and all(key.isdecimal() for key in value)
