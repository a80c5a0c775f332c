"""The UI message stream of the AI SDK, for `useChat` and what is built on it (docs/api.md, "The AI SDK").

The protocol: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol. The agent's tools are `dynamic` to the client, which
does not know them, and `providerExecuted`, because the server runs them.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

from .. import objects
from ..errors import ErrorCode, Refused
from .base import MAX_MESSAGES, Adapter, End, Name, Problem, Question, Turn, event, role_of

# --- Requests


_DECIDED = "approval-responded"


class Decision(Struct, frozen=True):
    """What the user has said about a tool call. `id` is the call's."""

    id: str = ""
    approved: bool | None = None
    reason: Annotated[str, Meta(max_length=1000)] | None = None


class MessagePart(Struct, frozen=True, rename="camel"):
    type: str
    text: str = ""
    state: str = ""
    approval: Decision | None = None


class UIMessage(Struct, frozen=True):
    role: Literal["system", "user", "assistant"]
    parts: Annotated[list[MessagePart], Meta(max_length=10_000)]

    @property
    def text(self) -> str:
        """Raises Refused for what the agent would not get. Of earlier answers it gets the text alone."""
        if self.role == "user":
            for part in self.parts:
                if part.type != "text" and not part.type.startswith("data-"):
                    raise Refused(ErrorCode.INVALID, f"The `parts` must be text; {part.type!r} is not supported.")
        return "".join(part.text for part in self.parts if part.type == "text")


class ChatRequest(Struct, frozen=True):
    id: Name
    """The client's id of its conversation."""
    messages: Annotated[list[UIMessage], Meta(min_length=1, max_length=MAX_MESSAGES)]

    def read(self) -> Question:
        """Raises Refused."""
        return Question.of([Turn(role_of(message.role), message.text) for message in self.messages])

    @property
    def decisions(self) -> dict[UUID, tuple[bool, str]]:
        """What the user has decided since the last answer: by tool call, whether they approve it, and why. Raises
        Refused.
        """
        last = self.messages[-1]
        given = (part.approval for part in last.parts if last.role == "assistant" and part.state == _DECIDED)
        try:
            return {UUID(each.id): (each.approved is True, each.reason or "") for each in given if each is not None}
        except ValueError:
            raise Refused(ErrorCode.INVALID, "The `id` of an approval must be that of its request.") from None


# --- Answers


class UIMessageAdapter(Adapter):
    stops_on_leaving = False  # a page that is loaded again resumes the stream
    shows_calls = True
    takes_decisions = True
    headers = ((b"x-vercel-ai-ui-message-stream", b"v1"),)

    def __init__(self, run: UUID) -> None:
        self._run = run
        self._part: tuple[Literal["text", "reasoning"], str] | None = None
        """The part that is being written, with its id."""
        self._number = 0

    def begin(self) -> str:
        return event({"type": "start", "messageId": str(self._run)})

    def add_text(self, text: str) -> str:
        return self._add("text", text)

    def add_thinking(self, text: str) -> str:
        return self._add("reasoning", text)

    def set_call(self, call: objects.Call, is_new: bool) -> str:
        written = self._close()
        key = {"toolCallId": str(call.id)}
        if is_new or call.changed:
            named = {"toolName": call.name, "input": call.arguments, "dynamic": True, "providerExecuted": True}
            written += event({"type": "tool-input-available"} | key | named)
        match call.status:
            case "done":
                written += event({"type": "tool-output-available", "output": call.result} | key | _RUN_HERE)
            case "failed" | "stopped":
                text = call.result or "The tool was stopped."
                written += event({"type": "tool-output-error", "errorText": text} | key | _RUN_HERE)
            case "rejected":
                written += event({"type": "tool-output-denied"} | key)
        return written

    def await_decision(self, calls: list[objects.Call]) -> str:
        asked = (
            event({"type": "tool-approval-request", "approvalId": str(call.id), "toolCallId": str(call.id)})
            for call in calls
        )
        return self._close() + "".join(asked) + self._finish("tool-calls")

    def end(self, end: End) -> str:
        if not end.is_complete:
            return self._close() + event({"type": "abort"}) + _DONE
        return self._close() + self._finish("length" if end.is_cut_off else "stop")

    def fail(self, problem: Problem) -> str:
        return self._close() + event({"type": "error", "errorText": problem.message}) + _DONE

    def _finish(self, finish_reason: str) -> str:
        return event({"type": "finish", "finishReason": finish_reason}) + _DONE

    def _add(self, kind: Literal["text", "reasoning"], text: str) -> str:
        written = ""
        if self._part is None or self._part[0] != kind:
            written = self._close()
            self._number += 1
            self._part = kind, str(self._number)
            written += self._event("start")
        return written + self._event("delta", delta=text)

    def _close(self) -> str:
        if self._part is None:
            return ""
        written = self._event("end")
        self._part = None
        return written

    def _event(self, what: str, **fields: Any) -> str:
        assert self._part is not None
        kind, key = self._part
        return event(dict(type=f"{kind}-{what}", id=key, **fields))


_RUN_HERE = {"dynamic": True, "providerExecuted": True}
_DONE = "data: [DONE]\n\n"
