"""AG-UI, the protocol of CopilotKit's front ends and others (docs/api.md, "AG-UI").

The protocol: https://docs.ag-ui.com/concepts/events. Texts and thoughts are messages of their own, in their order.
Thinking is sent as REASONING events, which took the place of THINKING in the protocol.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from .. import objects
from ..errors import ErrorCode, Refused
from .base import (
    MAX_MESSAGES,
    Adapter,
    Content,
    End,
    Name,
    Problem,
    Question,
    Turn,
    check_tools,
    event,
    read_text,
    role_of,
)

# --- Requests


class AgentMessage(Struct, frozen=True):
    role: Literal["system", "developer", "user", "assistant", "tool", "reasoning", "activity"]
    content: str | list[Content] | dict[str, Any] | None = None


class Context(Struct, frozen=True):
    description: str = ""
    value: str = ""


class RunInput(Struct, frozen=True, rename="camel"):
    """A RunAgentInput. State and forwarded properties are the client's own, and ignored."""

    thread_id: Name
    run_id: Name
    messages: Annotated[list[AgentMessage], Meta(min_length=1, max_length=MAX_MESSAGES)]
    tools: list[Any] | None = None
    context: Annotated[list[Context], Meta(max_length=MAX_MESSAGES)] | None = None
    resume: list[Any] | None = None

    def read(self) -> Question:
        """Raises Refused for what the chat cannot do."""
        check_tools(self.tools)
        if self.resume:
            raise Refused(ErrorCode.INVALID, "`resume` is not supported: runs are not interrupted.")
        turns = [Turn("user", f"{each.description}\n{each.value}") for each in self.context or ()]
        for message in self.messages:
            if message.role in ("tool", "reasoning", "activity"):  # of earlier answers
                continue
            if isinstance(message.content, dict):
                raise Refused(ErrorCode.INVALID, "`content` must be text.")
            turns.append(Turn(role_of(message.role), read_text(message.content)))
        return Question.of(turns)


# --- Answers


class RunAdapter(Adapter):
    shows_calls = True

    def __init__(self, given: RunInput, run: UUID) -> None:
        self._ids = {"threadId": given.thread_id, "runId": given.run_id}
        self._run = run
        self._number = 0
        self._message: tuple[Literal["TEXT", "REASONING"], str] | None = None
        """The message that is being written, with its id."""

    def begin(self) -> str:
        return event({"type": "RUN_STARTED"} | self._ids)

    def add_text(self, text: str) -> str:
        return self._add("TEXT", text)

    def add_thinking(self, text: str) -> str:
        return self._add("REASONING", text)

    def set_call(self, call: objects.Call, is_new: bool) -> str:
        written = self._close()
        key = {"toolCallId": str(call.id)}
        if is_new:
            arguments = msgspec.json.encode(call.arguments or {}).decode()
            written += (
                event({"type": "TOOL_CALL_START", "toolCallName": call.name} | key)
                + event({"type": "TOOL_CALL_ARGS", "delta": arguments} | key)
                + event({"type": "TOOL_CALL_END"} | key)
            )
        if call.status in ("done", "failed", "rejected", "stopped"):
            result = {"messageId": self._next_id(), "role": "tool", "content": call.result or call.reason}
            written += event({"type": "TOOL_CALL_RESULT"} | result | key)
        return written

    def end(self, end: End) -> str:
        return self._close() + event({"type": "RUN_FINISHED"} | self._ids)

    def fail(self, problem: Problem) -> str:
        return self._close() + event({"type": "RUN_ERROR", "code": problem.code, "message": problem.message})

    def _add(self, kind: Literal["TEXT", "REASONING"], text: str) -> str:
        written = ""
        if self._message is None or self._message[0] != kind:
            written = self._close()
            self._message = kind, self._next_id()
            if kind == "REASONING":
                written += event({"type": "REASONING_START", "messageId": self._message[1]})
            written += self._event("START", role="assistant" if kind == "TEXT" else "reasoning")
        return written + self._event("CONTENT", delta=text)

    def _close(self) -> str:
        if self._message is None:
            return ""
        kind, key = self._message
        written = self._event("END")
        if kind == "REASONING":
            written += event({"type": "REASONING_END", "messageId": key})
        self._message = None
        return written

    def _event(self, what: str, **fields: Any) -> str:
        assert self._message is not None
        kind, key = self._message
        return event(dict(type=f"{kind}_MESSAGE_{what}", messageId=key, **fields))

    def _next_id(self) -> str:
        self._number += 1
        return f"{self._run}-{self._number}"
