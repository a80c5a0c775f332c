"""A scripted model for tests of the runner, and helpers for the events of its agents."""

import asyncio
from collections.abc import Sequence
from typing import Any

from chat.engine import Agent, DemoProvider, Error, Event, Finish, Message, Result, ToolCall, ToolResult, run_stream
from chat.engine.providers.provider import Request


class ScriptedModel:
    """`ScriptedModel([step, ...], [step, ...])` plays the first script for the first request, and so on. The last
    script is repeated. `requests` are the requests received."""

    def __init__(self, *scripts: Sequence[Any], model: str = "script") -> None:
        self.requests: list[Request] = []
        self._scripts = scripts
        self.provider = DemoProvider(model, script=self._play)

    def agent(self, **options: Any) -> Agent:
        return Agent(self.provider, **options)

    def _play(self, request: Request) -> Sequence[Any]:
        self.requests.append(request)
        return self._scripts[min(len(self.requests), len(self._scripts)) - 1]


async def collect(agent: Any, prompt: Any = "Hi", **options: Any) -> list[Event]:
    return [event async for event in run_stream(agent, prompt, **options)]


def events_of(agent: Any, prompt: Any = "Hi", **options: Any) -> list[Event]:
    return asyncio.run(collect(agent, prompt, **options))


def finished(events: list[Event]) -> Result:
    """The Result of a stream that must have finished."""
    assert isinstance(events[-1], Finish), events[-1]
    return events[-1].result


def failed(events: list[Event]) -> Error:
    """The Error of a stream that must have failed."""
    assert isinstance(events[-1], Error), events[-1]
    return events[-1]


def results(events: list[Event]) -> list[ToolResult]:
    return [event for event in events if isinstance(event, ToolResult)]


def call(name: str, identity: str = "1", /, **arguments: Any) -> ToolCall:
    return ToolCall(identity, name, arguments)


def tool_message(identity: str, name: str, text: str, failed: bool = False) -> Message:
    return Message("tool", text, name=name, call_id=identity, failed=failed)
