"""Builds the Result of a run from its events; a Result is available at any time. The runner and the adapters use it.

A run may have several turns, with tools between them, and each turn adds to one text (`TurnJoiner`).
`Result.messages` hold the words of each turn as the model wrote them.
"""

import uuid
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from .events import TextDelta, ThinkingDelta, ToolCall
from .messages import PLAIN_ID, Message, Result
from .providers.provider import Completion
from .usage import Usage


class TurnJoiner:
    """Joins the texts of several turns for readers: the first words of a later turn get a blank line in front, unless
    there is a line break already. The blank line is part of the delta, so `text` always equals the joined deltas.

    `before` is what readers had before the first turn.
    """

    def __init__(self, before: str = "") -> None:
        self._pieces: list[str] = []
        self._last = before
        self._turn_has_text = False

    def start_turn(self) -> None:
        self._turn_has_text = False

    def add(self, delta: str) -> str:
        """Returns the delta as readers get it."""
        if not self._turn_has_text and self._last and not (self._last.endswith("\n") or delta.startswith("\n")):
            delta = f"\n\n{delta}"
        self._turn_has_text, self._last = True, delta
        self._pieces.append(delta)
        return delta

    @property
    def text(self) -> str:
        return "".join(self._pieces)


class ResultBuilder:
    """For each turn call `start_turn`, `add` and `set_completion`, `end_turn`. Append to `messages` what the history
    should keep.

    `used_ids` are the ids of the calls in the history. `with_key` makes the id of a call a key that decisions, rows and
    pages can use. `before` holds the text and the thinking that readers have already, if the run adds to an answer.
    """

    def __init__(self, used_ids: Iterable[str] = (), before: Result | None = None) -> None:
        self.provider = self.model = ""
        self.messages: list[Message] = []
        self.pending: tuple[ToolCall, ...] = ()
        self.output: Any = None
        self._used_keys = {used.casefold() for used in used_ids}
        before = before or Result()
        self._text = TurnJoiner(before.text)
        self._thinking = TurnJoiner(before.thinking)
        self._calls: list[ToolCall] = []
        self._usage: Usage | None = None  # of the turns that have ended
        self.start_turn()

    def start_turn(self) -> None:
        self._turn_text: list[str] = []
        self._turn_calls: list[ToolCall] = []
        self._text.start_turn()
        self._thinking.start_turn()
        self._completion = Completion()

    def add(self, event: TextDelta | ThinkingDelta | ToolCall) -> TextDelta | ThinkingDelta | ToolCall:
        """Returns the event as readers get it."""
        match event:
            case TextDelta(text):
                self._turn_text.append(text)
                event = TextDelta(self._text.add(text))
            case ThinkingDelta(text):
                event = ThinkingDelta(self._thinking.add(text))
            case ToolCall():
                self._turn_calls.append(event)
                self._calls.append(event)
        return event

    def reserve_key(self, wanted: str = "") -> str:
        """A key for a call: the wanted one, if it can be one and is not in use. Our keys have nine letters and digits,
        the only form that Mistral accepts, like everybody else. Keys differ in more than case, which some databases
        ignore."""
        key = wanted
        while not PLAIN_ID.fullmatch(key) or key.casefold() in self._used_keys:
            key = uuid.uuid4().hex[:9]
        self._used_keys.add(key.casefold())
        return key

    def with_key(self, call: ToolCall, model: str, key: str | None = None) -> ToolCall:
        """The call of a model (provider:model) with a key as its id (ToolCall): this one, if it was reserved before."""
        key = self.reserve_key(call.id) if key is None else key
        if key == call.id or not call.id:
            return replace(call, id=key)
        return replace(call, id=key, provider_id=call.id, model=model)

    def set_completion(self, completion: Completion) -> None:
        """How the turn ended. After retries, the last completion counts."""
        self._completion = completion

    def end_turn(self) -> Message:
        """The complete turn, for the history."""
        text = "".join(self._turn_text)
        turn = Message("assistant", text, tool_calls=tuple(self._turn_calls), replay=self._completion.replay)
        self._usage = self._total_usage()
        self._completion = replace(self._completion, usage=None)
        self._turn_text = []
        return turn

    @property
    def turn_calls(self) -> int:
        """The number of tool calls in this turn so far."""
        return len(self._turn_calls)

    @property
    def refused(self) -> bool:
        """True if the model declined to answer in this turn."""
        return bool(self._completion.refusal)

    def result(self) -> Result:
        """The Result so far. For an unfinished turn, `messages` hold its text only: its calls may be incomplete."""
        unfinished = "".join(self._turn_text)
        return Result(
            text=self._text.text,
            thinking=self._thinking.text,
            tool_calls=tuple(self._calls),
            finish_reason=self._completion.finish_reason,
            usage=self._total_usage(),
            refusal=self._completion.refusal,
            provider=self.provider,
            model=self.model,
            messages=(*self.messages, Message("assistant", unfinished)) if unfinished else tuple(self.messages),
            pending=self.pending,
            output=self.output,
        )

    def _total_usage(self) -> Usage | None:
        current = self._completion.usage
        return self._usage + current if self._usage and current else self._usage or current
