"""The parts of an answer: in which order its text, its thinking, and its tool calls came.

`text` and `thinking` stay whole, for search, copying, and prompts. The parts divide them into runs, by length.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from .runs import Call


class TextPart(Struct, frozen=True, tag_field="type", tag="text"):
    """The next `length` characters (Unicode code points) of the text."""

    length: int


class ThinkingPart(Struct, frozen=True, tag_field="type", tag="thinking"):
    """The next `length` characters of the thinking."""

    length: int


class CallPart(Struct, frozen=True, tag_field="type", tag="call"):
    """The tool call with this id."""

    call: UUID


Part = TextPart | ThinkingPart | CallPart


def add_part(parts: list[Part], part: Part, *, continues: bool = False) -> None:
    """Add what came next to `parts`. Text after text is one part, and so is thinking after thinking.

    In an answer that `continues` another one, thinking after text is put in front of that text: it must not divide a
    word or a code block that was cut off in the middle.
    """
    behind = len(parts)
    if continues and isinstance(part, ThinkingPart) and parts and isinstance(parts[-1], TextPart):
        behind -= 1
    last = parts[behind - 1] if behind else None
    if isinstance(part, CallPart) or isinstance(last, CallPart) or type(last) is not type(part):
        parts.insert(behind, part)
    else:
        parts[behind - 1] = type(part)(last.length + part.length)


def complete_parts(parts: Iterable[Part], text: str, thinking: str, calls: Sequence["Call"]) -> list[Part]:
    """The parts of exactly this text, thinking, and calls. What `parts` do not cover follows: thinking, calls, text.

    Answers from before parts were stored have none, and a process that crashed may have stored a call after the parts.
    """
    rest = {TextPart: len(text), ThinkingPart: len(thinking)}
    missing = {call.id: CallPart(call.id) for call in calls}
    complete: list[Part] = []
    for part in parts:
        if isinstance(part, CallPart):
            if found := missing.pop(part.call, None):
                add_part(complete, found)
        elif length := min(part.length, rest[type(part)]):
            rest[type(part)] -= length
            add_part(complete, type(part)(length))
    added: list[Part] = [ThinkingPart(rest[ThinkingPart]), *missing.values(), TextPart(rest[TextPart])]
    for part in added:
        if isinstance(part, CallPart) or part.length:
            add_part(complete, part)
    return complete


class Section(Struct, frozen=True):
    """A part with what it stands for: a piece of text or of thinking, or a call."""

    text: str = ""
    thinking: str = ""
    call: "Call | None" = None


def sections_of(parts: Iterable[Part], text: str, thinking: str, calls: Sequence["Call"]) -> list[Section]:
    """An answer as its parts divide it, which must be complete; without the line breaks around them."""
    by_id = {call.id: call for call in calls}
    sections = []
    for part in parts:
        match part:
            case TextPart(length):
                sections.append(Section(text=text[:length].strip("\n")))
                text = text[length:]
            case ThinkingPart(length):
                sections.append(Section(thinking=thinking[:length].strip("\n")))
                thinking = thinking[length:]
            case CallPart(key):
                sections.append(Section(call=by_id[key]))
    return sections


def decode_parts(stored: Any) -> list[Part]:
    """Parts as the row of a message holds them."""
    return msgspec.convert(stored or [], list[Part])


def encode_parts(parts: Iterable[Part]) -> list[Any]:
    """Parts for the row of a message."""
    return [msgspec.to_builtins(part) for part in parts]
