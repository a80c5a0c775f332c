"""Reads JSON that only lenient readers accept, and joins characters that a server has cut in two.

A server that cuts its text without regard to characters sends half an emoji at the end of one piece and the other half
at the beginning of the next: as escapes (`\\ud83c`, `\\udf0a`), or as the bytes of UTF-8. Both become surrogates in
Python's text, and `CharacterJoiner` and `join_halves` make characters of them again. Most answers hold none, so nothing
here runs until a strict decoder has refused a chunk.
"""

import json
import re
from typing import Any

from msgspec.structs import replace

from ..events import TextDelta, ThinkingDelta, ToolCallDelta

STRAY = b"\0\xef\xbb\xbf \t\r\n"
"""Bytes around JSON that mean nothing: blanks, a byte order mark, the NUL at the end of a C string."""

# Half a pair of surrogates, or the first bytes of a character in UTF-8 (byte b is U+DC00 + b).
_OPEN_END = re.compile("(?:[\ud800-\udbff]|[\udcc2-\udcf4][\udc80-\udcbf]{0,2})$")
_NO_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")


class NotJSONError(ValueError):
    """A server sent something else where its wire has JSON."""


def read_json(data: bytes) -> Any:
    """The value of JSON with invalid UTF-8, lone surrogates in escapes, bare control characters, NaN, or stray bytes
    around it. Cut characters stay surrogates. Raises NotJSONError."""
    try:
        return json.loads(data.strip(STRAY).decode("utf-8", "surrogateescape"), strict=False)
    except (ValueError, RecursionError) as error:
        raise NotJSONError(str(error)) from error


def join_halves(value: Any) -> Any:
    """A text, or the texts in a JSON value, with whole characters. Halves without their other half become U+FFFD."""
    if isinstance(value, str):
        if value.isascii():
            return value
        paired = value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        return _NO_BYTES.sub("�", paired).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, list):
        return [join_halves(item) for item in value]
    if isinstance(value, dict):
        return {join_halves(key): join_halves(item) for key, item in value.items()}
    return value


_TEXTS: tuple[type[TextDelta | ThinkingDelta], ...] = (TextDelta, ThinkingDelta)
_Joined = TextDelta | ThinkingDelta | ToolCallDelta
_Kind = type[TextDelta] | type[ThinkingDelta] | type[ToolCallDelta]


class CharacterJoiner:
    """Holds the half of a character at the end of a delta back until the next delta of its kind."""

    def __init__(self) -> None:
        self._held: dict[_Kind, str] = {}

    def join(self, delta: _Joined) -> _Joined | None:
        """The delta with whole characters, None if nothing is left of it."""
        kind = type(delta)
        text = self._held.get(kind, "") + delta.text
        half = _OPEN_END.search(text)
        self._held[kind] = half[0] if half else ""
        text = join_halves(text[: half.start()] if half else text)
        return replace(delta, text=text) if text else None

    def flush(self) -> list[TextDelta | ThinkingDelta]:
        """The halves that are still held, at the end of the answer. Empty the second time."""
        rest = [kind(join_halves(held)) for kind in _TEXTS if (held := self._held.get(kind))]
        self._held.clear()
        return rest
