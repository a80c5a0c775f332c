"""The protocol for agents of your own: any object that streams our events.

    class Parrot:
        async def run_stream(self, messages, *, context):
            yield TextDelta(messages[-1].text)
            yield Finish(Result(messages[-1].text))

`run_stream(Parrot(), messages)` relays its events. `messages` is the history, a list of Message; `context` is the
caller's ToolContext (with its user and deps). Text after tool calls is relayed with a blank line in front, unless there
is a line break already. The last event is Finish or Error. Its Result is kept as it is, except that empty fields among
text, thinking, tool_calls and messages are filled in from the events, and messages that are too large make it an Error.

A stream that ends without Finish or Error, raises, or yields something else is turned into an Error. Closing the outer
stream closes yours, in the task that reads it: clean up in `finally`. For approvals, finish with `pending` calls, each
of which was an event and is in `messages`, and add a method `resume`. adapters/pydantic_ai.py is an example.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Protocol, runtime_checkable

import msgspec
from msgspec.structs import replace

from .approvals import Decision
from .events import (
    Error,
    Event,
    Fallback,
    Finish,
    RetryWait,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    ToolResult,
)
from .exceptions import TOO_LARGE, ConfigurationError, EngineError, internal_error
from .i18n import _
from .limits import AnswerSize, Limits
from .messages import Message, Result
from .result_builder import TurnJoiner
from .telemetry import run_span
from .tools import ToolContext

logger = logging.getLogger("nous_chat.engine")


@runtime_checkable
class CustomAgent(Protocol):
    """An agent that `run_stream` relays."""

    def run_stream(self, messages: Sequence[Message], *, context: ToolContext) -> AsyncIterator[Event]: ...


@runtime_checkable
class ResumableAgent(CustomAgent, Protocol):
    """A custom agent that can continue after decisions. `messages` end with those of the Result that had `pending`
    calls."""

    def resume(
        self, messages: Sequence[Message], decisions: Mapping[str, Decision], *, context: ToolContext
    ) -> AsyncIterator[Event]: ...


async def relay(
    agent: CustomAgent,
    messages: Sequence[Message],
    context: ToolContext,
    decisions: Mapping[str, Decision] | None = None,
    before: Result | None = None,
) -> AsyncGenerator[Event, None]:
    """The agent's events, ending with Finish or Error. With `decisions` it resumes, after what readers had `before`.
    Never raises because of the agent."""
    with run_span(type(agent).__name__, context.trace_attributes) as span:
        async with aclosing(_relay(agent, messages, context, decisions, before)) as events:
            async for event in events:
                if isinstance(event, Error):
                    span.fail(event.error.code)
                yield event


async def _relay(
    agent: CustomAgent,
    messages: Sequence[Message],
    context: ToolContext,
    decisions: Mapping[str, Decision] | None,
    before: Result | None,
) -> AsyncGenerator[Event, None]:
    received = _ReceivedEvents(before or Result())
    stream: Any = None
    try:
        stream = _start(agent, messages, context, decisions)
        async for event in stream:
            if isinstance(event, Finish | Error):
                end = received.fill_in(event)
                break
            if not isinstance(event, _Streamed):
                raise TypeError(f"{event!r} is not an event")
            event, too_large = received.add(event)
            yield event
            if too_large:
                raise too_large
        else:
            detail = f"{type(agent).__name__} stopped without a Finish or an Error."
            error = EngineError(_("The answer ended unexpectedly. Try again."), detail=detail)
            end = Error(error, received.result())
    except EngineError as error:
        end = Error(error, received.result())
    except Exception:
        logger.exception("The agent %r failed", agent)
        end = Error(internal_error(), received.result())
    finally:
        await _close(stream)
    yield end


def _start(
    agent: CustomAgent, messages: Sequence[Message], context: ToolContext, decisions: Mapping[str, Decision] | None
) -> AsyncIterator[Event]:
    if decisions is None:
        return agent.run_stream(messages, context=context)
    if not isinstance(agent, ResumableAgent):
        raise ConfigurationError(f"{type(agent).__name__} has no `resume`, so it cannot continue after a decision.")
    return agent.resume(messages, decisions, context=context)


async def _close(stream: Any) -> None:
    """Close an async generator. Other iterators have nothing to close."""
    close = getattr(stream, "aclose", None)
    if close is None:
        return
    try:
        await close()
    except Exception:
        logger.exception("An agent's stream failed while it was closed")


_Streamed = TextDelta | ThinkingDelta | ToolCallDelta | ToolCall | ToolResult | RetryWait | Fallback


def _encode(arguments: dict[str, Any] | None) -> str:
    """Arguments as text. "" for those that are not JSON, which nobody is shown."""
    try:
        return msgspec.json.encode(arguments).decode()
    except (TypeError, ValueError, RecursionError):
        return ""


_MAX_MESSAGES = 4 * Limits().max_text_chars
"""The longest `Result.messages`, in bytes of JSON: they hold text, thinking, arguments and results."""


def _size(message: Message) -> int:
    """Bytes of JSON. 0 for a message that JSON cannot hold, and which cannot be stored."""
    try:
        return len(msgspec.json.encode(message))
    except (TypeError, ValueError, RecursionError):
        return 0


class _ReceivedEvents:
    """The events of a custom agent so far. Their sizes are limited like those of an Agent, by the defaults of Limits:
    its model is no more to be trusted.
    """

    def __init__(self, before: Result) -> None:
        self._size = AnswerSize(Limits())
        self._text = TurnJoiner(before.text)
        self._thinking = TurnJoiner(before.thinking)
        self._calls: list[ToolCall] = []

    def add(self, event: _Streamed) -> tuple[_Streamed, EngineError | None]:
        """The event as readers get it, and the error that ends the answer if it is too large."""
        match event:
            case RetryWait() | Fallback():
                return event, None
            case ToolCallDelta(text=text):
                text, too_large = self._size.cut("arguments in pieces", text)
                return replace(event, text=text), too_large
            case TextDelta(text):
                text, too_large = self._size.cut(event.kind, text)
                return TextDelta(self._text.add(text)), too_large
            case ThinkingDelta(text):
                text, too_large = self._size.cut(event.kind, text)
                return ThinkingDelta(self._thinking.add(text)), too_large
            case ToolCall():
                raw, too_large = self._size.cut("arguments", event.raw or _encode(event.arguments))
                event = replace(event, arguments=None, raw=raw) if too_large else event
                self._calls.append(event)
            case ToolResult(text=text):
                text, too_large = self._size.cut("results", text)
                event = replace(event, text=text)
        self._text.start_turn()
        self._thinking.start_turn()
        return event, too_large

    def result(self) -> Result:
        text = self._text.text
        return Result(
            text=text,
            thinking=self._thinking.text,
            tool_calls=tuple(self._calls),
            messages=(Message("assistant", text),) if text else (),
        )

    def fill_in(self, end: Finish | Error) -> Finish | Error:
        """The agent's last event, with the empty fields of its Result filled in. If its messages are too large to keep,
        an Error without them."""
        received, result = self.result(), end.result
        too_large = sum(map(_size, result.messages)) > _MAX_MESSAGES
        if too_large:
            result = replace(result, messages=(), pending=())
        empty = [name for name in ("text", "thinking", "tool_calls", "messages") if not getattr(result, name)]
        result = replace(result, **{name: getattr(received, name) for name in empty})
        if not too_large:
            return replace(end, result=result)
        detail = f"The messages of the agent's Result have more than {_MAX_MESSAGES:,} bytes."
        return Error(EngineError(TOO_LARGE, "answer_too_large", detail=detail), result)
