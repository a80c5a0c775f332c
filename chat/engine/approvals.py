"""Decisions of people about tool calls that wait for approval. `resume` takes them; as JSON they can be stored."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .exceptions import ConfigurationError
from .messages import Message, ToolCall


class Approve(msgspec.Struct, frozen=True, tag_field="decision", tag="approve"):
    """Make the call. `arguments`, if given, replace those that the model chose."""

    arguments: dict[str, Any] | None = None


class Reject(msgspec.Struct, frozen=True, tag_field="decision", tag="reject"):
    """Do not make the call. The model is told the reason."""

    reason: str = ""

    @property
    def result_text(self) -> str:
        """The result of the call, for the model."""
        return f"A person refused this call: {self.reason}" if self.reason.strip() else "A person refused this call."


Decision = Approve | Reject


def pending_calls(messages: Sequence[Message]) -> tuple[ToolCall, ...]:
    """The calls of the last turn that have no result yet."""
    for position in range(len(messages) - 1, -1, -1):
        message = messages[position]
        if message.role == "assistant":
            finished = {later.call_id for later in messages[position + 1 :] if later.role == "tool"}
            return tuple(call for call in message.tool_calls if call.id not in finished)
    return ()


def check_decisions(waiting: Sequence[ToolCall], decisions: Mapping[str, Decision]) -> None:
    """Raises ConfigurationError unless there is exactly one decision for each waiting call."""
    ids = [call.id for call in waiting]
    if not ids:
        raise ConfigurationError("No tool call in these messages waits for a decision.")
    if missing := [call for call in ids if call not in decisions]:
        raise ConfigurationError(f"There is no decision for {_quoted(missing)}.")
    if unknown := [call for call in decisions if call not in ids]:
        raise ConfigurationError(f"No tool call with the id {_quoted(unknown)} waits. Waiting: {_quoted(ids)}.")
    if wrong := [call for call, decision in decisions.items() if not isinstance(decision, Decision)]:
        raise ConfigurationError(f"The decision for {_quoted(wrong)} is neither Approve nor Reject.")


def _quoted(ids: Sequence[str]) -> str:
    return ", ".join(map(repr, ids))
