"""OpenAI's wire for responses, as far as the chat speaks it (docs/api.md, "Clients of OpenAI").

Fields of a request that are not here are ignored: the settings of the agent decide. The items of an answer are what the
model thinks (`reasoning`) and what it says (`message`), in their order; each stretch is one.
"""

import time
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

from ...engine import Usage
from ..errors import ErrorCode, Refused
from .base import MAX_MESSAGES, Content, End, Problem, Question, Turn, check_tools, event, read_text, role_of
from .openai import OpenAIAdapter

# --- Requests


class InputItem(Struct, frozen=True):
    type: str = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | list[Content] | None = None


class ResponseRequest(Struct, frozen=True):
    model: str
    """An agent's slug."""
    input: str | Annotated[list[InputItem], Meta(min_length=1, max_length=MAX_MESSAGES)]
    instructions: str | None = None
    previous_response_id: Annotated[str, Meta(max_length=100)] | None = None
    stream: bool | None = None
    background: bool | None = None
    conversation: Any = None
    prompt: Any = None
    tools: list[Any] | None = None

    def read(self) -> Question:
        """Raises Refused for what the chat cannot do. To ignore it would give an answer to another question."""
        check_tools(self.tools)
        for name in ("background", "conversation", "prompt"):
            if getattr(self, name):
                raise Refused(ErrorCode.INVALID, f"`{name}` is not supported.")
        turns = [Turn("user", self.instructions)] if self.instructions else []
        if isinstance(self.input, str):
            return Question.of([*turns, Turn("user", self.input)])
        for item in self.input:
            if item.type == "reasoning":  # of an earlier answer
                continue
            if item.type != "message" or item.role is None:
                raise Refused(ErrorCode.INVALID, f"`input` must be messages; {item.type!r} is not supported.")
            turns.append(Turn(role_of(item.role), read_text(item.content, ("input_text", "output_text", "text"))))
        return Question.of(turns)

    @property
    def previous_run(self) -> UUID | None:
        """The run of `previous_response_id`, if that is given. One that the chat cannot have made is nobody's run."""
        if self.previous_response_id is None:
            return None
        try:
            return UUID(hex=self.previous_response_id.removeprefix("resp_"))
        except ValueError:
            return UUID(int=0)


# --- Answers


class ResponseContent(Struct, frozen=True):
    type: Literal["output_text", "reasoning_text"]
    text: str = ""
    annotations: list[Any] = []


class OutputItem(Struct, omit_defaults=True):
    id: str
    type: str
    status: Literal["in_progress", "completed", "incomplete"]
    content: list[ResponseContent]
    role: str = ""
    summary: list[Any] | None = None


class InputDetails(Struct, frozen=True):
    cached_tokens: int


class OutputDetails(Struct, frozen=True):
    reasoning_tokens: int


class ResponseUsage(Struct, frozen=True):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputDetails
    output_tokens_details: OutputDetails

    @classmethod
    def of(cls, usage: Usage) -> "ResponseUsage":
        read, written = usage.input_tokens or 0, usage.output_tokens or 0
        return cls(
            read,
            written,
            usage.total_tokens or read + written,
            InputDetails(usage.cached_tokens or 0),
            OutputDetails(usage.reasoning_tokens or 0),
        )


class Response(Struct):
    id: str
    created_at: int
    model: str
    previous_response_id: str | None
    output: list[OutputItem]
    status: Literal["in_progress", "completed", "incomplete", "failed"] = "in_progress"
    usage: ResponseUsage | None = None
    error: dict[str, str] | None = None
    incomplete_details: dict[str, str] | None = None
    object: Literal["response"] = "response"
    instructions: None = None
    metadata: dict[str, str] = {}
    parallel_tool_calls: bool = True
    temperature: None = None
    tool_choice: Literal["auto"] = "auto"
    tools: list[Any] = []
    top_p: None = None


class ResponseAdapter(OpenAIAdapter):
    def __init__(self, request: ResponseRequest, run: UUID) -> None:
        self.streams = bool(request.stream)
        self._run = run
        self._number = 0
        self._texts: list[str] = []
        """Of the item that is being written."""
        self._response = Response(
            f"resp_{run.hex}", int(time.time()), request.model, request.previous_response_id, output=[]
        )

    def begin(self) -> str:
        return self._event("response.created", response=self._response) + self._event(
            "response.in_progress", response=self._response
        )

    def add_text(self, text: str) -> str:
        return self._add("message", text)

    def add_thinking(self, text: str) -> str:
        return self._add("reasoning", text)

    def end(self, end: End) -> str:
        closed = self._close()
        self._complete(end)
        return closed + self._event(f"response.{self._response.status}", response=self._response)

    def fail(self, problem: Problem) -> str:
        closed = self._close("incomplete")
        self._response.status = "failed"
        detail = self.refusal(problem).error
        self._response.error = {"code": detail.code, "message": detail.message}
        return closed + self._event("response.failed", response=self._response)

    def whole(self, end: End) -> Response:
        for kind, text in (("reasoning", end.thinking), ("message", end.text)):
            if text or kind == "message":
                self._add(kind, text)
        self._close()
        self._complete(end)
        return self._response

    def _complete(self, end: End) -> None:
        self._response.status = "incomplete" if end.is_cut_off else "completed"
        self._response.incomplete_details = {"reason": "max_output_tokens"} if end.is_cut_off else None
        self._response.usage = None if end.usage is None else ResponseUsage.of(end.usage)

    # --- Items

    def _add(self, kind: str, text: str) -> str:
        item = self._item
        written = ""
        if item is None or item.type != kind:
            written = self._close() + self._open(kind)
        self._texts.append(text)
        name = "output_text" if kind == "message" else "reasoning_text"
        more: dict[str, Any] = {"logprobs": []} if kind == "message" else {}
        return written + self._event(f"response.{name}.delta", **self._place, content_index=0, delta=text, **more)

    @property
    def _item(self) -> OutputItem | None:
        """The item that is being written."""
        last = self._response.output[-1] if self._response.output else None
        return last if last is not None and last.status == "in_progress" else None

    @property
    def _place(self) -> dict[str, Any]:
        output = self._response.output
        return {"item_id": output[-1].id, "output_index": len(output) - 1}

    def _open(self, kind: str) -> str:
        number = len(self._response.output)
        if kind == "message":
            item = OutputItem(f"msg_{self._run.hex}_{number}", kind, "in_progress", [], role="assistant")
        else:
            item = OutputItem(f"rs_{self._run.hex}_{number}", kind, "in_progress", [], summary=[])
        self._response.output.append(item)
        return self._event("response.output_item.added", output_index=number, item=item) + self._event(
            "response.content_part.added", **self._place, content_index=0, part=_content(kind, "")
        )

    def _close(self, status: Literal["completed", "incomplete"] = "completed") -> str:
        item = self._item
        if item is None:
            return ""
        part = _content(item.type, "".join(self._texts))
        self._texts.clear()
        place = self._place | {"content_index": 0}
        item.content, item.status = [part], status
        more: dict[str, Any] = {"logprobs": []} if item.type == "message" else {}
        return (
            self._event(f"response.{part.type}.done", **place, text=part.text, **more)
            + self._event("response.content_part.done", **place, part=part)
            + self._event("response.output_item.done", output_index=place["output_index"], item=item)
        )

    def _event(self, kind: str, **fields: Any) -> str:
        if not self.streams:
            return ""
        self._number += 1
        return event(dict(type=kind, sequence_number=self._number - 1, **fields), kind)


def _content(kind: str, text: str) -> ResponseContent:
    return ResponseContent("output_text" if kind == "message" else "reasoning_text", text)
