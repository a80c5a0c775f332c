"""An agent and a question in, events out, the last being Finish or Error. Sites and scripts call it; it calls the
provider."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from .agent import Agent
from .events import Error, Event, Finish, TextDelta, ThinkingDelta
from .exceptions import EngineError
from .messages import Message, Result, ToolCall
from .providers import provider_for
from .providers.provider import Completion, Request

logger = logging.getLogger("nous_chat.engine")


async def run_stream(agent: Agent, prompt: str | Sequence[Message]) -> AsyncGenerator[Event, None]:
    """The agent's answer to a prompt, or to the last of the messages, as it is made.

    Never raises for what a provider does: the last event is exactly one Finish or Error. Closing the stream, or
    cancelling the task that reads it, closes the provider's connection at once; close it in that same task
    (`async with aclosing(...)`) wherever the loop over it may be left early.
    """
    answer = _Answer()
    end: Finish | Error
    try:
        provider = provider_for(agent.model)
        answer.provider, answer.model = provider.name, provider.model
        messages = [Message("user", prompt)] if isinstance(prompt, str) else prompt
        request = Request(messages, agent.instructions, agent.limits, agent.settings)
        async with aclosing(provider.stream(request)) as stream:
            async for event in stream:
                answer.add(event)
                if not isinstance(event, Completion):
                    yield event
        end = Finish(answer.result())
    except EngineError as error:
        end = Error(error, answer.result())
    except Exception:
        logger.exception("Agent %r failed", agent.name)
        end = Error(EngineError("Something went wrong on our side. It has been logged; try again."), answer.result())
    yield end


async def run(agent: Agent, prompt: str | Sequence[Message]) -> Result:
    """The same, folded: the whole answer. Raises the EngineError that would have been in the Error."""
    async with aclosing(run_stream(agent, prompt)) as stream:
        async for event in stream:
            match event:
                case Finish(result):
                    return result
                case Error(error):
                    raise error
    raise AssertionError("a stream ends with Finish or Error")


class _Answer:
    """An answer while it is made: events in, a Result at any time."""

    def __init__(self) -> None:
        self.provider = self.model = ""
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[ToolCall] = []
        self._completion = Completion()

    def add(self, event: TextDelta | ThinkingDelta | ToolCall | Completion) -> None:
        match event:
            case TextDelta(text):
                self._text.append(text)
            case ThinkingDelta(text):
                self._thinking.append(text)
            case ToolCall():
                self._calls.append(event)
            case Completion():
                self._completion = event

    def result(self) -> Result:
        return Result(
            text="".join(self._text),
            thinking="".join(self._thinking),
            tool_calls=tuple(self._calls),
            finish_reason=self._completion.finish_reason,
            usage=self._completion.usage,
            refusal=self._completion.refusal,
            provider=self.provider,
            model=self.model,
        )
