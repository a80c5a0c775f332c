"""Splits `<think>` and `<thought>` tags off an answer: text in, text and thinking out. Some servers leave a model's
thoughts in its text; the parsers of the OpenAI wire and of Ollama use this.

Sources: DeepSeek's and Qwen's model cards (`<think>`), Google's "OpenAI compatibility", Thinking (`<thought>`)."""

from collections.abc import Callable

from ..events import TextDelta, ThinkingDelta

Deltas = list[TextDelta | ThinkingDelta]

_TAGS = {"<think>": "</think>", "<thought>": "</thought>"}
_MAX_LEADING_BLANKS = 1000  # more of them before a tag make it part of the answer


class ThinkTags:
    """A state machine with one method per state.

    It acts only on a tag at the beginning of the answer; a tag later in the text stays. The blanks before and after a
    tag are removed. `done` is true when the rest of the answer is text for certain. Set `after_thoughts` if thoughts
    came in a field of their own: then a closing tag at the beginning is left over from them.
    """

    def __init__(self) -> None:
        self.done = False
        self.after_thoughts = False
        self._close = ""
        self._held = ""  # may turn out to be a part of a tag, or blanks around one
        self._state: Callable[[Deltas], bool] = self._before

    def split(self, text: str) -> Deltas:
        """The deltas that are certain after this piece of the answer, which may end anywhere."""
        deltas: Deltas = []
        self._held += text
        while self._state(deltas):
            pass
        return deltas

    def flush(self) -> Deltas:
        """The text still held, at the end of the answer. Empty the second time."""
        held, self._held = self._held, ""
        if not held:
            return []
        return [ThinkingDelta(held) if self._state == self._thinking else TextDelta(held)]

    # Each state consumes what it can of `_held`, and returns True if the next state should go on at once.

    def _before(self, deltas: Deltas) -> bool:
        answer = self._held.lstrip()
        if len(self._held) - len(answer) <= _MAX_LEADING_BLANKS:
            closing = _TAGS.values() if self.after_thoughts else ()
            for tag in (*_TAGS, *closing):
                if answer.startswith(tag):
                    self._held = answer[len(tag) :]
                    self._close = _TAGS.get(tag, "")
                    self._state = self._opened if self._close else self._closed
                    return True
            if any(tag.startswith(answer) for tag in (*_TAGS, *closing)):
                return False
        self._state = self._text
        return True

    def _opened(self, deltas: Deltas) -> bool:
        self._held = self._held.lstrip()
        if self._held:
            self._state = self._thinking
        return bool(self._held)

    def _thinking(self, deltas: Deltas) -> bool:
        thought, tag, rest = self._held.partition(self._close)
        if tag:
            self._held = rest
            self._state = self._closed
        else:
            partial = next((n for n in range(len(self._close) - 1, 0, -1) if thought.endswith(self._close[:n])), 0)
            end = len(thought) - partial
            thought, self._held = thought[:end], thought[end:]
        if thought:
            deltas.append(ThinkingDelta(thought))
        return bool(tag)

    def _closed(self, deltas: Deltas) -> bool:
        self._held = self._held.lstrip()
        if self._held:
            self._state = self._text
        return bool(self._held)

    def _text(self, deltas: Deltas) -> bool:
        self.done = True
        deltas += [TextDelta(self._held)] if self._held else []
        self._held = ""
        return False
