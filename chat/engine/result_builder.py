"""Events of a run in, its Result out, at any time. The runner and own.py feed it; it calls nobody.

A run may have several turns, with tools between them. The reader sees one text: the first words of a later turn get
a blank line in front, unless there is a line's end already. That is part of the delta, so `Result.text` is always what
the deltas said, one after another; `Result.messages` hold each turn's words as the model wrote them.
"""

import uuid
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from .events import TextDelta, ThinkingDelta, ToolCall
from .messages import Message, Result
from .providers.provider import Completion
from .usage import Usage


class Answer:
    """For each turn: `begin`, `add` and `complete`, `end`. What is to stay in the history is added to `messages`.

    `taken` are the ids of calls in the history. A call whose id is taken, or that has none, is `named` anew, so that a
    decision and a page know which one is meant.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.provider = self.model = ""
        self.messages: list[Message] = []
        self.pending: tuple[ToolCall, ...] = ()
        self.output: Any = None
        self._taken = set(taken)
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[ToolCall] = []
        self._usage: Usage | None = None  # of the turns that have ended
        self.begin()

    def begin(self) -> None:
        self._turn: list[str] = []
        self._turn_calls: list[ToolCall] = []
        self._thought = self._renamed = False
        self._completion = Completion()

    def add(self, event: TextDelta | ThinkingDelta | ToolCall) -> TextDelta | ThinkingDelta | ToolCall:
        """Returns the event as readers get it."""
        match event:
            case TextDelta(text):
                if not self._turn and self._text:
                    event = TextDelta(_gap(self._text[-1], text) + text)
                self._turn.append(text)
                self._text.append(event.text)
            case ThinkingDelta(text):
                if not self._thought and self._thinking:
                    event = ThinkingDelta(_gap(self._thinking[-1], text) + text)
                self._thought = True
                self._thinking.append(event.text)
            case ToolCall():
                self._turn_calls.append(event)
                self._calls.append(event)
        return event

    def named(self, call: ToolCall) -> ToolCall:
        """The call under an id of its own. Nine letters and digits: what Mistral takes, and everybody else."""
        identity = call.id
        while not identity or identity in self._taken:
            identity = uuid.uuid4().hex[:9]
        self._taken.add(identity)
        self._renamed = self._renamed or (call.id != "" and identity != call.id)
        return replace(call, id=identity)

    def complete(self, completion: Completion) -> None:
        """How the turn ended; where it took several tries, the last one counts."""
        self._completion = completion

    def end(self) -> Message:
        """The turn is whole; this is it, for the history."""
        replay = None if self._renamed else self._completion.replay  # it would hold the ids that were taken
        turn = Message("assistant", "".join(self._turn), tool_calls=tuple(self._turn_calls), replay=replay)
        self._usage = self._spent()
        self._completion = replace(self._completion, usage=None)
        self._turn = []
        return turn

    @property
    def refused(self) -> bool:
        """Whether the model said, in this turn, what it will not say."""
        return bool(self._completion.refusal)

    def result(self) -> Result:
        """So far. Of a turn that is not whole, `messages` hold the words alone: its calls may be cut off."""
        unfinished = "".join(self._turn)
        return Result(
            text="".join(self._text),
            thinking="".join(self._thinking),
            tool_calls=tuple(self._calls),
            finish_reason=self._completion.finish_reason,
            usage=self._spent(),
            refusal=self._completion.refusal,
            provider=self.provider,
            model=self.model,
            messages=(*self.messages, Message("assistant", unfinished)) if unfinished else tuple(self.messages),
            pending=self.pending,
            output=self.output,
        )

    def _spent(self) -> Usage | None:
        now = self._completion.usage
        return self._usage + now if self._usage and now else self._usage or now


def _gap(before: str, after: str) -> str:
    return "" if before.endswith("\n") or after.startswith("\n") else "\n\n"
