"""Bring your own agent: whatever streams our events is one. Pydantic AI (adapters/pydantic_ai.py), LangGraph, or yours:

    class Parrot:
        async def run_stream(self, messages, *, context):
            yield TextDelta(messages[-1].text)
            yield Finish(Result(messages[-1].text))

`run_stream(Parrot(), messages)` relays what it says. `messages` are the history, a list of Message; `context` is the
ToolContext that the caller gave (its user and deps). The last event is Finish or Error: its Result is stored as it is,
but what it leaves empty of text, thinking, calls and messages is filled in from the events. A stream that ends without
them, that raises, or that says what is no event, ends in an Error. Closing the stream closes yours, in the task that
reads it: clean up in `finally`. For approvals: finish with `pending` calls, and have `resume` beside `run_stream`.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from msgspec.structs import replace

from .approvals import Decision
from .events import Error, Event, Finish, TextDelta, ThinkingDelta, ToolCall, ToolResult
from .exceptions import ConfigurationError, EngineError, internal
from .i18n import _
from .messages import Message, Result
from .tools import ToolContext

logger = logging.getLogger("nous_chat.engine")


@runtime_checkable
class OwnAgent(Protocol):
    """What `run_stream` relays."""

    def run_stream(self, messages: Sequence[Message], *, context: ToolContext) -> AsyncIterator[Event]: ...


@runtime_checkable
class ResumableAgent(OwnAgent, Protocol):
    """One that can also go on after a decision; `messages` are the history with the result's messages."""

    def resume(
        self, messages: Sequence[Message], decisions: Mapping[str, Decision], *, context: ToolContext
    ) -> AsyncIterator[Event]: ...


async def relay(
    agent: OwnAgent,
    messages: Sequence[Message],
    context: ToolContext,
    decisions: Mapping[str, Decision] | None = None,
) -> AsyncGenerator[Event, None]:
    """Its events, the last being Finish or Error. With `decisions` it resumes. Never raises for what the agent does."""
    said = _Said()
    stream: Any = None
    try:
        stream = _started(agent, messages, context, decisions)
        async for event in stream:
            if isinstance(event, Finish | Error):
                end = said.completed(event)
                break
            if not isinstance(event, TextDelta | ThinkingDelta | ToolCall | ToolResult):
                raise TypeError(f"{event!r} is no event")
            said.add(event)
            yield event
        else:
            end = Error(EngineError(_("The agent stopped without saying that it is done. Try again.")), said.result())
    except EngineError as error:
        end = Error(error, said.result())
    except Exception:
        logger.exception("The agent %r failed", agent)
        end = Error(internal(), said.result())
    finally:
        await _close(stream)
    yield end


def _started(
    agent: OwnAgent, messages: Sequence[Message], context: ToolContext, decisions: Mapping[str, Decision] | None
) -> AsyncIterator[Event]:
    if decisions is None:
        return agent.run_stream(messages, context=context)
    if not isinstance(agent, ResumableAgent):
        raise ConfigurationError(f"{type(agent).__name__} has no `resume`: it cannot go on after a decision.")
    return agent.resume(messages, decisions, context=context)


async def _close(stream: Any) -> None:
    """An async generator; other iterators have nothing to close."""
    close = getattr(stream, "aclose", None)
    if close is None:
        return
    try:
        await close()
    except Exception:
        logger.exception("An agent's stream failed while it was closed")


class _Said:
    """What an agent said so far."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[ToolCall] = []

    def add(self, event: TextDelta | ThinkingDelta | ToolCall | ToolResult) -> None:
        match event:
            case TextDelta(text):
                self._text.append(text)
            case ThinkingDelta(text):
                self._thinking.append(text)
            case ToolCall():
                self._calls.append(event)

    def result(self) -> Result:
        text = "".join(self._text)
        return Result(
            text=text,
            thinking="".join(self._thinking),
            tool_calls=tuple(self._calls),
            messages=(Message("assistant", text),) if text else (),
        )

    def completed(self, end: Finish | Error) -> Finish | Error:
        """The agent's own end, and where its Result is silent, what the events said."""
        heard = self.result()
        silent = [name for name in ("text", "thinking", "tool_calls", "messages") if not getattr(end.result, name)]
        filled = replace(end.result, **{name: getattr(heard, name) for name in silent})
        return replace(end, result=filled)
