"""Masks the provider's own key in its answers. Some servers echo the headers of a request, and a person may have asked
for the key that a prompt or a tool contains. What is masked here is neither stored, sent, nor recorded."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from ..events import TextDelta, ThinkingDelta, ToolCall, ToolCallDelta
from .parser import Delta
from .provider import Completion

_MASK = "***"
_MIN_CHARS = 20  # keys have 32 and more; what local servers take instead, such as "ollama", is an ordinary word


class KeyFilter:
    """Masks `key` in one stream of deltas, also if it is split between them: an end that may begin the key is held back
    until the next delta."""

    def __init__(self, key: str) -> None:
        self._key = key if len(key) >= _MIN_CHARS else ""
        self._held: TextDelta | ThinkingDelta | ToolCallDelta | None = None
        self.found_in_pieces = False
        """The key came in several deltas, so the bytes of the response do not contain it as a whole."""

    def feed(self, deltas: Sequence[Delta]) -> Iterable[Delta]:
        if not self._key or (self._held is None and not any(map(self._may_begin, deltas))):
            return deltas
        return self._feed(deltas)

    def _may_begin(self, delta: Delta) -> bool:
        """A quick look, because most deltas do not even contain the key's first character."""
        return isinstance(delta, ToolCall) or self._key[0] in delta.text

    def _feed(self, deltas: Iterable[Delta]) -> Iterator[Delta]:
        key, first, most = self._key, self._key[0], len(self._key) - 1
        for delta in deltas:
            held, self._held = self._held, None
            if held is not None and not _continues(held, delta):
                yield held
                held = None
            if isinstance(delta, ToolCall):
                yield self._mask_call(delta)
                continue
            text = delta.text if held is None else held.text + delta.text
            if key in text:
                self.found_in_pieces |= key not in delta.text
                text = text.replace(key, _MASK)
            start = text.find(first, max(0, len(text) - most))
            while start >= 0 and not key.startswith(text[start:]):
                start = text.find(first, start + 1)
            if start >= 0:
                self._held = replace(delta, text=text[start:])
                text = text[:start]
            if text is delta.text:
                yield delta
            elif text:
                yield replace(delta, text=text)

    def flush(self) -> Iterator[Delta]:
        """What is held back at the end of the stream."""
        held, self._held = self._held, None
        if held is not None:
            yield held

    def mask(self, end: Completion) -> Completion:
        """The end of the answer without the key."""
        if not self._key:
            return end
        reason, refusal = self._without(end.finish_reason), self._without(end.refusal)
        replay = end.replay and replace(end.replay, content=self._without(end.replay.content))
        return replace(end, finish_reason=reason, refusal=refusal, replay=replay)

    def _mask_call(self, call: ToolCall) -> ToolCall:
        arguments = self._without(call.arguments)
        if arguments == call.arguments:
            return replace(call, name=self._without(call.name), raw=self._without(call.raw))
        return replace(
            call, name=self._without(call.name), arguments=arguments, raw=msgspec.json.encode(arguments).decode()
        )

    def _without(self, value: Any) -> Any:
        """A JSON value whose strings do not contain the key."""
        if isinstance(value, str):
            return value.replace(self._key, _MASK)
        if isinstance(value, dict):
            return {self._without(name): self._without(inner) for name, inner in value.items()}
        return [self._without(inner) for inner in value] if isinstance(value, list) else value


def _continues(held: Delta, delta: Delta) -> bool:
    if isinstance(held, ToolCallDelta) and isinstance(delta, ToolCallDelta):
        return held.id == delta.id
    return type(held) is type(delta)
