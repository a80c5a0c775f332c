"""Reads a JSON object that is still being written, and gives the texts in it as they grow. For the arguments of a tool
call, piece by piece (`ToolCallDelta`). Takes time in proportion to the length, however the pieces are cut.
"""

import json
import re
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

_SCALAR = re.compile(r"[-+.\w]*", re.ASCII)
_WHOLE_SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_CHARACTERS = re.compile(r'(?:[^"\\]+|\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}))*')
"""Those of a text, up to its end, to an escape that is not whole, or to one of half a character."""
_ESCAPE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
"""That of a character in two halves."""
_MAX_ESCAPE = 12
_MAX_SCALAR = 100
_MAX_DEPTH = 32

Path = tuple[str | int, ...]
"""Where a value is: `("edits", 0, "replace")`."""


class StringPart(NamedTuple):
    """More of the text at `path`. It is whole if `ends`."""

    path: Path
    text: str
    ends: bool


class BrokenJSONError(ValueError):
    """This is no JSON object, or it has the same key twice."""


class PartialJSONReader:
    """Reads one object. `complete` is true when it has ended; only blanks may follow."""

    def __init__(self) -> None:
        self.complete = False
        self._path: list[str | int] = []  # of the value that is being read, or comes next
        self._keys: list[set[str] | None] = []  # of the open objects; None for an array
        self._expected = "object"
        self._held = ""  # the beginning of an escape or of a scalar
        self._key: list[str] | None = None  # its pieces, if the text is a key

    def feed(self, piece: str) -> Iterator[StringPart]:
        """The texts in this piece. Raises BrokenJSONError, after the texts before the fault."""
        piece, self._held = self._held + piece, ""
        at = 0
        while at < len(piece):
            if self._expected == "text":
                at = yield from self._read_text(piece, at)
            elif self._expected == "scalar":
                at = self._read_scalar(piece, at)
            elif mark := piece[at].strip(" \t\r\n"):
                self._read_mark(mark)
                at += self._expected != "scalar"
            else:
                at += 1

    def _read_mark(self, mark: str) -> None:
        """Read one character outside of texts. A scalar begins with it, and reads it again."""
        is_array = bool(self._keys) and self._keys[-1] is None
        match self._expected, mark:
            case (("object" | "value" | "value or ]"), "{"):
                self._open(set())
            case (("value" | "value or ]"), "["):
                self._open(None)
            case (("value" | "value or ]"), '"'):
                self._expected = "text"
            case (("key" | "key or }"), '"'):
                self._expected, self._key = "text", []
            case "colon", ":":
                self._expected = "value"
            case "comma or end", ",":
                self._go_on()
            case (("value or ]" | "comma or end"), "]") if is_array:
                self._close()
            case (("key or }" | "comma or end"), "}") if not is_array:
                self._close()
            case (("value" | "value or ]"), _) if _SCALAR.fullmatch(mark):
                self._expected = "scalar"
            case _:
                raise BrokenJSONError(f"{mark!r} in the place of {self._expected}")

    def _open(self, keys: set[str] | None) -> None:
        if len(self._keys) >= _MAX_DEPTH:
            raise BrokenJSONError("too deep")
        self._keys.append(keys)
        if keys is None:
            self._path.append(0)
        self._expected = "value or ]" if keys is None else "key or }"

    def _go_on(self) -> None:
        if self._keys[-1] is not None:
            self._expected = "key"
            return
        number: Any = self._path[-1]
        self._path[-1] = number + 1
        self._expected = "value"

    def _close(self) -> None:
        if self._keys.pop() is None:
            self._path.pop()
        self._end_value()

    def _end_value(self) -> None:
        if not self._keys:
            self.complete, self._expected = True, "end"
            return
        if self._keys[-1] is not None:
            self._path.pop()
        self._expected = "comma or end"

    def _read_scalar(self, piece: str, at: int) -> int:
        found = _SCALAR.match(piece, at)
        assert found is not None
        if len(found[0]) > _MAX_SCALAR:
            raise BrokenJSONError("a number that is too long")
        if found.end() == len(piece):
            self._held = found[0]
        elif not _WHOLE_SCALAR.fullmatch(found[0]):
            raise BrokenJSONError(f"{found[0]!r} in the place of a value")
        else:
            self._end_value()
        return found.end()

    def _read_text(self, piece: str, at: int) -> Generator[StringPart, None, int]:
        """Read up to the end of a text, or of the piece. Returns the position after it."""
        start, ends = at, False
        while at < len(piece) and not ends:
            found = _CHARACTERS.match(piece, at)
            assert found is not None
            at = found.end()
            if at == len(piece):
                break
            if piece[at] == '"':
                ends = True
            elif pair := _ESCAPE.match(piece, at):
                at = pair.end()
            elif len(piece) - at < _MAX_ESCAPE and _may_be_escape(piece[at:]):
                self._held = piece[at:]
                break
            else:
                raise BrokenJSONError("an escape that JSON does not have, or half a character")
        text = piece[start:at]
        if "\\" in text:
            text = json.loads(f'"{text}"', strict=False)
        if self._key is not None:
            self._key.append(text)
            if ends:
                self._end_key("".join(self._key))
        else:
            if text or ends:
                yield StringPart(tuple(self._path), text, ends)
            if ends:
                self._end_value()
        return len(piece) if self._held else at + ends

    def _end_key(self, key: str) -> None:
        keys = self._keys[-1]
        assert keys is not None
        if key in keys:
            raise BrokenJSONError(f"the key {key!r} twice")
        keys.add(key)
        self._path.append(key)
        self._key, self._expected = None, "colon"


_ESCAPE_BEGINNING = re.compile(
    r"\\(?:u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]{0,1})?)?)?)?)?)?"
)


def _may_be_escape(text: str) -> bool:
    return _ESCAPE_BEGINNING.fullmatch(text) is not None
