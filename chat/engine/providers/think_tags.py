"""`<think>` tags in an answer: text in, text and thinking out. Some servers leave a model's thoughts in its text; the
parsers of the OpenAI wire and of Ollama put the text through here."""

from collections.abc import Callable

from ..events import TextDelta, ThinkingDelta

Deltas = list[TextDelta | ThinkingDelta]

_OPEN, _CLOSE = "<think>", "</think>"
_BLANKS = 1000  # characters before the tag; more of them are an answer


class ThinkTags:
    """Fires only where the answer begins with `<think>`; an answer that speaks of the tag further on stays as it is.
    The blanks before and after a tag go with it. `over` as soon as nothing is to be looked for any more."""

    def __init__(self) -> None:
        self.over = False
        self._held = ""  # what may yet turn out to be a tag, or blanks around one
        self._step: Callable[[Deltas], bool] = self._before

    def split(self, text: str) -> Deltas:
        """What is certain by now, of a piece that may end anywhere."""
        deltas: Deltas = []
        self._held += text
        while self._step(deltas):
            pass
        return deltas

    def flush(self) -> Deltas:
        """What is still held, at the end of the answer. A second time there is nothing."""
        held, self._held = self._held, ""
        if not held:
            return []
        return [ThinkingDelta(held) if self._step == self._thinking else TextDelta(held)]

    def _before(self, deltas: Deltas) -> bool:
        begun = self._held.lstrip()
        if begun.startswith(_OPEN):
            self._held = begun[len(_OPEN) :]
            self._step = self._opened
            return True
        if _OPEN.startswith(begun) and len(self._held) <= _BLANKS:
            return False
        self._step = self._text
        return True

    def _opened(self, deltas: Deltas) -> bool:
        self._held = self._held.lstrip()
        if self._held:
            self._step = self._thinking
        return bool(self._held)

    def _thinking(self, deltas: Deltas) -> bool:
        thought, tag, rest = self._held.partition(_CLOSE)
        if tag:
            self._held = rest
            self._step = self._closed
        else:
            kept = next((n for n in range(len(_CLOSE) - 1, 0, -1) if thought.endswith(_CLOSE[:n])), 0)
            thought, self._held = thought[: len(thought) - kept], thought[len(thought) - kept :]
        if thought:
            deltas.append(ThinkingDelta(thought))
        return bool(tag)

    def _closed(self, deltas: Deltas) -> bool:
        self._held = self._held.lstrip()
        if self._held:
            self._step = self._text
        return bool(self._held)

    def _text(self, deltas: Deltas) -> bool:
        self.over = True
        deltas += [TextDelta(self._held)] if self._held else []
        self._held = ""
        return False
