"""Puts tool calls together from the pieces in which they are streamed, and reads their arguments."""

import json
from collections.abc import Collection, Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from ..events import ToolCallDelta
from ..messages import ToolCall
from .json_stream import JSONStreamDecoder, documents
from .lenient_json import NotJSONError, join_halves

_MAX_SEEMING = 4000
"""How many pieces may seem to be calls. Servers that mark their pieces wrongly can still send pages of arguments."""

_any_json = msgspec.json.Decoder(Any)


class CallPieces:
    """The tool calls of one answer on a wire that sends them in pieces.

    Servers mark the pieces of a call by an `index`, by an `id`, by both, or not at all, and some of them wrongly: one
    index for all calls, another index or another id for each piece, one id for several calls. So the id decides first,
    then the name, then the index; a piece without any of them continues the last call.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._at_index: dict[int, _Call] = {}  # the newest call of each index
        self._with_id: dict[str, _Call] = {}
        self._extras: list[dict[str, Any]] = []
        self._looked_at = 0  # how many `_calls` `number` has looked at
        self._number = 0
        self.argument_chars = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(
        self,
        index: int | None,
        identity: str,
        name: str,
        sent: object,
        extra: object = None,
        streamed: Collection[str] = (),
    ) -> ToolCallDelta | None:
        """Each may be missing: None, or "". `sent` are the arguments, or a piece of their text; `extra` is what the
        server wants back with the call, such as a signature. Returns what is new of a call of a tool in `streamed`."""
        arguments = arguments_text(sent)
        call = self._with_id.get(identity) or (None if index is None else self._at_index.get(index))
        if call is None and self._calls and not identity and (index is None or not name):
            call = self._calls[-1]
        if call is None or _begins_another(call, index, identity, name, arguments):
            call = _Call(index)
            self._calls.append(call)
            if index is not None:
                self._at_index[index] = call
        if identity:
            call.id = call.id or identity
            self._with_id[identity] = call
        call.name = call.name or name
        if arguments:
            call.pieces.append(arguments)
            self.argument_chars += len(arguments)
        elif sent in ({}, []):
            call.has_object = True
        if isinstance(extra, dict):
            call.extra |= extra
        return self._stream(call) if call.name in streamed else None

    def _stream(self, call: "_Call") -> ToolCallDelta | None:
        """The pieces of the last call that were not streamed yet. A call that begins before the one before it is whole
        may be a part of that one: then it is not streamed."""
        if call is not self._calls[-1]:
            return None
        if call.streamed is None:
            before = self._calls[-2] if len(self._calls) > 1 else None
            call.streamed = 0 if before is None or not before.pieces or before.is_complete() else -1
        text = "".join(call.pieces[call.streamed :]) if call.streamed >= 0 else ""
        if not text:
            return None
        call.streamed = len(call.pieces)
        return ToolCallDelta(str(len(self._calls)), call.name, text)

    def number(self, few: int) -> int:
        """How many calls there are so far, without the pieces that only seem to be calls, unless those are thousands.
        Telling them apart takes time: it is done for more than `few`, and whenever they have doubled."""
        seeming = len(self._calls)
        if seeming <= few or seeming > _MAX_SEEMING:
            return seeming
        if seeming > 2 * self._looked_at:
            self._looked_at = seeming
            self._number = len(_join(call.copy() for call in self._calls))
        return self._number

    def extras(self) -> list[dict[str, Any]]:
        """What the server wants back with each of the `tool_calls`; {} for most."""
        self.tool_calls()
        return self._extras

    def tool_calls(self) -> list[ToolCall]:
        """The calls in their order. Pieces that seemed to be calls of their own go to the call before them; several
        documents in one text of arguments are as many calls."""
        self._calls = _join(self._calls)
        found, self._extras = [], []
        for call in self._calls:
            separate = _parse_documents(call.id, call.name, call.raw)
            found += separate
            self._extras += [call.extra, *({} for _ in separate[1:])]
        return found


class _Call:
    """A tool call and the pieces received of it."""

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.pieces: list[str] = []
        self.extra: dict[str, Any] = {}
        self.streamed: int | None = None  # how many pieces were; -1 if none can be
        self.has_object = False  # {} came as an object, which counts if no text comes
        self._scanner: JSONStreamDecoder | None = JSONStreamDecoder()  # None if the pieces are no objects
        self._scanned = 0  # pieces
        self._documents = 0

    @property
    def raw(self) -> str:
        return "".join(self.pieces) or ("{}" if self.has_object else "")

    def copy(self) -> "_Call":
        copied = _Call(self.index)
        copied.id, copied.name, copied.pieces = self.id, self.name, self.pieces.copy()
        return copied

    def is_complete(self) -> bool:
        """Whether the pieces so far are whole JSON objects."""
        scanner = self._scan()
        return scanner is not None and self._documents > 0 and not scanner.inside

    def continues(self, other: "_Call") -> bool:
        """Whether this is no call of its own but a piece of the one before."""
        if not self.name:
            return True
        if self.name != other.name or not self.pieces or self.is_complete():
            return False
        scanner = other._scan()
        return not other.pieces or (scanner is not None and scanner.inside)

    def _scan(self) -> JSONStreamDecoder | None:
        """Look at the new pieces, each of them once."""
        new, self._scanned = self.pieces[self._scanned :], len(self.pieces)
        try:
            for piece in new:
                if self._scanner is not None:
                    self._documents += len(list(self._scanner.decode(piece.encode("utf-8", "surrogatepass"))))
        except NotJSONError:
            self._scanner = None
        return self._scanner


def _join(seeming: Iterable[_Call]) -> list[_Call]:
    """The calls, each with the pieces after it that seemed to be calls of their own."""
    calls: list[_Call] = []
    for call in seeming:
        if calls and call.continues(calls[-1]):
            calls[-1].pieces += call.pieces
        elif call.id or call.name or call.pieces:
            calls.append(call)
    return calls


def _begins_another(call: _Call, index: int | None, identity: str, name: str, arguments: str) -> bool:
    """Whether a piece that id or index seem to assign to this call begins another one. Without a name it never does."""
    if not (name and call.name):
        return False
    if name != call.name:
        return True
    if identity and identity == call.id:
        return index is not None and index != call.index and call.is_complete()
    return bool((identity and call.id) or arguments) and call.is_complete()


def _parse_documents(identity: str, name: str, raw: str) -> list[ToolCall]:
    """A call for each document in the arguments. The same document twice is a repetition by the server, and {} next to
    another one a placeholder."""
    call = parse_call(identity, name, raw)
    if call.arguments is not None or not raw.lstrip().startswith("{") or _has_lost_half(raw):
        return [call]
    try:
        found = documents(call.raw.encode())
    except NotJSONError:
        return [call]
    parsed = [parse_call("", call.name, document.decode()) for document in dict.fromkeys(found)]
    if len(found) < 2 or any(one.arguments is None for one in parsed):
        return [call]
    parsed = [one for one in parsed if one.arguments] or parsed[:1]
    return [replace(parsed[0], id=call.id), *parsed[1:]]


def parse_call(identity: str, name: str, raw: str) -> ToolCall:
    """A call whose arguments came as text."""
    arguments = None if _has_lost_half(raw) else _parse(join_halves(raw))
    return ToolCall(join_halves(identity), join_halves(name), arguments, join_halves(raw))


def _has_lost_half(raw: str) -> bool:
    """Whether half of a character never came."""
    return "\ufffd" not in raw and "\ufffd" in join_halves(raw)


def arguments_text(sent: object) -> str:
    """Arguments, or a piece of them, as text. "" for those that are missing or empty; [] is an empty object from
    PHP."""
    if isinstance(sent, str):
        return sent
    return "" if sent is None or sent in ({}, []) else json.dumps(sent, ensure_ascii=False, separators=(",", ":"))


def _parse(raw: str) -> dict[str, Any] | None:
    """The arguments that a model wrote, None if they are not a JSON object. No text and "null" mean no arguments.

    Nothing is repaired but bare control characters in strings, and a text in which the object was encoded twice: a tool
    must not run with arguments that nobody wrote.
    """
    if not raw.strip():
        return {}
    try:
        value = _read(raw)
        if isinstance(value, str):
            value = _read(value)
            return value if isinstance(value, dict) else None
    except (ValueError, RecursionError):
        return None
    if value is None:
        return {}
    return value if isinstance(value, dict) else None


def _read(raw: str) -> Any:
    try:
        return _any_json.decode(raw)
    except msgspec.DecodeError:
        value = json.loads(raw, strict=False, parse_constant=_reject, parse_float=_finite)
        msgspec.json.encode(value)  # raises UnicodeEncodeError, a ValueError, for half a character
        return value


def _finite(number: str) -> float:
    value = float(number)
    return _reject(number) if value in (float("inf"), float("-inf")) else value


def _reject(number: str) -> float:
    raise ValueError(f"JSON cannot hold {number}")
