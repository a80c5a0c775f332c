"""What people decide on calls that wait for them. `resume` in runner.py takes it; a site may store it, as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .exceptions import ConfigurationError
from .messages import Message, ToolCall


class Approve(msgspec.Struct, frozen=True, tag_field="decision", tag="approve"):
    """Yes; with these arguments, if they are given, instead of those that the model chose."""

    arguments: dict[str, Any] | None = None


class Reject(msgspec.Struct, frozen=True, tag_field="decision", tag="reject"):
    """No. The model is told the reason."""

    reason: str = ""

    @property
    def sentence(self) -> str:
        return f"A person refused this call: {self.reason}" if self.reason.strip() else "A person refused this call."


Decision = Approve | Reject


def pending(messages: Sequence[Message]) -> tuple[ToolCall, ...]:
    """The calls of the last turn that have no result yet."""
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        if message.role == "assistant":
            answered = {later.call_id for later in messages[place + 1 :] if later.role == "tool"}
            return tuple(call for call in message.tool_calls if call.id not in answered)
    return ()


def checked(waiting: Sequence[ToolCall], decisions: Mapping[str, Decision]) -> None:
    """Raises ConfigurationError unless there is one decision for each call that waits, and no other."""
    ids = [call.id for call in waiting]
    if not ids:
        raise ConfigurationError("No tool call in these messages waits for a decision.")
    if missing := [call for call in ids if call not in decisions]:
        raise ConfigurationError(f"There is no decision yet on {_listed(missing)}.")
    if unknown := [call for call in decisions if call not in ids]:
        raise ConfigurationError(f"No tool call waits under {_listed(unknown)}. It waits: {_listed(ids)}.")
    if wrong := [call for call, decision in decisions.items() if not isinstance(decision, Decision)]:
        raise ConfigurationError(f"The decision on {_listed(wrong)} is neither Approve nor Reject.")


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(map(repr, ids))
